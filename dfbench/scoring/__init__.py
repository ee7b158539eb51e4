"""Scores of a user's images and clips: P(fake) per face, frame and file, with tables, timelines and overlays.

``score`` is the entry point; :mod:`dfbench.scoring.results` defines what it returns. Nothing is imported until an
attribute is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.scoring.labels import FileMetric as FileMetric
    from dfbench.scoring.labels import LabelledMetrics as LabelledMetrics
    from dfbench.scoring.labels import ScoreThreshold as ScoreThreshold
    from dfbench.scoring.outputs import ScoringError as ScoringError
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
    "CAUTION": "dfbench.scoring.results",
    "CropOptions": "dfbench.scoring.resolve",
    "FaceScore": "dfbench.scoring.results",
    "FileMetric": "dfbench.scoring.labels",
    "FileScore": "dfbench.scoring.results",
    "FrameScore": "dfbench.scoring.results",
    "LabelledMetrics": "dfbench.scoring.labels",
    "ScoringError": "dfbench.scoring.outputs",
    "ScoreThreshold": "dfbench.scoring.labels",
    "ScoreSummary": "dfbench.scoring.results",
    "ScoringResult": "dfbench.scoring.results",
    "TrackScore": "dfbench.scoring.results",
    "score": "dfbench.scoring.score_files",
}

__all__ = sorted(_LAZY)

__getattr__ = lazy_attributes(__name__, _LAZY)
