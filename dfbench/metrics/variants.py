"""Metrics by the rules of reference implementations, errors included: ``eer.frame~dfb``, ``auc.video.mean~sbi``.

A published number can be reproduced only by the rule it was computed with. Each variant states what differs and where
the rule was read; the code is written from that reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfbench.metrics.definitions import MetricDefinition, metric_definition
from dfbench.metrics.roc import Counts, Values, inverted
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.validation import Labels, Scores

DFB_SOURCE = "DeepfakeBench, training/metrics/utils.py, get_test_metrics (commit 35cc2d4)"
SBI_SOURCE = "SelfBlendedImages, src/inference/inference_dataset.py (commit 249281e)"
MEAN_ONLY = ("dfb", "sbi")
"""Reference implementations whose only aggregation of frames to videos is the mean."""
HFF_SOURCE = "Hybrid-Fake-Face-Dataset, create_txtlabel.py; SFIConv, SFIC_ResNet/test.py: fake 0, real 1"


@dataclass(frozen=True)
class MetricVariant:
    """One metric by the rule of a reference implementation.

    Attributes:
        definition: how it is computed.
        differs: what differs from dfbench's metric of that name.
        source: where the rule was read.
        samples: the rows of a slice -> the samples of the metric; None: as dfbench forms them.
    """

    definition: MetricDefinition
    differs: str
    source: str
    samples: Callable[[pd.DataFrame], MetricSamples] | None = None


def variant_of(metric: str, level: str, reference: str) -> MetricVariant | None:
    """Return the variant of a metric at a level (``frame``, ``video.mean``, ...), or None if there is none.

    >>> variant_of("eer", "frame", "dfb").differs
    'FPR at the vertex nearest to equal errors, after dropping vertices on straight runs'
    """
    build = _FIXED.get((metric, level, reference))
    if build is not None:
        return build()
    if reference == "real-positive" and metric.partition("=")[0] in ("ap", "tpr@fpr"):
        return _real_positive(metric)
    return None


def variant_names() -> tuple[str, ...]:
    """Return the names of the variants; for metrics with a parameter, one example of each."""
    fixed = tuple(f"{metric}.{level}~{reference}" for metric, level, reference in _FIXED)
    return (*fixed, "ap.frame~real-positive", "ap.video.mean~real-positive", "tpr@fpr=0.01.frame~real-positive")


def dfb_eer(tp: Counts, fp: Counts) -> Values:
    """Compute DeepfakeBench's equal error rate; (B,) from (B, V + 1).

    It is the false positive rate at the first vertex where the error rates are closest, on the curve that
    scikit-learn's ``roc_curve`` returns by default, which drops vertices inside straight runs of equal steps, among
    them possibly the closest one.
    """
    return np.array([_nearest_vertex(t, f) for t, f in zip(tp, fp, strict=True)])


def _nearest_vertex(tp: NDArray[np.int64], fp: NDArray[np.int64]) -> float:
    moved = np.flatnonzero((np.diff(tp) != 0) | (np.diff(fp) != 0)) + 1  # some vertices of a resample are empty
    t, f = tp[moved], fp[moved]
    if len(t) > 2:
        bend = np.concatenate(([True], (np.diff(t, 2) != 0) | (np.diff(f, 2) != 0), [True]))
        t, f = t[bend], f[bend]
    fpr = np.concatenate(([0.0], f / f[-1]))
    fnr = 1 - np.concatenate(([0.0], t / t[-1]))
    return float(fpr[np.argmin(np.abs(fnr - fpr))])


def dfb_videos(rows: pd.DataFrame) -> MetricSamples:
    """Group frames to videos as DeepfakeBench does: by the name of the frame's folder only.

    ``000_003`` is the name of one clip per manipulation of FaceForensics++: 560 fakes become 140. The score is the
    mean over all frames with that name; the label is their mean rounded down, so that a name shared by reals and
    fakes is real.
    """
    scored = rows[rows["status"] == "ok"]
    folder = scored["media_id"].str.rpartition("/")[2].to_numpy(str)
    names, first, code = np.unique(folder, return_index=True, return_inverse=True)
    count = np.bincount(code, minlength=len(names))
    scores = np.bincount(code, weights=scored["score"], minlength=len(names)) / np.maximum(count, 1)
    labels = np.bincount(code, weights=scored["label"], minlength=len(names)) // np.maximum(count, 1)
    return _samples(labels.astype(np.int8), np.clip(scores, 0, 1), scored["scene_group"].to_numpy(str)[first])


def sbi_videos(rows: pd.DataFrame) -> MetricSamples:
    """Score videos as the code of Self-Blended Images does.

    A video's score is the mean over its frames with a face of the highest face score; a video without any face gets
    0.5, whatever the failure policy.
    """
    scored = rows[rows["status"] == "ok"]
    frame = scored["sample_id"].str.rpartition(".")[0]
    highest = scored.groupby(frame, sort=False).agg({"media_id": "first", "score": "max"})
    means = highest.groupby("media_id")["score"].mean()
    videos = rows.drop_duplicates("media_id").sort_values("media_id")
    scores = videos["media_id"].map(means).fillna(0.5).to_numpy(np.float64)
    return _samples(videos["label"].to_numpy(np.int8), scores, videos["scene_group"].to_numpy(str))


def _samples(labels: Labels, scores: Scores, scene_groups: NDArray[np.str_]) -> MetricSamples:
    _, groups = np.unique(scene_groups, return_inverse=True)
    return MetricSamples(labels, scores, groups, len(labels), int(np.sum(labels == 0)))


def _dfb(metric: str, level: str) -> MetricVariant:
    definition = metric_definition(metric)
    differs = []
    if metric == "eer":
        definition = replace(definition, ranked=dfb_eer)
        differs.append("FPR at the vertex nearest to equal errors, after dropping vertices on straight runs")
    if metric == "acc":
        definition = replace(definition, above=0.5, always_binary=True)
        differs.append("fake strictly above 0.5: a score of 0.5 counts as real, whatever the declared threshold")
    if level == "video.mean":
        differs.append("videos are identified by their folder name only; mixed labels are rounded down to real")
    return MetricVariant(definition, "; ".join(differs), DFB_SOURCE, dfb_videos if level == "video.mean" else None)


def _sbi(metric: str) -> MetricVariant:
    differs = "highest face of a frame, mean over frames with a face, 0.5 for a video without one"
    return MetricVariant(metric_definition(metric), differs, SBI_SOURCE, sbi_videos)


def _real_positive(metric: str) -> MetricVariant:
    ours = metric_definition(metric)
    ranked = ours.ranked
    assert ranked is not None

    def of(tp: Counts, fp: Counts) -> Values:
        return ranked(*inverted(tp, fp))

    definition = replace(ours, ranked=of, real_positive=True)
    return MetricVariant(definition, "real is the positive class, scored by 1 - P(fake)", HFF_SOURCE)


_FIXED: Mapping[tuple[str, str, str], Callable[[], MetricVariant]] = MappingProxyType(
    {
        ("eer", "frame", "dfb"): lambda: _dfb("eer", "frame"),
        ("acc", "frame", "dfb"): lambda: _dfb("acc", "frame"),
        ("eer", "video.mean", "dfb"): lambda: _dfb("eer", "video.mean"),
        ("auc", "video.mean", "dfb"): lambda: _dfb("auc", "video.mean"),
        ("auc", "video.mean", "sbi"): lambda: _sbi("auc"),
        ("ap", "video.mean", "sbi"): lambda: _sbi("ap"),
    }
)
