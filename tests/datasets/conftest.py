"""Trees of empty files, and counts of what a scan found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dfbench.datasets.adapter import Scan


@pytest.fixture
def touch() -> Callable[..., Path]:
    """Make empty files below a folder."""

    def make(root: Path, paths: Iterable[str]) -> Path:
        names = [os.path.join(root, path) for path in paths]
        for folder in {os.path.dirname(name) for name in names}:
            os.makedirs(folder, exist_ok=True)
        for name in names:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        return root

    return make


@pytest.fixture
def cells() -> Callable[[Scan], dict[tuple[str, int, str], int]]:
    """(split, label, manipulation) -> number of media."""

    def count(scan: Scan) -> dict[tuple[str, int, str], int]:
        return dict(Counter((m.split, m.label, m.manipulation) for m in scan.media))

    return count
