"""The five tables that the parts of dfbench exchange, their identifiers, and rules that decide their rows.

``media``, ``manifest``, ``scores``, ``result`` and ``published`` hold one table each; ``sampling`` and
``random_media`` hold rules for frames and media; ``ids`` builds and reads identifiers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.schema.columns import Column as Column
    from dfbench.schema.columns import TableContract as TableContract
    from dfbench.schema.ids import MediaName as MediaName
    from dfbench.schema.ids import media_id as media_id
    from dfbench.schema.ids import parse_media_id as parse_media_id
    from dfbench.schema.ids import parse_sample_id as parse_sample_id
    from dfbench.schema.ids import sample_id as sample_id
    from dfbench.schema.ids import seed_from as seed_from
    from dfbench.schema.manifest import MANIFEST as MANIFEST
    from dfbench.schema.manifest import STATUSES as STATUSES
    from dfbench.schema.manifest import ManifestInfo as ManifestInfo
    from dfbench.schema.manifest import ShardInfo as ShardInfo
    from dfbench.schema.media import FAKE as FAKE
    from dfbench.schema.media import MEDIA as MEDIA
    from dfbench.schema.media import REAL as REAL
    from dfbench.schema.media import SPLITS as SPLITS
    from dfbench.schema.media import Media as Media
    from dfbench.schema.media import Split as Split
    from dfbench.schema.published import PublishedNumber as PublishedNumber
    from dfbench.schema.published import load_published as load_published
    from dfbench.schema.random_media import FractionalSplit as FractionalSplit
    from dfbench.schema.random_media import RandomSubset as RandomSubset
    from dfbench.schema.result import MetricValue as MetricValue
    from dfbench.schema.result import RunResult as RunResult
    from dfbench.schema.sampling import FrameSampling as FrameSampling
    from dfbench.schema.sampling import TotalSampling as TotalSampling
    from dfbench.schema.sampling import make_rule as make_rule
    from dfbench.schema.sampling import parse_rule as parse_rule
    from dfbench.schema.scores import EXAMPLES as EXAMPLES
    from dfbench.schema.scores import SCORES as SCORES
    from dfbench.schema.similarities import SIMILARITIES as SIMILARITIES

_LAZY = {
    "Column": "dfbench.schema.columns",
    "EXAMPLES": "dfbench.schema.scores",
    "FAKE": "dfbench.schema.media",
    "FractionalSplit": "dfbench.schema.random_media",
    "FrameSampling": "dfbench.schema.sampling",
    "MANIFEST": "dfbench.schema.manifest",
    "MEDIA": "dfbench.schema.media",
    "ManifestInfo": "dfbench.schema.manifest",
    "Media": "dfbench.schema.media",
    "MediaName": "dfbench.schema.ids",
    "MetricValue": "dfbench.schema.result",
    "PublishedNumber": "dfbench.schema.published",
    "REAL": "dfbench.schema.media",
    "RandomSubset": "dfbench.schema.random_media",
    "RunResult": "dfbench.schema.result",
    "SCORES": "dfbench.schema.scores",
    "SIMILARITIES": "dfbench.schema.similarities",
    "SPLITS": "dfbench.schema.media",
    "STATUSES": "dfbench.schema.manifest",
    "ShardInfo": "dfbench.schema.manifest",
    "Split": "dfbench.schema.media",
    "TableContract": "dfbench.schema.columns",
    "TotalSampling": "dfbench.schema.sampling",
    "load_published": "dfbench.schema.published",
    "make_rule": "dfbench.schema.sampling",
    "media_id": "dfbench.schema.ids",
    "parse_media_id": "dfbench.schema.ids",
    "parse_rule": "dfbench.schema.sampling",
    "parse_sample_id": "dfbench.schema.ids",
    "sample_id": "dfbench.schema.ids",
    "seed_from": "dfbench.schema.ids",
}

__all__ = [
    "EXAMPLES",
    "FAKE",
    "MANIFEST",
    "MEDIA",
    "REAL",
    "SCORES",
    "SIMILARITIES",
    "SPLITS",
    "STATUSES",
    "Column",
    "FractionalSplit",
    "FrameSampling",
    "ManifestInfo",
    "Media",
    "MediaName",
    "MetricValue",
    "PublishedNumber",
    "RandomSubset",
    "RunResult",
    "ShardInfo",
    "Split",
    "TableContract",
    "TotalSampling",
    "load_published",
    "make_rule",
    "media_id",
    "parse_media_id",
    "parse_rule",
    "parse_sample_id",
    "sample_id",
    "seed_from",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
