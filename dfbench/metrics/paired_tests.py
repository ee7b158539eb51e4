"""Paired comparison of two detectors on the same samples: differences, intervals, tests and their correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.deprecation import renamed_keywords
from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import NO_RESAMPLES
from dfbench.metrics.compute import MetricRules, MetricSlice
from dfbench.metrics.delong import delong_test
from dfbench.metrics.difference_tests import assess_difference, difference_spread, no_test_reason
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.p_values import holm, mcnemar
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
        cluster: what is independent: ``scene_group``, or ``people``.
        n_clusters: number of these units.
        first: value of the first detector; None where it is undefined.
        second: value of the second detector.
        value: first minus second.
        low: lower end of the 95 % interval of the difference.
        high: upper end of the interval.
        p: two-sided p-value of the paired t test over scene groups, or over people where they recur.
        holm: ``p`` with Holm's correction over the slices of the metric.
        note: why there is no difference or no interval.
        video_test: ``DeLong`` or ``McNemar``, at video level; it assumes independent videos.
        video_p: p-value of that test.
        video_holm: ``video_p`` with Holm's correction over the slices of the metric.
    """

    name: str
    dataset: str
    subset: str
    manipulation: str
    condition: str
    n: int
    n_clusters: int
    cluster: str = "scene_group"
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
    real_classes: Sequence[str] = (),
) -> list[MetricDifference]:
    """Compare two detectors by every metric, paired: what both detectors have in common cancels out.

    The variance of a difference is that of the influences of scene groups on it: for the AUC by clustered DeLong, for
    other metrics from resamples that are the same for both detectors. Intervals and p-values are those of a t test, see
    :mod:`dfbench.metrics.metric_intervals`.

    With ``exclude`` a sample without a score from either detector is excluded for both.

    Args:
        first: a table of :data:`dfbench.schema.scores.SCORES`.
        second: another table with exactly the same samples.
        names: metric names.
        threshold: see :func:`dfbench.metrics.compute_metrics`, also for the arguments below.
        resamples: number of bootstrap resamples, for metrics other than the AUC; 0: no intervals and p-values.
        seed: bootstrap seed.
        per_manipulation: whether to compare each manipulation separately.
        failure_policy: how a sample without a score counts.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.
        real_classes: those of real faces.

    Returns:
        One difference per metric and slice. The slices of one metric (data sets, subsets, conditions, manipulations)
        are one family: Holm's correction is applied over them, separately for ``p`` and for the tests at video level.

    Raises:
        DataError: a table breaks its contract, or the samples differ.
        UsageError: an unknown name.
    """
    parsed = [parse_metric(name) for name in names]
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes), tuple(real_classes))
    ours, theirs = same_samples(checked_rows(first, classes), checked_rows(second, classes))
    if failure_policy == "exclude":
        ours, theirs = scored_by_all([ours, theirs])
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


def scored_by_all(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Withdraw from all tables the samples that lack a score in one of them; rows must be in the same order."""
    every = np.logical_and.reduce([rows["status"] == "ok" for rows in tables])
    return [
        rows.assign(status=rows["status"].where(every, "not scored by all"), score=rows["score"].where(every))
        for rows in tables
    ]


def _difference(
    counted: MetricDifference, name: MetricName, one: MetricSlice, other: MetricSlice, rules: MetricRules
) -> MetricDifference:
    a, b = one.samples(name), other.samples(name)
    found = replace(counted, n=len(a.labels), cluster=a.cluster, n_clusters=a.n_clusters)
    try:
        first, second = one.value(name), other.value(name)
    except UndefinedMetric as error:
        return replace(found, note=error.message)
    test, video_p = _video_test(name, a, b, rules.decision(name))
    found = replace(found, first=first, second=second, value=first - second, video_test=test, video_p=video_p)
    reason = no_test_reason(name.definition, a) if one.resamples else NO_RESAMPLES
    if reason:
        return replace(found, note=reason)
    spread = difference_spread(name.definition, [a], [b], one.draw, rules.decision(name), one.classes)
    tested = assess_difference(first - second, spread, a.n_clusters, name.definition.bounds)
    return replace(found, low=tested.low, high=tested.high, p=tested.p)


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
    by_group: dict[int, float] = {}
    by_video: dict[int, float] = {}
    for name in dict.fromkeys(d.name for d in found):
        family = [n for n, d in enumerate(found) if d.name == name]
        by_group |= _holm({n: p for n in family if (p := found[n].p) is not None})
        by_video |= _holm({n: p for n in family if (p := found[n].video_p) is not None})
    return [replace(d, holm=by_group.get(n), video_holm=by_video.get(n)) for n, d in enumerate(found)]


def _holm(p_values: Mapping[int, float]) -> dict[int, float]:
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))
