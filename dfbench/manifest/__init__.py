"""Manifests: a folder of Parquet shards of face crops and ``manifest.json``. Write, open, view and verify them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest as Manifest
    from dfbench.manifest.manifest import open_manifest as open_manifest
    from dfbench.manifest.samples import Samples as Samples
    from dfbench.manifest.similarities import MethodSimilarity as MethodSimilarity
    from dfbench.manifest.similarities import SimilarityOrigin as SimilarityOrigin
    from dfbench.manifest.similarities import read_similarities as read_similarities
    from dfbench.manifest.similarities import similarities_of as similarities_of
    from dfbench.manifest.similarities import similarity_by_method as similarity_by_method
    from dfbench.manifest.similarities import write_similarities as write_similarities
    from dfbench.manifest.torch_dataset import CropDataset as CropDataset
    from dfbench.manifest.triples import TRIPLE_COLUMNS as TRIPLE_COLUMNS
    from dfbench.manifest.triples import TripleCounts as TripleCounts
    from dfbench.manifest.triples import Triples as Triples
    from dfbench.manifest.triples import find_triples as find_triples
    from dfbench.manifest.triples import require_triples as require_triples
    from dfbench.manifest.verify import Problem as Problem

_LAZY = {
    "CropDataset": "dfbench.manifest.torch_dataset",
    "Manifest": "dfbench.manifest.manifest",
    "MethodSimilarity": "dfbench.manifest.similarities",
    "Problem": "dfbench.manifest.verify",
    "Samples": "dfbench.manifest.samples",
    "SimilarityOrigin": "dfbench.manifest.similarities",
    "TRIPLE_COLUMNS": "dfbench.manifest.triples",
    "TripleCounts": "dfbench.manifest.triples",
    "Triples": "dfbench.manifest.triples",
    "find_triples": "dfbench.manifest.triples",
    "open_manifest": "dfbench.manifest.manifest",
    "read_similarities": "dfbench.manifest.similarities",
    "require_triples": "dfbench.manifest.triples",
    "similarities_of": "dfbench.manifest.similarities",
    "similarity_by_method": "dfbench.manifest.similarities",
    "write_similarities": "dfbench.manifest.similarities",
}

__all__ = [
    "TRIPLE_COLUMNS",
    "CropDataset",
    "Manifest",
    "MethodSimilarity",
    "Problem",
    "Samples",
    "SimilarityOrigin",
    "TripleCounts",
    "Triples",
    "find_triples",
    "open_manifest",
    "read_similarities",
    "require_triples",
    "similarities_of",
    "similarity_by_method",
    "write_similarities",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
