"""The AUC of weighted scene groups, from how often the fakes of one group score above the reals of another.

With fewer groups than resamples this is far quicker than drawing the ROC of each resample, and equal to it to the
last bit: both are ratios of the same whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics.roc import Values
from dfbench.metrics.validation import Labels, Scores


def auc_of_groups(labels: Labels, scores: Scores, groups: NDArray[np.intp], draws: NDArray[np.int32]) -> Values:
    """The AUC of every resample.

    Args:
        labels: (N,) 0 real, 1 fake; both occur in every resample.
        scores: (N,) P(fake).
        groups: (N,) number of each sample's scene group.
        draws: (B, G) how often each group is drawn.

    Returns:
        (B,) float64.
    """
    n_groups = draws.shape[1]
    weights = draws.astype(np.float64)
    wins = pair_wins(labels, scores, groups, n_groups)
    fakes = weights @ np.bincount(groups[labels == 1], minlength=n_groups)
    reals = weights @ np.bincount(groups[labels == 0], minlength=n_groups)
    twice = np.einsum("bg,bg->b", weights @ wins, weights)
    return np.asarray(twice / (2 * fakes * reals), np.float64)


def pair_wins(labels: Labels, scores: Scores, groups: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """(G, G): twice the pairs of a fake of the row's group above a real of the column's, a tie counting one."""
    fake = labels == 1
    ordered = np.flatnonzero(fake)[np.argsort(scores[fake], kind="stable")]
    fake_scores, fake_groups = scores[ordered], groups[ordered]
    real_scores, real_groups = scores[~fake], groups[~fake]
    by_group = np.lexsort((real_scores, real_groups))
    real_scores = real_scores[by_group]
    ends = np.cumsum(np.bincount(real_groups, minlength=n_groups))
    wins = np.zeros((n_groups, n_groups))
    for group, (start, end) in enumerate(zip(np.concatenate(([0], ends[:-1])), ends, strict=True)):
        if start < end:
            own = real_scores[start:end]
            below = np.searchsorted(own, fake_scores, "left") + np.searchsorted(own, fake_scores, "right")
            wins[:, group] = np.bincount(fake_groups, weights=below, minlength=n_groups)
    return wins
