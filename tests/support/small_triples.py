"""What trainings on triples need in tests: a detector with a last feature map, and fakes with a source and a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

MODEL = f"{__file__}:Net"
"""The detector by its file, as a command and another process name it."""

WEIGHT_WIDTHS = (8, 6, 4, 4)
"""For ``reference_models.diffusionfake.branches``: weight networks of a few channels."""


class Net(nn.Module):
    """A detector with a last map of 4 channels."""

    def __init__(self, num_classes: int = 2, image_size: int | None = None) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.SiLU())
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Any:
        """N,3,H,W -> N,C."""
        return self.head(self.maps(images).mean(dim=(2, 3)))


def partners(groups: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return columns for the rows of a drawn manifest with as many groups.

    The real clip of the same group is the target of a fake, that of the next group its source.
    """

    def add(row: dict[str, Any]) -> dict[str, Any]:
        if not row["label"]:
            return {"geometry_from": row["media_id"]}
        real = row["media_id"].replace("/Checker/", "/real/")
        other = real[:-2] + f"{(int(real[-2:]) + 1) % groups:02d}"
        return {"base_media_id": real, "source_media_id": other, "geometry_from": real}

    return add
