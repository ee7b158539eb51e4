"""AMTENnet as its Caffe model defines it, also with the other extractors of GRnet's Table II."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError
from reference_models.common import check_images
from reference_models.extractors import caffe_xavier_, make_extractor, max_pool, pooled_size

SMALLEST = 32
WIDTHS = (24, 48, 64, 128)


@dataclass(frozen=True)
class AMTENnetOutput:
    """The output of AMTENnet.

    Attributes:
        logits: N,C.
        traces: output of the extractor, N,P,H,W on the scale 0-255.
    """

    logits: Tensor
    traces: Tensor


class TraceClassifier(nn.Module):
    """The layers after the extractor: convolution, pooling, ReLU, *then* batch normalisation; three dense layers.

    There is no activation or dropout between the dense layers, as published.

    Args:
        in_channels: output channels of the extractor.
        num_classes: outputs.
        image_size: height and width in pixels; the first dense layer depends on it.
    """

    def __init__(self, in_channels: int, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.conv4 = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1)
        self.bn4 = nn.BatchNorm2d(WIDTHS[0])
        self.conv5 = nn.Conv2d(WIDTHS[0], WIDTHS[1], 3)
        self.bn5 = nn.BatchNorm2d(WIDTHS[1])
        self.conv6 = nn.Conv2d(WIDTHS[1], WIDTHS[2], 3)
        self.bn6 = nn.BatchNorm2d(WIDTHS[2])
        self.conv7 = nn.Conv2d(WIDTHS[2], WIDTHS[3], 1)
        self.pool = max_pool()
        self.fc0 = nn.Linear(WIDTHS[3] * last_map(image_size) ** 2, 300)
        self.fc1 = nn.Linear(300, 300)
        self.fc2 = nn.Linear(300, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                caffe_xavier_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, traces: Tensor) -> Tensor:
        """N,P,H,W -> logits N,C."""
        x = self.bn4(F.relu(self.pool(self.conv4(traces))))
        x = self.bn5(F.relu(self.pool(self.conv5(x))))
        x = self.bn6(F.relu(self.pool(self.conv6(x))))
        x = F.relu(self.pool(self.conv7(x)))
        logits: Tensor = self.fc2(self.fc1(self.fc0(x.flatten(1))))
        return logits


class AMTENnet(nn.Module):
    """An extractor of manipulation traces and a small classifier (Guo, Yang, Chen and Sun, CVIU 2021).

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: height and width in pixels; 128 was published.
        extractor: ``amten`` is AMTENnet; ``high-pass``, ``srm``, ``constrained`` and ``mte`` are the other rows of
            Table II of GRnet.
        padding: border of the fixed filters ``high-pass`` and ``srm``: ``reflect`` or ``zeros``.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        extractor: str = "amten",
        padding: str = "reflect",
    ) -> None:
        super().__init__()
        size = 128 if image_size is None else image_size
        if size < SMALLEST:
            raise ModelError(f"amtennet needs images of at least {SMALLEST} pixels, got {size}", "use larger crops")
        self.image_size = size
        self.extractor, channels = make_extractor(extractor, padding)
        self.classifier = TraceClassifier(channels, num_classes, size)

    def forward(self, images: Tensor) -> AMTENnetOutput:
        """RGB in [0,1], N,3,S,S with S the size it was built for -> logits and traces."""
        check_images(images, SMALLEST, exact=self.image_size)
        traces = self.extractor(images.flip(1) * 255.0)  # the published input is BGR from 0 to 255
        return AMTENnetOutput(self.classifier(traces), traces)


def last_map(size: int) -> int:
    """Return the side of the feature map before the dense layers.

    >>> [last_map(size) for size in (128, 224, 256)]
    [7, 13, 15]
    """
    side = pooled_size(size)
    side = pooled_size(side - 2)
    side = pooled_size(side - 2)
    return pooled_size(side)
