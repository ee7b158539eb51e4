"""The interval of a mean over training seeds: by the choice of scene groups, and by training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student


def mean_interval(
    values: NDArray[np.float64], influences: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % intervals of means over seeds.

    The influences of scene groups on the mean give one variance, the seeds the other; the interval is that of Student's
    t with Welch's degrees of freedom.

    Args:
        values: (seeds, K), K numbers of each training.
        influences: (seeds, K, V), of the videos on these numbers; see :func:`dfbench.metrics.delong.auc_influence`.
        groups: (V,), number of the scene group of each video.
    """
    sums = np.stack([np.bincount(groups, weights=line) for line in influences.mean(0)])
    count, seeds = sums.shape[1], len(values)
    over_groups = (sums**2).sum(1) * count / (count - 1)
    over_seeds = values.var(0, ddof=1) / seeds
    variance = over_groups + over_seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (over_groups**2 / (count - 1) + over_seeds**2 / (seeds - 1))
    half = np.where(variance > 0, student.ppf(0.975, np.where(variance > 0, df, 1.0)) * np.sqrt(variance), 0.0)
    mean = values.mean(0)
    return mean - half, mean + half
