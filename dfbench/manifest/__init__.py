"""Manifests: a folder of Parquet shards of face crops and ``manifest.json``. Write, open, view and verify them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

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

__getattr__ = lazy_attributes(__name__, _LAZY)
