"""GRnet: RGB and guided residual through a ResNet-18 each, fused by attention (arXiv 2205.00753, Fig. 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import UsageError
from reference_models.common import Normalize, check_images, resnet18
from reference_models.grnet.fusion import fuse, stream_weights
from reference_models.grnet.residual import guided_residual

FEATURES = 512
SMALLEST = 32

CHOICES: dict[str, tuple[str, ...]] = {
    "guide": ("channel",),
    "afm_at": ("map", "vector"),
    "alpha_update": ("epoch", "batch"),
    "fusion": ("afm", "sum", "max", "min", "concat"),
    "streams": ("both", "rgb-twice"),
}


@dataclass(frozen=True)
class GRnetOutput:
    """What GRnet returns.

    Attributes:
        logits: N,C of the fused head.
        rgb_logits: N,C of the spatial stream's head.
        residual_logits: N,C of the residual stream's head.
        residual: N,3,H,W, the guided residual before normalisation; at least 0.
    """

    logits: Tensor
    rgb_logits: Tensor
    residual_logits: Tensor
    residual: Tensor


class GRnet(nn.Module):
    """Two ResNet-18 streams with separate weights over RGB and its guided residual.

    Args:
        num_classes: outputs of each head; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works.
        radius, eps: the guided filter's window radius in pixels and regularisation on the [0,1] range.
        guide: ``channel``, every RGB plane guides itself.
        gain: factor on the residual.
        residual_norm: whether the residual is normalised like the RGB.
        afm_at: fuse the last feature ``map``, or the pooled ``vector``.
        alpha_update: stream weights from the mean losses of an ``epoch``, or of every ``batch``.
        w_aux: weight of the two stream losses; 0 trains the stream heads on detached features.
        fusion: ``afm``, or one of the fusions it is compared with in Table III.
        streams: ``both``, or ``rgb-twice`` for the ablation without the residual (Table I).
        pretrained: fetch ImageNet weights for both streams.
    """

    alpha: Tensor
    loss_sums: Tensor

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        radius: int = 2,
        eps: float = 0.01,
        guide: str = "channel",
        gain: float = 1.0,
        residual_norm: bool = True,
        afm_at: str = "map",
        alpha_update: str = "epoch",
        w_aux: float = 1.0,
        fusion: str = "afm",
        streams: str = "both",
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        del image_size  # fully convolutional up to the pooling
        chosen = {"guide": guide, "afm_at": afm_at, "alpha_update": alpha_update, "fusion": fusion, "streams": streams}
        for option, value in chosen.items():
            if value not in CHOICES[option]:
                raise UsageError(
                    f"option {option} of grnet can not be {value!r}", f"choose from: {', '.join(CHOICES[option])}"
                )
        self.radius, self.eps, self.gain, self.w_aux = radius, eps, gain, w_aux
        self.residual_norm, self.afm_at, self.alpha_update = residual_norm, afm_at, alpha_update
        self.fusion, self.streams = fusion, streams
        self.normalize = Normalize()
        self.rgb = resnet18(pretrained)
        self.residual = resnet18(pretrained)
        self.rgb_head = nn.Linear(FEATURES, num_classes)
        self.residual_head = nn.Linear(FEATURES, num_classes)
        self.head = nn.Linear(2 * FEATURES if fusion == "concat" else FEATURES, num_classes)
        self.register_buffer("alpha", torch.full((2,), 0.5))
        # Sums of the two stream losses over the samples of the running epoch, and the number of samples.
        self.register_buffer("loss_sums", torch.zeros(3, dtype=torch.float64), persistent=False)

    def forward(self, images: Tensor) -> GRnetOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> :class:`GRnetOutput`."""
        check_images(images, SMALLEST)
        residual = guided_residual(images, self.radius, self.eps, self.gain)
        second = images if self.streams == "rgb-twice" else residual.to(images.dtype)
        normalized = self.normalize(images)
        if self.streams == "rgb-twice" or self.residual_norm:
            second = self.normalize(second)
        maps = self.rgb(normalized), self.residual(second)
        pooled = _pool(maps[0]), _pool(maps[1])
        if self.afm_at == "vector":
            maps = pooled[0][:, :, None, None], pooled[1][:, :, None, None]
        fused = _pool(fuse(maps[0], maps[1], self.fusion, self.alpha.clone()))
        if self.w_aux == 0:
            pooled = pooled[0].detach(), pooled[1].detach()
        return GRnetOutput(
            logits=self.head(fused),
            rgb_logits=self.rgb_head(pooled[0]),
            residual_logits=self.residual_head(pooled[1]),
            residual=residual,
        )

    def loss(self, output: GRnetOutput, targets: Tensor) -> Tensor:
        """Cross-entropy of the fused head plus ``w_aux`` times those of the streams; notes the stream losses.

        With ``w_aux = 0`` the stream heads still learn (weight 1), but on detached features.
        """
        fused, rgb, residual = (
            _cross_entropy(logits, targets) for logits in (output.logits, output.rgb_logits, output.residual_logits)
        )
        if self.training:
            self._note(torch.stack((rgb.detach(), residual.detach())), len(targets))
        return fused + (self.w_aux or 1.0) * (rgb + residual)

    def start_epoch(self, epoch: int) -> None:
        """Forget the losses of the epoch before."""
        del epoch
        self.loss_sums.zero_()

    def end_epoch(self, epoch: int) -> None:
        """Set the stream weights from the mean training losses of the epoch just done."""
        del epoch
        if self.alpha_update == "epoch" and self.loss_sums[2] > 0:
            self.alpha.copy_(stream_weights(self.loss_sums[:2] / self.loss_sums[2]))

    def _note(self, losses: Tensor, samples: int) -> None:
        self.loss_sums[:2] += losses.double() * samples
        self.loss_sums[2] += samples
        if self.alpha_update == "batch":
            self.alpha.copy_(stream_weights(losses.float()))


def _pool(maps: Tensor) -> Tensor:
    """Global average: N,C,H,W -> N,C."""
    return maps.mean(dim=(2, 3))


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    logits = logits.float()
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], targets.float())
    return F.cross_entropy(logits, targets)
