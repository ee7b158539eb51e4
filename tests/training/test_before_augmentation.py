"""A detector that adds planes to a batch before it is augmented."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dfbench.models.build import build_model
from dfbench.models.interface import before_augmentation
from dfbench.workflow import train

FILE = """
from torch import cat, nn

class Adds(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.head = nn.Linear(4, num_classes)

    def before_augmentation(self, images):
        return cat((images, images.mean(dim=1, keepdim=True)), dim=1)

    def forward(self, images):
        if images.shape[1] == 3:
            if self.training:
                raise RuntimeError("a training batch came without its fourth plane")
            images = self.before_augmentation(images)
        assert (images[:, 3] - images[:, :3].mean(dim=1)).abs().max() < 1e-4  # flips and warps are linear
        return self.head(images.mean(dim=(2, 3)))
"""


def test_training_augments_what_the_detector_adds(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "adds.py"
    file.write_text(FILE, "utf-8")
    weights = train(
        f"{file}:Adds", tiny.protocol, [tiny.manifest], tmp_path / "w.safetensors", device="cpu", quiet=True
    )
    assert weights.is_file()


@pytest.mark.parametrize("name", ["meso4", "grnet"])
def test_other_detectors_get_the_images_unchanged(name: str) -> None:
    images = torch.rand(2, 3, 64, 64)
    assert before_augmentation(build_model(name, 2, 64), images) is images
