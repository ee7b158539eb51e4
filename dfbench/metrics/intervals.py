"""Percentile bootstrap over scene groups.

Frames of one clip, and a clip and the fakes made from it, are not independent: intervals that draw frames are far
too narrow. Whole scene groups are drawn with replacement instead, at frame and at video level alike. Groups are
drawn within strata (both classes, only reals, only fakes), so every resample holds both classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics.kinds import Kind
from dfbench.metrics.ranking import Counts, Values, rank, vertices
from dfbench.metrics.validation import Labels, Scores

LEVEL = 0.95
MIN_GROUPS = 20
MIN_GROUPS_OF_A_CLASS = 5
_CHUNK = 1 << 18  # samples weighted at once: the working arrays stay within a processor's cache

Draws = NDArray[np.int32]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, or the reason why there is none.

    Attributes:
        low: 2.5th percentile of the resamples.
        high: 97.5th percentile.
        note: why there is no interval, or what it can not tell; None where there is nothing to say.
    """

    low: float | None
    high: float | None
    note: str | None = None


def group_codes(groups: NDArray[np.str_] | list[str]) -> tuple[NDArray[np.str_], NDArray[np.intp]]:
    """Distinct scene groups in sorted order, and the number of each sample's group (N,)."""
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return names, codes


def refusal(labels: Labels, groups: NDArray[np.intp], both: bool) -> str | None:
    """Why these data give no interval, or None if they do.

    Args:
        labels: (N,) 0 real, 1 fake.
        groups: (N,) number of each sample's scene group.
        both: whether the metric needs both classes.
    """
    n = len(np.unique(groups))
    if n < MIN_GROUPS:
        return f"{n} scene groups; at least {MIN_GROUPS} are needed"
    for value, name in ((0, "real"), (1, "fake")):
        n = len(np.unique(groups[labels == value]))
        if both and n < MIN_GROUPS_OF_A_CLASS:
            return f"{name} samples in {n} scene groups; at least {MIN_GROUPS_OF_A_CLASS} are needed"
    return None


def draw_groups(labels: Labels, groups: NDArray[np.intp], resamples: int, seed: int) -> Draws:
    """How often each scene group is drawn in each resample.

    Args:
        labels: (N,) 0 real, 1 fake.
        groups: (N,) number of each sample's scene group, 0 to G - 1.
        resamples: B.
        seed: of the generator.

    Returns:
        (B, G) int32 multiplicities. Their sum over each stratum of groups (both classes, only reals, only fakes)
        is the size of that stratum.
    """
    n_groups = int(groups.max()) + 1
    has_fake = np.bincount(groups, weights=labels, minlength=n_groups) > 0
    has_real = np.bincount(groups, weights=1 - labels, minlength=n_groups) > 0
    draws = np.zeros((resamples, n_groups), np.int32)
    rng = np.random.default_rng(seed)
    for stratum in (has_real & has_fake, has_real & ~has_fake, has_fake & ~has_real):
        members = np.flatnonzero(stratum)
        for part in _chunks(resamples, len(members)):
            picks = rng.integers(len(members), size=(part.stop - part.start, len(members)))
            shift = np.arange(len(picks))[:, None] * len(members)
            counts = np.bincount((picks + shift).ravel(), minlength=picks.size)
            draws[part, members] = counts.reshape(picks.shape)
    return draws


def resample(
    kind: Kind, labels: Labels, scores: Scores, groups: NDArray[np.intp], draws: Draws, threshold: float
) -> Values:
    """The metric on every resample, without building any of them.

    Scores are sorted once; a resample only changes how often each sample counts. The values equal those of the
    metric on the drawn samples written out.

    Args:
        kind: the metric.
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake).
        groups: (N,) number of each sample's scene group.
        draws: (B, G) multiplicities of :func:`draw_groups`.
        threshold: decision threshold, where the metric has one.

    Returns:
        (B,) float64.
    """
    if kind.ranked is None:
        return _resample_sums(kind, labels, scores, groups, draws, threshold)
    ranking = rank(labels, scores)
    ordered = groups[ranking.order]
    values = np.empty(len(draws))
    for part in _chunks(len(draws), len(scores)):
        weights: Counts = np.take(draws[part], ordered, axis=1)
        values[part] = kind.ranked(*vertices(ranking, weights))
    return values


def _resample_sums(
    kind: Kind, labels: Labels, scores: Scores, groups: NDArray[np.intp], draws: Draws, threshold: float
) -> Values:
    assert kind.columns is not None
    assert kind.summed is not None
    columns = kind.columns(labels, scores, threshold)
    n_groups = draws.shape[1]
    per_group = np.stack([np.bincount(groups, weights=c, minlength=n_groups) for c in columns.T], axis=1)
    return kind.summed(draws.astype(np.float64) @ per_group)


def percentile_interval(values: Values, level: float = LEVEL) -> Interval:
    """The interval between the outer percentiles of resampled values.

    >>> round(percentile_interval(np.arange(201.0)).low, 6)
    5.0
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    note = None
    if low == high:
        note = "every resample gives the same value: the data do not tell how far from it the truth may lie"
    return Interval(float(low), float(high), note)


def _chunks(total: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK // max(width, 1))
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
