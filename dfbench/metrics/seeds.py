"""Runs of detectors with different training seeds: mean and standard deviation, and tests of averaged differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from dfbench.errors import DataError
from dfbench.metrics.compute import MetricRules, MetricSlice
from dfbench.metrics.difference_tests import difference_spread, no_test_reason
from dfbench.metrics.names import parse_metric
from dfbench.metrics.p_values import t_test
from dfbench.metrics.paired_tests import same_samples, scored_by_all
from dfbench.metrics.roc import Values
from dfbench.metrics.score_rows import checked_rows, slices
from dfbench.schema.ids import seed_from
from dfbench.schema.result import MetricValue


@dataclass(frozen=True)
class SeedSummary:
    """One metric on one slice over several training seeds.

    Attributes:
        name: metric, level and aggregation.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        value: mean over the seeds; None if one of them has no value.
        std: standard deviation over the seeds (n - 1 in the denominator): the variation due to training. The
            interval of each run gives the variation due to the choice of videos.
        lowest: smallest value.
        highest: largest value.
        seeds: the training seeds.
        n: number of frames or videos, the same in all runs.
    """

    name: str
    dataset: str
    subset: str
    manipulation: str
    condition: str
    value: float | None
    std: float | None
    lowest: float | None
    highest: float | None
    seeds: tuple[int, ...]
    n: int


@dataclass(frozen=True)
class SeedDifference:
    """The difference of a metric between two detectors, each the mean over its training seeds, on the same samples.

    Attributes:
        value: first minus second.
        cluster_error: standard error due to the choice of samples, of the averaged difference over scene groups, or
            over people where they recur.
        seed_error: standard error due to training: the variances over the seeds, divided by their numbers. Where one
            detector has a single run, its variance is assumed to be that of the other; 0 where both have.
        df: degrees of freedom of the sum of both variances (Welch, Biometrika 34, 1947).
        p: two-sided p-value of no difference, by a t test with both errors.
        runs: numbers of runs of the first and the second detector.
    """

    value: float
    cluster_error: float
    seed_error: float
    df: float
    p: float
    runs: tuple[int, int]


def combine_seeds(runs: Sequence[Sequence[MetricValue]]) -> list[SeedSummary]:
    """Combine the metrics of runs that differ only in the training seed.

    Args:
        runs: ``run.result.metrics`` of at least two runs.

    Returns:
        One summary per metric and slice, in the order of the first run.

    Raises:
        DataError: fewer than two runs, a missing or repeated seed, or runs that differ in metrics, samples, crops or
            training condition.
    """
    if len(runs) < 2:
        raise DataError(
            "a standard deviation over training seeds needs at least two runs", "train again with another --seed"
        )
    seeds = [_seed(values) for values in runs]
    if len(set(seeds)) < len(seeds):
        raise DataError(f"runs share a training seed: {', '.join(map(str, seeds))}", "pass runs with different seeds")
    tables = [{_slice_key(value): value for value in values} for values in runs]
    for table in tables[1:]:
        if table.keys() != tables[0].keys():
            odd = min(table.keys() ^ tables[0].keys())
            raise DataError(f"the runs have different metrics, the first is {' '.join(map(str, odd))}")
    return [_combine([table[key] for table in tables], tuple(seeds)) for key in tables[0]]


def seed_difference(
    first: Sequence[pa.Table],
    second: Sequence[pa.Table],
    name: str,
    *,
    manipulation: str = "all",
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
    classes: Sequence[str] = (),
    real_classes: Sequence[str] = (),
) -> SeedDifference:
    """Test whether two detectors differ, each averaged over its training seeds.

    Args:
        first: tables of :data:`dfbench.schema.scores.SCORES`, one per training seed of the first detector, of one data
            set, subset and condition.
        second: those of the second detector, with exactly the same samples.
        name: metric name.
        manipulation: ``all``, or one method against the reals.
        threshold: see :func:`dfbench.metrics.compute_metrics`, also for the arguments below.
        resamples: number of bootstrap resamples.
        seed: bootstrap seed.
        failure_policy: how a sample without a score counts; ``exclude`` excludes what one run cannot score for all.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.
        real_classes: those of real faces.

    Raises:
        DataError: a table breaks its contract, the samples differ or are of several slices, or there are too few scene
            groups.
        UndefinedMetric: the metric is undefined on these samples.
        UsageError: an unknown name.
    """
    parsed = parse_metric(name)
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes), tuple(real_classes))
    rows = [checked_rows(table, classes) for table in (*first, *second)]
    rows = [same_samples(rows[0], other)[1] for other in rows]
    rows = scored_by_all(rows) if failure_policy == "exclude" else rows
    parts = [_slice_of(table, manipulation, rules, resamples, seed) for table in rows]
    samples = [part.samples(parsed) for part in parts]
    reason = no_test_reason(parsed.definition, samples[0])
    if reason:
        raise DataError(f"there is no test: {reason}")
    values, count = np.array([part.value(parsed) for part in parts]), len(first)
    spread = difference_spread(
        parsed.definition, samples[:count], samples[count:], parts[0].draw, rules.decision(parsed), parts[0].classes
    )
    value = float(values[:count].mean() - values[count:].mean())
    terms = [(spread.variance, spread.df), *_seed_variances(values[:count], values[count:])]
    variance = math.fsum(term for term, _ in terms)
    df = variance**2 / math.fsum(term**2 / own for term, own in terms) if variance else spread.df
    p = t_test(value, math.sqrt(variance), df, samples[0].n_clusters)
    trained = math.sqrt(math.fsum(term for term, _ in terms[1:]))
    return SeedDifference(value, math.sqrt(spread.variance), trained, df, p, (count, len(second)))


def _slice_of(rows: pd.DataFrame, manipulation: str, rules: MetricRules, resamples: int, seed: int) -> MetricSlice:
    found = [(key, part) for key, name, part in slices(rows, manipulation != "all") if name == manipulation]
    if len(found) != 1:
        raise DataError(
            f"{len(found)} data sets, subsets or conditions with the manipulation {manipulation!r}, not one"
        )
    ((key, part),) = found
    return MetricSlice(part, rules, resamples, seed_from("/".join((*key, manipulation)), "bootstrap", seed))


def _seed_variances(first: Values, second: Values) -> list[tuple[float, float]]:
    """The variance of each mean over its seeds, and its degrees of freedom; nothing if neither has several."""
    if max(len(first), len(second)) == 1:
        return []
    pairs = ((first, first if len(first) > 1 else second), (second, second if len(second) > 1 else first))
    return [(float(np.var(repeated, ddof=1)) / len(own), len(repeated) - 1.0) for own, repeated in pairs]


def _combine(values: Sequence[MetricValue], seeds: tuple[int, ...]) -> SeedSummary:
    first = values[0]
    known = [value.value for value in values if value.value is not None]
    whole = len(known) == len(values)
    mean = math.fsum(known) / len(known) if whole else None
    std = math.sqrt(math.fsum((x - mean) ** 2 for x in known) / (len(known) - 1)) if mean is not None else None
    return SeedSummary(
        name=first.name,
        dataset=first.dataset,
        subset=first.subset,
        manipulation=first.manipulation,
        condition=first.condition,
        value=mean,
        std=std,
        lowest=min(known) if whole else None,
        highest=max(known) if whole else None,
        seeds=seeds,
        n=first.n,
    )


def _seed(values: Sequence[MetricValue]) -> int:
    found = {value.seed for value in values}
    seed = found.pop() if len(found) == 1 else None
    if seed is None:
        raise DataError("a run does not state a single training seed")
    return seed


def _slice_key(value: MetricValue) -> tuple[str | int, ...]:
    key = (value.name, value.dataset, value.subset, value.manipulation, value.condition)
    return (*key, value.n, value.n_positive, value.profile, value.size, value.train_condition, value.training_method)
