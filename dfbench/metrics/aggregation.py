"""Aggregate frame scores to video scores by ``media_id``, never by folder name.

``000_003`` exists once for every manipulation and compression of FaceForensics++: grouped by folder, 700 test
videos collapse to 280. A ``media_id`` includes data set, subset and manipulation, and two labels under one id are an
error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, unknown_name
from dfbench.metrics.exact_means import exact_means, logit_means
from dfbench.metrics.validation import Labels, Scores, check, check_threshold

Aggregation = Literal["mean", "mean-logit", "max", "median", "vote"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)

LOGIT_CLIP = 1e-7
"""Probabilities are clipped to this distance from 0 and 1 before the logit, so that no frame is infinite."""


@dataclass(frozen=True, eq=False)
class Videos:
    """One value per video, sorted by media id.

    Attributes:
        media_ids: (M,) the ids.
        labels: (M,) 0 real, 1 fake, int8.
        scores: (M,) aggregated score in [0,1], float64.
        frames: (M,) number of frames of each video.
        first: (M,) index of the first frame of each video in the input.
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
    """Compute one score per video from the scores of its frames.

    Args:
        media_ids: (N,) the video each frame belongs to.
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        how: ``mean`` of probabilities; ``mean-logit``, the mean of logits converted back to a probability; ``max``;
            ``median``; ``vote``, the fraction of frames at or above the threshold.
        threshold: decision threshold of ``vote``, in [0,1].

    Raises:
        DataError: invalid input, or one media id with both labels.
        UndefinedMetric: there is no frame.
        UsageError: an unknown aggregation.

    >>> videos = aggregate(["a", "a", "b"], [1, 1, 0], [0.5, 0.75, 0.25])
    >>> videos.media_ids.tolist(), videos.scores.tolist(), videos.frames.tolist()
    (['a', 'b'], [0.625, 0.25], [2, 1])
    """
    if how not in AGGREGATIONS:
        raise unknown_name("aggregation", how, AGGREGATIONS)
    y, s = check(labels, scores)
    if len(media_ids) != len(y):
        raise DataError(f"media_ids and labels have different lengths: {len(media_ids)} and {len(y)}")
    names, first, code, frames = np.unique(
        np.asarray(media_ids, dtype=str), return_index=True, return_inverse=True, return_counts=True
    )
    _check_labels(names, y, code)
    frames = frames.astype(np.int64)
    # Each is the floating-point number nearest to the exact value, so that no ties are broken by rounding.
    ordered = s[np.lexsort((s, code))]  # ascending within each video
    starts = np.cumsum(frames) - frames
    if how == "max":
        value = ordered[starts + frames - 1]
    elif how == "median":
        value = (ordered[starts + (frames - 1) // 2] + ordered[starts + frames // 2]) / 2
    elif how == "vote":
        value = np.bincount(code, weights=s >= check_threshold(threshold), minlength=len(names)) / frames
    elif how == "mean-logit":
        value = logit_means(ordered, frames, LOGIT_CLIP)
    else:
        value = exact_means(ordered, frames)
    return Videos(names, y[first], value, frames, first)


def _check_labels(names: NDArray[np.str_], labels: Labels, code: NDArray[np.intp]) -> None:
    fakes = np.bincount(code, weights=labels, minlength=len(names))
    mixed = (fakes != 0) & (fakes != np.bincount(code, minlength=len(names)))
    if mixed.any():
        raise DataError(
            f"{np.count_nonzero(mixed)} media have frames of both labels, the first is {names[np.argmax(mixed)]}",
            "one media id names one clip of one manipulation; build ids as dataset/subset/manipulation/name",
        )
