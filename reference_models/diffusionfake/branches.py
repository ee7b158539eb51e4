"""The trained parts between detector and diffusion model: feature filter, weight network, guide."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError
from reference_models.diffusionfake.diffusion import FrozenDiffusion, Residuals

HEADS = 4
REDUCTION = 4
WEIGHT_WIDTHS = (1024, 512, 256, 128)


class FeatureFilter(nn.Module):
    """Select what a feature map says about one of the two faces, in the width of the guide.

    The features of a convolution are gated by channel and by position, then every position attends to all of them. The
    tensors have the names of the authors' program.

    Args:
        channels: of the feature map, a multiple of 4.
        width: channels of the guide's first map.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, width, 3, padding=1)
        self.channel_attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // REDUCTION, 1),
            nn.ReLU(),
            nn.Conv2d(channels // REDUCTION, channels, 1),
            nn.Sigmoid(),
        )
        self.spatial_attention = nn.Sequential(nn.Conv2d(channels, 1, 3, padding=1), nn.Sigmoid())
        self.self_attention = nn.MultiheadAttention(channels, HEADS, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        """N,channels,h,w -> N,width,h,w."""
        plain = self.conv1(features)
        active = F.silu(plain)
        gated = plain * self.channel_attention(active) * self.spatial_attention(active)
        query, value = (maps.flatten(2).transpose(1, 2) for maps in (active, gated))
        attended, _ = self.self_attention(query, value, value, need_weights=False)
        hint: Tensor = self.conv2(attended.transpose(1, 2).reshape(plain.shape))
        return hint


class WeightNet(nn.Module):
    """Estimate how similar the image is to one of the two faces; linear up to its sigmoid, as the authors' program.

    Args:
        channels: of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second, third, dense = WEIGHT_WIDTHS
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.conv3 = nn.Conv2d(second, third, 3, padding=1)
        self.fc1 = nn.Linear(third, dense)
        self.fc2 = nn.Linear(dense, 1)

    def forward(self, features: Tensor) -> Tensor:
        """N,channels,h,w -> N,1 in (0,1)."""
        maps = self.conv3(self.conv2(self.conv1(features)))
        return torch.sigmoid(self.fc2(self.fc1(maps.mean(dim=(2, 3)))))


class Branch(nn.Module):
    """From the detector's last feature map to what guides the reconstruction of one face.

    Args:
        channels: of the feature map, a multiple of 4.
        width: channels of the guide's first map.
        filtered: with the feature filter; without, a convolution alone.
        weighted: with the weight network.

    Raises:
        ModelError: the channels are no multiple of 4.
    """

    def __init__(self, channels: int, width: int, *, filtered: bool = True, weighted: bool = True) -> None:
        super().__init__()
        if filtered and channels % HEADS:
            raise ModelError(
                f"the feature filter of diffusionfake needs a multiple of {HEADS} channels, the detector's last map "
                f"has {channels}",
                "train without it: --method-option filter=false",
            )
        self.upsample = nn.Sequential(*(nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False) for _ in range(2)))
        self.filter = FeatureFilter(channels, width) if filtered else nn.Conv2d(channels, width, 3, padding=1)
        self.weight = WeightNet(channels) if weighted else None

    def hint(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """N,channels,h,w -> N,width,*size; maps of another size than four times h and w are resized."""
        maps = self.upsample(features)
        if maps.shape[2:] != size:
            # In float32: with antialiasing there is none in bfloat16 on a CPU.
            maps = F.interpolate(maps.float(), size, mode="bilinear", antialias=True)
        hint: Tensor = self.filter(maps)
        return hint

    def weights(self, features: Tensor) -> Tensor:
        """N,channels,h,w -> N; 1 without a weight network."""
        if self.weight is None:
            return features.new_ones(len(features))
        weights: Tensor = self.weight(features)[:, 0]
        return weights


class Guide(nn.Module):
    """A trainable copy of the UNet's encoder, whose outputs pass convolutions that begin with zeros (ControlNet).

    The hint is added to the output of the first convolution.

    Args:
        diffusion: whose UNet is copied.
        pretrained: copy its weights; else only its shapes.
    """

    def __init__(self, diffusion: FrozenDiffusion, *, pretrained: bool = True) -> None:
        super().__init__()
        from diffusers import ControlNetModel

        self.encoder: Any = ControlNetModel.from_unet(diffusion.unet, load_weights_from_unet=pretrained)
        # The hint has the size of the latents already.
        self.encoder.controlnet_cond_embedding = nn.Identity()

    def forward(self, noisy: Tensor, times: Tensor, prompts: Tensor, hint: Tensor, weights: Tensor) -> Residuals:
        """Return what is added to the UNet.

        Args:
            noisy: latents with noise, (N, 4, h, w).
            times: int64 (N,).
            prompts: (N, L, D).
            hint: (N, width, h, w).
            weights: (N,), factors on all that is added.
        """
        skips, middle = self.encoder(noisy, times, prompts, controlnet_cond=hint, return_dict=False)
        factors = weights.view(-1, 1, 1, 1)
        return Residuals(tuple(factors * skip for skip in skips), factors * middle)
