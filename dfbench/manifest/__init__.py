"""Manifests: a folder of Parquet shards of face crops and ``manifest.json``. Write, open, view and verify them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest as Manifest
    from dfbench.manifest.manifest import open_manifest as open_manifest
    from dfbench.manifest.samples import Samples as Samples
    from dfbench.manifest.torch_dataset import CropDataset as CropDataset
    from dfbench.manifest.verify import Problem as Problem

_LAZY = {
    "CropDataset": "dfbench.manifest.torch_dataset",
    "Manifest": "dfbench.manifest.manifest",
    "Problem": "dfbench.manifest.verify",
    "Samples": "dfbench.manifest.samples",
    "open_manifest": "dfbench.manifest.manifest",
}

__all__ = ["CropDataset", "Manifest", "Problem", "Samples", "open_manifest"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
