"""Scores of a user's images and clips: P(fake) per face, frame and file, with tables, timelines and overlays.

``score`` is the entry point; :mod:`dfbench.scoring.results` defines what it returns. Nothing is imported until an
attribute is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfbench.scoring.labels import FileMetric as FileMetric
    from dfbench.scoring.labels import LabelledMetrics as LabelledMetrics
    from dfbench.scoring.resolve import CropOptions as CropOptions
    from dfbench.scoring.results import CAUTION as CAUTION
    from dfbench.scoring.results import FaceScore as FaceScore
    from dfbench.scoring.results import FileScore as FileScore
    from dfbench.scoring.results import FrameScore as FrameScore
    from dfbench.scoring.results import ScoreSummary as ScoreSummary
    from dfbench.scoring.results import ScoringResult as ScoringResult
    from dfbench.scoring.results import TrackScore as TrackScore
    from dfbench.scoring.score_files import score as score

_LAZY = {
    "CAUTION": "results",
    "CropOptions": "resolve",
    "FaceScore": "results",
    "FileMetric": "labels",
    "FileScore": "results",
    "FrameScore": "results",
    "LabelledMetrics": "labels",
    "ScoreSummary": "results",
    "ScoringResult": "results",
    "TrackScore": "results",
    "score": "score_files",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dfbench.scoring' has no attribute {name!r}")
    return getattr(import_module(f"dfbench.scoring.{_LAZY[name]}"), name)
