"""Paired comparison of two detectors on the same samples: differences, intervals, tests and their correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from dfbench.deprecation import renamed_keywords
from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import NO_RESAMPLES, no_interval_reason, percentile_interval
from dfbench.metrics.compute import MetricRules, MetricSlice
from dfbench.metrics.delong import delong_test
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.roc import Values
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.score_rows import checked_rows, slices
from dfbench.schema.ids import seed_from

_SAME = ["media_id", "dataset", "subset", "manipulation", "scene_group", "label", "class"]


@dataclass(frozen=True)
class MetricDifference:
    """The difference of one metric on one slice between two detectors on the same samples.

    Attributes:
        name: metric name.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        n: number of frames or videos.
        n_clusters: number of scene groups.
        first: value of the first detector; None where it is undefined.
        second: value of the second detector.
        value: first minus second.
        low: lower end of the 95 % interval of the difference.
        high: upper end of the interval.
        p: two-sided p-value of the paired bootstrap over scene groups.
        holm: ``p`` with Holm's correction over all tests.
        note: why there is no difference or no interval.
        video_test: ``DeLong`` or ``McNemar``, at video level; it assumes independent videos.
        video_p: p-value of that test.
        video_holm: ``video_p`` with Holm's correction.
    """

    name: str
    dataset: str
    subset: str
    manipulation: str
    condition: str
    n: int
    n_clusters: int
    first: float | None = None
    second: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None
    note: str | None = None
    video_test: str = ""
    video_p: float | None = None
    video_holm: float | None = None


@renamed_keywords(faces="face_aggregation")
def paired_differences(
    first: pa.Table,
    second: pa.Table,
    names: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    per_manipulation: bool = False,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
    classes: Sequence[str] = (),
) -> list[MetricDifference]:
    """Compare two detectors by every metric; each bootstrap resample is the same for both.

    With ``exclude`` a sample without a score from either detector is excluded for both.

    Args:
        first: a table of :data:`dfbench.schema.scores.SCORES`.
        second: another table with exactly the same samples.
        names: metric names.
        threshold: see :func:`dfbench.metrics.compute_metrics`, also for the arguments below.
        resamples: number of bootstrap resamples.
        seed: bootstrap seed.
        per_manipulation: whether to compare each manipulation separately.
        failure_policy: how a sample without a score counts.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.

    Returns:
        One difference per metric and slice. Holm's correction is applied over all of them, separately for the
        bootstrap and for the tests at video level.

    Raises:
        DataError: a table breaks its contract, or the samples differ.
        UsageError: an unknown name.
    """
    parsed = [parse_metric(name) for name in names]
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes))
    ours, theirs = same_samples(checked_rows(first, classes), checked_rows(second, classes))
    if failure_policy == "exclude":
        ours, theirs = _scored_by_both(ours, theirs)
    found: list[MetricDifference] = []
    pairs = zip(slices(ours, per_manipulation), slices(theirs, per_manipulation), strict=True)
    for (key, manipulation, one), (_, _, other) in pairs:
        draw_seed = seed_from("/".join((*key, manipulation)), "bootstrap", seed)
        both = MetricSlice(one, rules, resamples, draw_seed), MetricSlice(other, rules, resamples, draw_seed)
        for name in parsed:
            counted = MetricDifference(str(name), key[0], key[1], manipulation, key[2], 0, 0)
            found.append(_difference(counted, name, *both, rules))
    return _corrected(found)


def same_samples(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sort the rows of both tables into the same order.

    Raises:
        DataError: the samples differ, or a sample has different labels or groups.
    """
    key = ["sample_id", "condition"]
    ours, theirs = (rows.sort_values(key).reset_index(drop=True) for rows in (first, second))
    a, b = (set(rows[key].itertuples(index=False, name=None)) for rows in (ours, theirs))
    if a != b:
        odd = ", ".join(f"{sample} ({condition})" for sample, condition in sorted(a ^ b)[:3])
        raise DataError(
            f"the runs have different samples: {len(a - b)} are only in the first, {len(b - a)} only in the second, "
            f"for example {odd}",
            "only results on the same samples can be compared; evaluate both with the same protocol and manifest",
        )
    for column in _SAME:
        different = ours[column] != theirs[column]
        if different.any():
            row = int(np.argmax(different))
            raise DataError(
                f"the runs differ in the {column} of {ours['sample_id'][row]}: "
                f"{ours[column][row]} and {theirs[column][row]}",
                "evaluate both on the same manifest",
            )
    return ours, theirs


def _scored_by_both(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    both = (ours["status"] == "ok") & (theirs["status"] == "ok")
    return (
        ours.assign(status=ours["status"].where(both, "not scored by both"), score=ours["score"].where(both)),
        theirs.assign(status=theirs["status"].where(both, "not scored by both"), score=theirs["score"].where(both)),
    )


def _difference(
    counted: MetricDifference, name: MetricName, one: MetricSlice, other: MetricSlice, rules: MetricRules
) -> MetricDifference:
    a, b = one.samples(name), other.samples(name)
    found = replace(counted, n=len(a.labels), n_clusters=len(np.unique(a.groups)))
    try:
        first, second = one.value(name), other.value(name)
    except UndefinedMetric as error:
        return replace(found, note=error.message)
    test, video_p = _video_test(name, a, b, rules.decision(name))
    found = replace(found, first=first, second=second, value=first - second, video_test=test, video_p=video_p)
    reason = no_interval_reason(a.labels, a.groups, name.definition.both) if one.resamples else NO_RESAMPLES
    if reason:
        return replace(found, note=reason)
    drawn = one.resampled(name) - other.resampled(name)
    drawn = drawn[~np.isnan(drawn)]
    interval = percentile_interval(drawn)
    return replace(found, low=interval.low, high=interval.high, p=bootstrap_p(drawn), note=interval.note)


def _video_test(name: MetricName, a: MetricSamples, b: MetricSamples, threshold: float) -> tuple[str, float | None]:
    if name.level != "video":
        return "", None
    if name.metric == "auc" and min(int(a.labels.sum()), int((a.labels == 0).sum())) >= 2:
        return "DeLong", delong_test(a.labels, a.scores, b.scores).p
    guessed = a.chance is not None or b.chance is not None  # half right, of which McNemar's test knows nothing
    if name.metric in ("acc", "acc.collapsed") and not guessed:
        return "McNemar", mcnemar(_correct(name, a, threshold), _correct(name, b, threshold))
    return "", None


def _correct(name: MetricName, samples: MetricSamples, threshold: float) -> NDArray[np.bool_]:
    if samples.classes is not None and not name.definition.always_binary:
        return np.asarray(samples.classes.truth == samples.classes.called)
    return np.asarray(name.definition.is_fake(samples.scores, threshold) == samples.labels)


def _corrected(found: list[MetricDifference]) -> list[MetricDifference]:
    by_bootstrap = _holm([d.p for d in found])
    by_video = _holm([d.video_p for d in found])
    return [replace(d, holm=p, video_holm=v) for d, p, v in zip(found, by_bootstrap, by_video, strict=True)]


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


def bootstrap_p(differences: Values) -> float:
    """Compute the two-sided p-value of no difference from the differences of paired resamples.

    Twice the smaller fraction of resamples on one side of zero, those at zero counting on both sides; the estimate
    itself counts as one more resample, so that p is never 0 (Davison and Hinkley 1997, chapter 4).

    >>> bootstrap_p(np.array([0.1] * 99))
    0.02
    >>> bootstrap_p(np.zeros(99))
    1.0
    """
    count = len(differences) + 1
    side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)) + 1
    return float(min(1.0, 2 * side / count))


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> float:
    """Compute the p-value of the exact two-sided McNemar test on independent samples.

    Args:
        first_right: (N,) whether the first detector is correct on each sample.
        second_right: (N,) whether the second detector is correct.

    Raises:
        DataError: the lengths differ.

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    0.0625
    """
    a, b = np.asarray(first_right, bool), np.asarray(second_right, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"first_right and second_right have different shapes: {a.shape} and {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Apply Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979), keeping the order.

    Comparing each corrected value with 0.05 keeps the probability of any false positive among them below 5 %.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
