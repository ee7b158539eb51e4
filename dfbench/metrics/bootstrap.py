"""Percentile bootstrap over scene groups.

Frames of one clip, and a clip and the fakes made from it, are not independent: intervals that draw frames are far
too narrow. Whole scene groups are drawn with replacement instead, at frame and at video level alike. Groups are
drawn within strata (both classes, only reals, only fakes), so every resample holds both classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UndefinedMetric, unknown_name
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.definitions import Kind, require_classes
from dfbench.metrics.pairs import auc_of_groups
from dfbench.metrics.roc import Counts, Values, auc_of, rank, vertices
from dfbench.metrics.samples import Samples
from dfbench.metrics.validation import Labels

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
    kind: Kind,
    samples: Samples,
    draws: Draws,
    threshold: float = 0.5,
    classes: Sequence[str] = BINARY,
) -> Values:
    """The metric on every resample, without building any of them.

    Scores are sorted once; a resample only changes how often each sample counts. The values equal those of the
    metric on the drawn samples written out.

    Args:
        kind: the metric.
        samples: what it is computed on.
        draws: (B, G) multiplicities of :func:`draw_groups`.
        threshold: decision threshold, where the metric has one.
        classes: names of the classes that decisions are made among.

    Returns:
        (B,) float64.
    """
    labels, scores, groups = samples.labels, samples.scores, samples.groups
    if kind.confused is not None:
        names = _judged_among(kind, samples, classes)
        cells = decisions(kind, samples, threshold, len(names))
        table = _by_group(cells, groups, draws.shape[1], len(names) ** 2)
        return kind.confused((draws.astype(np.float64) @ table).reshape(-1, len(names), len(names)), names)
    if kind.summed is not None and kind.columns is not None:
        columns = kind.columns(labels, scores)
        table = np.stack([np.bincount(groups, weights=c, minlength=draws.shape[1]) for c in columns.T], axis=1)
        return kind.summed(draws.astype(np.float64) @ table)
    assert kind.ranked is not None
    if kind.ranked is auc_of and 2 * draws.shape[1] <= len(draws):
        return auc_of_groups(labels, scores, groups, draws)
    ranking = rank(labels, scores)
    ordered = groups[ranking.order]
    values = np.empty(len(draws))
    for part in _chunks(len(draws), len(scores)):
        weights: Counts = np.take(draws[part], ordered, axis=1)
        values[part] = kind.ranked(*vertices(ranking, weights))
    return values


def estimate(kind: Kind, samples: Samples, threshold: float = 0.5, classes: Sequence[str] = BINARY) -> float:
    """The metric itself: every scene group drawn once.

    Raises:
        UndefinedMetric: it does not exist on these samples; the message is the reason.
    """
    require_classes(kind, samples.labels)
    if kind.of_class:
        require_class(kind, samples, classes)
    media = samples.n_media - samples.n_real_media if kind.real_positive else samples.n_real_media
    if media < kind.least_media:
        which = "fake" if kind.real_positive else "real"
        raise UndefinedMetric(f"{media} {which} media; {kind.title} needs at least {kind.least_media}")
    once = np.ones((1, int(samples.groups.max()) + 1), np.int32)
    return float(resample(kind, samples, once, threshold, classes)[0])


def require_class(kind: Kind, samples: Samples, classes: Sequence[str]) -> None:
    """Raise where the class that a metric is about is no class of the task, or does not occur.

    Raises:
        UsageError: there is no such class.
        UndefinedMetric: no sample has it.
    """
    names = _judged_among(kind, samples, classes)
    if kind.of_class not in names:
        raise unknown_name("class", kind.of_class, names)
    truth = samples.labels if samples.classes is None else samples.classes.truth
    if not np.any(truth == list(names).index(kind.of_class)):
        raise UndefinedMetric(f"no samples of class {kind.of_class}")


def decisions(kind: Kind, samples: Samples, threshold: float, classes: int) -> NDArray[np.intp]:
    """Cell of the confusion matrix that each sample falls into: true class times C, plus called class; (N,)."""
    if samples.classes is None or kind.always_binary:
        called = kind.is_fake(samples.scores, threshold)
        return np.asarray(samples.labels * 2 + called, np.intp)
    return np.asarray(samples.classes.truth * classes + samples.classes.called, np.intp)


def _judged_among(kind: Kind, samples: Samples, classes: Sequence[str]) -> Sequence[str]:
    return BINARY if samples.classes is None or kind.always_binary else classes


def _by_group(cells: NDArray[np.intp], groups: NDArray[np.intp], n_groups: int, width: int) -> Values:
    counts = np.bincount(groups * width + cells, minlength=n_groups * width)
    return counts.reshape(n_groups, width).astype(np.float64)


def percentile_interval(values: Values, level: float = LEVEL) -> Interval:
    """The interval between the outer percentiles of resampled values.

    >>> round(percentile_interval(np.arange(201.0)).low, 6)
    5.0
    """
    # A recall does not exist in a resample without its class.
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    note = None
    if low == high:
        note = "every resample gives the same value: the data do not tell how far from it the truth may lie"
    return Interval(float(low), float(high), note)


def _chunks(total: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK // max(width, 1))
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
