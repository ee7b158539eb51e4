"""Mean and standard deviation over runs of one detector with different training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.errors import DataError
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
    return (*key, value.n, value.n_positive, value.profile, value.size, value.train_condition)
