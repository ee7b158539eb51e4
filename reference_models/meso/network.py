"""Meso-4 as published: four small convolutions and two dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, UsageError
from reference_models.common import LogitsOutput, check_images, make_normalization

STRIDE = 32  # the pools divide by 2, 2, 2 and 4
WIDTHS = ((3, 8, 3, 2), (8, 8, 5, 2), (8, 16, 5, 2), (16, 16, 5, 4))  # in, out, kernel, pool


class Meso4(nn.Module):
    """Meso-4 (Afchar, Nozick, Yamagishi and Echizen).

    Convolution with bias, ReLU, *then* batch normalisation (eps 1e-3, momentum 0.01) and pooling; dropout 0.5 before
    both dense layers; leaky ReLU 0.1 between.

    Args:
        num_classes: 1 is the published form (one logit, squared error on its sigmoid); more use cross-entropy.
        image_size: height and width in pixels, a multiple of 32; 256 was published.
        binary_outputs: number of logits for a task of two classes: 2, or 1 as published.
        normalization: ``none``, as published, ``half`` (to [-1,1], as the PyTorch ports have it) or ``imagenet``.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        binary_outputs: int = 2,
        normalization: str = "none",
    ) -> None:
        super().__init__()
        if binary_outputs not in (1, 2):
            raise UsageError(f"invalid value {binary_outputs!r} of the option binary_outputs", "choose from: 1, 2")
        size = 256 if image_size is None else image_size
        if size < STRIDE or size % STRIDE:
            near = max(STRIDE, round(size / STRIDE) * STRIDE)
            raise ModelError(
                f"image sizes must be multiples of {STRIDE} pixels for meso4, got {size}", f"use crops of {near} pixels"
            )
        self.image_size = size
        self.normalize = make_normalization(normalization)
        layers: list[nn.Module] = []
        for in_channels, out_channels, kernel, pool in WIDTHS:
            layers += [
                nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2),
                nn.ReLU(),
                nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
                nn.MaxPool2d(pool),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(16 * (size // STRIDE) ** 2, 16),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.5),
            nn.Linear(16, binary_outputs if num_classes == 2 else num_classes),
        )
        self.apply(_initialise_like_keras)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,S,S with S the size it was built for -> logits."""
        check_images(images, STRIDE, exact=self.image_size)
        return LogitsOutput(self.classifier(self.features(self.normalize(images))))

    def loss(self, output: LogitsOutput, targets: Tensor) -> Tensor:
        """Return the mean squared error of the sigmoid for one logit, as published, else the cross-entropy."""
        logits = output.logits.float()
        if logits.shape[1] == 1:
            return F.mse_loss(torch.sigmoid(logits[:, 0]), targets.float())
        return F.cross_entropy(logits, targets)


def _initialise_like_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
