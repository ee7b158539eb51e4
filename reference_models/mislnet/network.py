"""MISLnet (Bayar and Stamm, TIFS 2018) as its Caffe model defines it."""

from __future__ import annotations

from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from reference_models.common import LogitsOutput, check_images
from reference_models.extractors import ConstrainedConv, caffe_xavier_, max_pool, pooled_size

SMALLEST = 48
INPUTS = {"rgb": 3, "green": 1}


class MISLnet(nn.Module):
    """Constrained convolution, four convolutions with batch normalisation and tanh, three dense layers.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: height and width in pixels; the first dense layer depends on it; 256 was published.
        planes: ``rgb``, or ``green`` for the published input, the green channel alone.
    """

    def __init__(self, num_classes: int = 2, image_size: int | None = None, *, planes: str = "rgb") -> None:
        super().__init__()
        size = 256 if image_size is None else image_size
        if size < SMALLEST:
            raise ModelError(f"mislnet needs images of at least {SMALLEST} pixels, got {size}", "use larger crops")
        if planes not in INPUTS:
            raise UsageError(
                f"invalid value {planes!r} of the option planes of mislnet", f"choose from: {', '.join(INPUTS)}"
            )
        self.image_size, self.planes = size, planes
        self.constrained = ConstrainedConv(INPUTS[planes], 3, bias=True)
        self.features = nn.Sequential(
            *_layer(3, 96, 7, stride=2),
            max_pool(),
            *_layer(96, 64, 5),
            max_pool(),
            *_layer(64, 64, 5),
            max_pool(),
            *_layer(64, 128, 1),
            nn.AvgPool2d(3, stride=2, ceil_mode=True),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * last_map(size) ** 2, 200),
            nn.Tanh(),
            nn.Linear(200, 200),
            nn.Tanh(),
            nn.Linear(200, num_classes),
        )
        _initialise(self.features, self.classifier)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,S,S with S the size it was built for -> logits."""
        check_images(images, SMALLEST, exact=self.image_size)
        chosen = images[:, 1:2] if self.planes == "green" else images
        return LogitsOutput(self.classifier(self.features(self.constrained(chosen * 255.0))))


def last_map(size: int) -> int:
    """Return the side of the feature map before the dense layers.

    >>> [last_map(size) for size in (256, 224, 128)]
    [7, 6, 3]
    """
    side = (size - 4 - 1) // 2 + 1
    for _ in range(4):
        side = pooled_size(side)
    return side


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2)
    return conv, nn.BatchNorm2d(out_channels), nn.Tanh()


def _initialise(features: nn.Sequential, classifier: nn.Sequential) -> None:
    """Initialise as in Caffe: Xavier; biases 0.1 (convolutions), 1 (dense layers) and 0 (last dense layer)."""
    dense = [module for module in classifier if isinstance(module, nn.Linear)]
    biases = [(m, 0.1) for m in features if isinstance(m, nn.Conv2d)] + [(m, 1.0) for m in dense[:-1]]
    for module, bias in [*biases, (dense[-1], 0.0)]:
        caffe_xavier_(module.weight)
        if module.bias is not None:
            nn.init.constant_(module.bias, bias)
