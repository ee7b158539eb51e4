"""The high-pass detector of Mo, Chen and Luo: a fixed filter, three convolutions, three dense layers."""

from __future__ import annotations

from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from reference_models.common import LogitsOutput, check_images
from reference_models.extractors import HighPass

SMALLEST = 8
WIDTHS = ((3, 32), (32, 64), (64, 128))
SLOPE = 0.2
RANGES = {"255": 255.0, "1": 1.0}


class HighPassNet(nn.Module):
    """Residual of the KV kernel, three times (3x3 convolution, leaky ReLU 0.2, pooling by 2), dense 1024 and 512.

    The architecture is from memory of the paper: see the reproduction notes of its specification.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: height and width in pixels; the first dense layer depends on it.
        value_range: ``255`` filters images with values from 0 to 255, ``1`` from 0 to 1.
        padding: border of the filter, ``reflect`` or ``zeros``.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        value_range: str = "255",
        padding: str = "reflect",
    ) -> None:
        super().__init__()
        size = 128 if image_size is None else image_size
        if size < SMALLEST:
            raise ModelError(f"highpass needs images of at least {SMALLEST} pixels, got {size}", "use larger crops")
        if str(value_range) not in RANGES:
            raise UsageError(
                f"invalid value {value_range!r} of the option value_range of highpass", "choose from: 255, 1"
            )
        self.image_size = size
        self.scale = RANGES[str(value_range)]
        self.filter = HighPass(padding)
        layers: list[nn.Module] = []
        for in_channels, out_channels in WIDTHS:
            layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.LeakyReLU(SLOPE), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(WIDTHS[-1][1] * (size // 8) ** 2, 1024),
            nn.LeakyReLU(SLOPE),
            nn.Linear(1024, 512),
            nn.LeakyReLU(SLOPE),
            nn.Linear(512, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,S,S with S the size it was built for -> logits."""
        check_images(images, SMALLEST, exact=self.image_size)
        return LogitsOutput(self.classifier(self.features(self.filter(images * self.scale))))
