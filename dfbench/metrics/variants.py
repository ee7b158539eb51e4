"""Rules of other benchmarks, faults included, as variants of our metrics: ``eer.frame~dfb``, ``auc.video.mean~sbi``.

A published number can be matched only by the rule it was made by. Each variant says what it does differently and
where that was read; the rules are written anew from that reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfbench.metrics.definitions import Kind, kind_of
from dfbench.metrics.roc import Counts, Values, turned
from dfbench.metrics.samples import Samples
from dfbench.metrics.validation import Labels, Scores

DFB_SOURCE = "DeepfakeBench, training/metrics/utils.py, get_test_metrics (commit 35cc2d4)"
SBI_SOURCE = "SelfBlendedImages, src/inference/inference_dataset.py (commit 249281e)"
OF_MEANS = ("dfb", "sbi")
"""Peers whose code forms videos by the mean and in no other way."""
HFF_SOURCE = "Hybrid-Fake-Face-Dataset, create_txtlabel.py; SFIConv, SFIC_ResNet/test.py: fake 0, real 1"


@dataclass(frozen=True)
class Variant:
    """One metric by a peer's rule.

    Attributes:
        kind: what is computed.
        differs: what differs from our metric of that name.
        source: where the rule was read.
        samples: the rows of a cell -> what the metric rests on; None: as ours.
    """

    kind: Kind
    differs: str
    source: str
    samples: Callable[[pd.DataFrame], Samples] | None = None


def variant_of(metric: str, level: str, peer: str) -> Variant | None:
    """The variant of a metric at a level (``frame``, ``video.mean``, ...) by a peer's rule; None if there is none.

    >>> variant_of("eer", "frame", "dfb").differs
    'FPR at the vertex nearest to equal errors, after dropping vertices on straight runs'
    """
    build = _FIXED.get((metric, level, peer))
    if build is not None:
        return build()
    if peer == "real-positive" and metric.partition("=")[0] in ("ap", "tpr@fpr"):
        return _real_positive(metric)
    return None


def variant_names() -> tuple[str, ...]:
    """Names of variants, with one of each family."""
    fixed = tuple(f"{metric}.{level}~{peer}" for metric, level, peer in _FIXED)
    return (*fixed, "ap.frame~real-positive", "ap.video.mean~real-positive", "tpr@fpr=0.01.frame~real-positive")


def dfb_eer(tp: Counts, fp: Counts) -> Values:
    """DeepfakeBench's equal error rate of each weighting: (B,) from (B, V + 1).

    The false positive rate at the vertex where both error rates are nearest (the first of equals), on the curve that
    scikit-learn's ``roc_curve`` draws by default: vertices in the middle of a straight run of equal steps are dropped
    first, and with them the nearest one, perhaps.
    """
    return np.array([_nearest_vertex(t, f) for t, f in zip(tp, fp, strict=True)])


def _nearest_vertex(tp: NDArray[np.int64], fp: NDArray[np.int64]) -> float:
    moved = np.flatnonzero((np.diff(tp) != 0) | (np.diff(fp) != 0)) + 1  # a resample empties some vertices
    t, f = tp[moved], fp[moved]
    if len(t) > 2:
        bend = np.concatenate(([True], (np.diff(t, 2) != 0) | (np.diff(f, 2) != 0), [True]))
        t, f = t[bend], f[bend]
    fpr = np.concatenate(([0.0], f / f[-1]))
    fnr = 1 - np.concatenate(([0.0], t / t[-1]))
    return float(fpr[np.argmin(np.abs(fnr - fpr))])


def dfb_videos(rows: pd.DataFrame) -> Samples:
    """Videos as DeepfakeBench forms them: by the name of the folder that holds a frame, and by nothing else.

    ``000_003`` is the name of one clip of each of FaceForensics++'s manipulations: 560 fakes become 140. The score
    is the mean over all frames under the name; the label is their mean, cut down to an integer, so that a name that
    reals and fakes share is real.
    """
    scored = rows[rows["status"] == "ok"]
    folder = scored["media_id"].str.rpartition("/")[2].to_numpy(str)
    names, first, code = np.unique(folder, return_index=True, return_inverse=True)
    count = np.bincount(code, minlength=len(names))
    scores = np.bincount(code, weights=scored["score"], minlength=len(names)) / np.maximum(count, 1)
    labels = np.bincount(code, weights=scored["label"], minlength=len(names)) // np.maximum(count, 1)
    return _samples(labels.astype(np.int8), np.clip(scores, 0, 1), scored["scene_group"].to_numpy(str)[first])


def sbi_videos(rows: pd.DataFrame) -> Samples:
    """Videos as the code of Self-Blended Images scores them.

    The highest score of a frame's faces, then the mean over the frames with a face; a video without any is 0.5,
    whatever the declared failure policy.
    """
    scored = rows[rows["status"] == "ok"]
    frame = scored["sample_id"].str.rpartition(".")[0]
    highest = scored.groupby(frame, sort=False).agg({"media_id": "first", "score": "max"})
    means = highest.groupby("media_id")["score"].mean()
    videos = rows.drop_duplicates("media_id").sort_values("media_id")
    scores = videos["media_id"].map(means).fillna(0.5).to_numpy(np.float64)
    return _samples(videos["label"].to_numpy(np.int8), scores, videos["scene_group"].to_numpy(str))


def _samples(labels: Labels, scores: Scores, scene_groups: NDArray[np.str_]) -> Samples:
    _, groups = np.unique(scene_groups, return_inverse=True)
    return Samples(labels, scores, groups, len(labels), int(np.sum(labels == 0)))


def _dfb(metric: str, level: str) -> Variant:
    kind = kind_of(metric)
    said = []
    if metric == "eer":
        kind = replace(kind, ranked=dfb_eer)
        said.append("FPR at the vertex nearest to equal errors, after dropping vertices on straight runs")
    if metric == "acc":
        kind = replace(kind, above=0.5, always_binary=True)
        said.append("fake strictly above 0.5: a score of 0.5 counts as real, whatever the declared threshold")
    if level == "video.mean":
        said.append("videos are told apart by their folder's name alone; a mixed label is cut down to real")
    return Variant(kind, "; ".join(said), DFB_SOURCE, dfb_videos if level == "video.mean" else None)


def _sbi(metric: str) -> Variant:
    differs = "highest face of a frame, mean over frames with a face, 0.5 for a video without one"
    return Variant(kind_of(metric), differs, SBI_SOURCE, sbi_videos)


def _real_positive(metric: str) -> Variant:
    ours = kind_of(metric)
    ranked = ours.ranked
    assert ranked is not None

    def of(tp: Counts, fp: Counts) -> Values:
        return ranked(*turned(tp, fp))

    kind = replace(ours, ranked=of, real_positive=True)
    return Variant(kind, "real is the positive class, scored by 1 - P(fake)", HFF_SOURCE)


_FIXED: Mapping[tuple[str, str, str], Callable[[], Variant]] = MappingProxyType(
    {
        ("eer", "frame", "dfb"): lambda: _dfb("eer", "frame"),
        ("acc", "frame", "dfb"): lambda: _dfb("acc", "frame"),
        ("eer", "video.mean", "dfb"): lambda: _dfb("eer", "video.mean"),
        ("auc", "video.mean", "dfb"): lambda: _dfb("auc", "video.mean"),
        ("auc", "video.mean", "sbi"): lambda: _sbi("auc"),
        ("ap", "video.mean", "sbi"): lambda: _sbi("ap"),
    }
)
