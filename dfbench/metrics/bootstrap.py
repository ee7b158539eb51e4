"""Bootstrap over scene groups: draws, and the metric on every draw.

Frames of one clip are not independent, and neither are a clip and the fakes made from it; resampling frames gives
intervals that are far too narrow. Whole scene groups are drawn with replacement instead, at frame and at video level.
Groups are drawn within strata (both classes, only reals, only fakes), so that every resample has both classes.

The AUC of many resamples is computed from how often the fakes of one group score above the reals of another. With
fewer groups than resamples this is much faster than one ROC per resample, and bit-identical to it, since both are
ratios of the same integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UndefinedMetric, unknown_name
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.definitions import MetricDefinition, require_classes
from dfbench.metrics.roc import Counts, Values, auc_of, rank, vertices
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.validation import Labels, Scores

LEVEL = 0.95
MIN_GROUPS = 20
MIN_GROUPS_OF_A_CLASS = 5
_CHUNK = 1 << 18  # samples weighted at once, so that the working arrays fit into the CPU cache

NO_RESAMPLES = "no resamples were requested"

Draws = NDArray[np.int32]


@dataclass(frozen=True)
class Interval:
    """An interval, or the reason why there is none.

    Attributes:
        low: lower end.
        high: upper end.
        note: why there is no interval, or what limits it; None otherwise.
        method: how it was computed; empty where there is none.
    """

    low: float | None
    high: float | None
    note: str | None = None
    method: str = ""


def no_interval_reason(labels: Labels, groups: NDArray[np.intp], both: bool) -> str | None:
    """Return why these data give no interval, or None if they give one.

    Args:
        labels: (N,) 0 real, 1 fake.
        groups: (N,) scene group number of each sample.
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
    """Draw scene groups with replacement.

    Args:
        labels: (N,) 0 real, 1 fake.
        groups: (N,) scene group number of each sample, 0 to G - 1.
        resamples: number of resamples B.
        seed: seed of the random generator.

    Returns:
        (B, G) int32 multiplicities; over each stratum of groups (both classes, only reals, only fakes) they sum to
        the size of the stratum.
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
    definition: MetricDefinition,
    samples: MetricSamples,
    draws: Draws,
    threshold: float = 0.5,
    classes: Sequence[str] = BINARY,
) -> Values:
    """Compute the metric on every resample without building the resamples.

    Scores are sorted once; a resample only changes the weight of each sample. The values equal those of the metric on
    the drawn samples.

    Args:
        definition: the metric.
        samples: what it is computed on.
        draws: (B, G) multiplicities from :func:`draw_groups`.
        threshold: decision threshold, where the metric has one.
        classes: class names of a multi-class task.

    Returns:
        (B,) float64.
    """
    labels, scores, groups = samples.labels, samples.scores, samples.groups
    if definition.confused is not None:
        names = _class_names(definition, samples, classes)
        table = group_confusions(definition, samples, threshold, len(names), draws.shape[1])
        return definition.confused((draws.astype(np.float64) @ table).reshape(-1, len(names), len(names)), names)
    if definition.summed is not None and definition.columns is not None:
        columns = definition.columns(labels, scores)
        table = np.stack([np.bincount(groups, weights=c, minlength=draws.shape[1]) for c in columns.T], axis=1)
        return definition.summed(draws.astype(np.float64) @ table)
    assert definition.ranked is not None
    if definition.ranked is auc_of and 2 * draws.shape[1] <= len(draws):
        return auc_of_groups(labels, scores, groups, draws)
    ranking = rank(labels, scores)
    ordered = groups[ranking.order]
    values = np.empty(len(draws))
    for part in _chunks(len(draws), len(scores)):
        weights: Counts = np.take(draws[part], ordered, axis=1)
        values[part] = definition.ranked(*vertices(ranking, weights))
    return values


def estimate(
    definition: MetricDefinition, samples: MetricSamples, threshold: float = 0.5, classes: Sequence[str] = BINARY
) -> float:
    """Compute the metric itself: every scene group has weight 1.

    Raises:
        UndefinedMetric: it is undefined on these samples; the message is the reason.
    """
    require_classes(definition, samples.labels)
    if definition.of_class:
        require_class(definition, samples, classes)
    media = samples.n_media - samples.n_real_media if definition.real_positive else samples.n_real_media
    if media < definition.least_media:
        which = "fake" if definition.real_positive else "real"
        needed = f"{definition.title} needs at least {definition.least_media}"
        raise UndefinedMetric(f"not resolvable: {media} {which} media; {needed}")
    once = np.ones((1, int(samples.groups.max()) + 1), np.int32)
    return float(resample(definition, samples, once, threshold, classes)[0])


def require_class(definition: MetricDefinition, samples: MetricSamples, classes: Sequence[str]) -> None:
    """Check that the class of a metric belongs to the task and occurs.

    Raises:
        UsageError: unknown class.
        UndefinedMetric: no sample has that class.
    """
    names = _class_names(definition, samples, classes)
    if definition.of_class not in names:
        raise unknown_name("class", definition.of_class, names)
    truth = samples.labels if samples.classes is None else samples.classes.truth
    if not np.any(truth == list(names).index(definition.of_class)):
        raise UndefinedMetric(f"no samples of class {definition.of_class}")


def decisions(definition: MetricDefinition, samples: MetricSamples, threshold: float, classes: int) -> NDArray[np.intp]:
    """Return the flat index of each sample into the (C, C) confusion matrix: true class * C + predicted class; (N,)."""
    if samples.classes is None or definition.always_binary:
        called = definition.is_fake(samples.scores, threshold)
        return np.asarray(samples.labels * 2 + called, np.intp)
    return np.asarray(samples.classes.truth * classes + samples.classes.called, np.intp)


def group_confusions(
    definition: MetricDefinition, samples: MetricSamples, threshold: float, classes: int, n_groups: int
) -> NDArray[np.float64]:
    """Count the decisions of each scene group; a sample in :attr:`MetricSamples.chance` counts equally for every class.

    Returns:
        (G, C * C) confusion matrices, flat: true class * C + predicted class.
    """
    indices, groups, chance = decisions(definition, samples, threshold, classes), samples.groups, samples.chance
    if chance is None:
        return _by_group(indices, groups, n_groups, classes**2)
    table = _by_group(indices[~chance], groups[~chance], n_groups, classes**2)
    truth = _by_group(indices[chance] // classes, groups[chance], n_groups, classes)
    return table + np.repeat(truth, classes, axis=1) / classes


def _class_names(definition: MetricDefinition, samples: MetricSamples, classes: Sequence[str]) -> Sequence[str]:
    return BINARY if samples.classes is None or definition.always_binary else classes


def _by_group(indices: NDArray[np.intp], groups: NDArray[np.intp], n_groups: int, width: int) -> Values:
    counts = np.bincount(groups * width + indices, minlength=n_groups * width)
    return counts.reshape(n_groups, width).astype(np.float64)


def auc_of_groups(labels: Labels, scores: Scores, groups: NDArray[np.intp], draws: NDArray[np.int32]) -> Values:
    """Compute the AUC of every resample.

    Args:
        labels: (N,) 0 real, 1 fake; both occur in every resample.
        scores: (N,) P(fake).
        groups: (N,) scene group number of each sample.
        draws: (B, G) multiplicity of each group.

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
    """(G, G): twice the number of pairs of a fake in the row's group above a real in the column's; a tie counts one."""
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


def _chunks(total: int, width: int) -> Iterator[slice]:
    step = max(1, _CHUNK // max(width, 1))
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
