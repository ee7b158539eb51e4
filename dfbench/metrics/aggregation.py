"""Frame scores to video scores, by ``media_id`` and never by a folder's name.

``000_003`` exists once for every manipulation and compression of FaceForensics++: grouped by folder, 700 test
videos collapse to 280. A ``media_id`` names data set, subset and manipulation as well, and two labels under one id
are an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from dfbench.errors import DataError, unknown_name
from dfbench.metrics.validation import Labels, Scores, check, check_threshold

Aggregation = Literal["mean", "mean-logit", "max", "median", "vote"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)

LOGIT_CLIP = 1e-7
"""Probabilities are moved this far from 0 and 1 before a logit is taken, so that one frame can not be infinite."""


@dataclass(frozen=True, eq=False)
class Videos:
    """One value a video, sorted by media id.

    Attributes:
        media_ids: (M,) the ids.
        labels: (M,) 0 real, 1 fake, int8.
        scores: (M,) aggregated score in [0,1], float64.
        frames: (M,) how many frames each rests on.
        first: (M,) position of a frame of each video in the input.
    """

    media_ids: NDArray[np.str_]
    labels: Labels
    scores: Scores
    frames: NDArray[np.int64]
    first: NDArray[np.intp]


def aggregate(
    media_ids: Sequence[str] | NDArray[np.str_],
    labels: ArrayLike,
    scores: ArrayLike,
    how: str = "mean",
    threshold: float = 0.5,
) -> Videos:
    """One score a video from its frames' scores.

    Args:
        media_ids: (N,) the video each frame belongs to.
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        how: ``mean`` of probabilities; ``mean-logit``, the mean of logits turned back into a probability; ``max``;
            ``median``; ``vote``, the share of frames at or above the threshold.
        threshold: of ``vote``, in [0,1].

    Raises:
        DataError: input that does not fit, or one media id with both labels.
        UndefinedMetric: no frame at all.
        UsageError: an unknown aggregation.

    >>> videos = aggregate(["a", "a", "b"], [1, 1, 0], [0.5, 0.75, 0.25])
    >>> videos.media_ids.tolist(), videos.scores.tolist(), videos.frames.tolist()
    (['a', 'b'], [0.625, 0.25], [2, 1])
    """
    if how not in AGGREGATIONS:
        raise unknown_name("aggregation", how, AGGREGATIONS)
    y, s = check(labels, scores)
    if len(media_ids) != len(y):
        raise DataError(f"{len(media_ids)} media ids do not fit {len(y)} labels")
    names, first, code, frames = np.unique(
        np.asarray(media_ids, dtype=str), return_index=True, return_inverse=True, return_counts=True
    )
    _refuse_mixed(names, y, code)
    if how == "vote":
        s = (s >= check_threshold(threshold)).astype(np.float64)
    elif how == "mean-logit":
        s = logit(np.clip(s, LOGIT_CLIP, 1 - LOGIT_CLIP))
    ordered = s[np.lexsort((s, code))]  # ascending within each video: sums do not depend on the order of rows
    starts = np.concatenate(([0], np.cumsum(frames)[:-1]))
    lowest, highest = ordered[starts], ordered[starts + frames - 1]
    if how == "max":
        value = highest
    elif how == "median":
        value = (ordered[starts + (frames - 1) // 2] + ordered[starts + frames // 2]) / 2
    else:
        # Measured from the lowest frame, a video of equal frames has exactly their score: rounding makes no ranks.
        above = np.add.reduceat(ordered - np.repeat(lowest, frames), starts)
        value = np.minimum(lowest + above / frames, highest)
    if how == "mean-logit":
        value = expit(value)
    return Videos(names, y[first], value, frames.astype(np.int64), first)


def _refuse_mixed(names: NDArray[np.str_], labels: Labels, code: NDArray[np.intp]) -> None:
    fakes = np.bincount(code, weights=labels, minlength=len(names))
    mixed = (fakes != 0) & (fakes != np.bincount(code, minlength=len(names)))
    if mixed.any():
        raise DataError(
            f"{np.count_nonzero(mixed)} media have frames of both labels, first: {names[np.argmax(mixed)]}",
            "one media id names one clip of one manipulation; build ids as dataset/subset/manipulation/name",
        )
