"""Trees of the data sets, once a session, and what a protocol makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trees

from dfbench.manifest.manifest import Manifest
from dfbench.protocols.protocol import Protocol

DETECTOR = """
import torch

class Tiny(torch.nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.scale = torch.nn.Linear(1, num_classes)

    def forward(self, images):
        return self.scale(images.mean(dim=(1, 2, 3), keepdim=False)[:, None])
"""


@pytest.fixture(scope="session")
def tree_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The tree of a data set."""
    made: dict[str, Path] = {}

    def make(dataset: str) -> Path:
        if dataset not in made:
            made[dataset] = trees.TREES[dataset](tmp_path_factory.mktemp(dataset.replace("+", "p")))
        return made[dataset]

    return make


@pytest.fixture
def manifests_of(tree_of: Callable[[str], Path], tmp_path: Path) -> Callable[[Protocol], list[Manifest]]:
    """The manifests that a protocol needs, with images of one colour."""

    def make(protocol: Protocol) -> list[Manifest]:
        return [
            trees.manifest_of(trees.plan_of(protocol, name, tree_of(name)), tmp_path / "manifests" / name)
            for name in protocol.datasets()
        ]

    return make


@pytest.fixture
def detector(tmp_path: Path) -> str:
    """A user's own detector of a handful of weights."""
    file = tmp_path / "tiny.py"
    file.write_text(DETECTOR)
    return f"{file}:Tiny"
