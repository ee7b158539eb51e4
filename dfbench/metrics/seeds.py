"""Several runs of one detector that differ in the training seed: their mean and their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.errors import DataError
from dfbench.schema.result import MetricValue


@dataclass(frozen=True)
class SeedSummary:
    """One metric of one cell over several training seeds.

    Attributes:
        name: of the metric, with level and aggregation.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        value: mean over the seeds; None where one of them has no value.
        spread: standard deviation over the seeds (n - 1 in the denominator); how much training alone moves the
            number. It says nothing of how much other videos would: that is the interval of each run.
        lowest: of the seeds' values.
        highest: of the seeds' values.
        seeds: the training seeds.
        n: frames or videos, the same in all runs.
    """

    name: str
    dataset: str
    subset: str
    manipulation: str
    condition: str
    value: float | None
    spread: float | None
    lowest: float | None
    highest: float | None
    seeds: tuple[int, ...]
    n: int


def combine_seeds(runs: Sequence[Sequence[MetricValue]]) -> list[SeedSummary]:
    """Combine the metrics of runs that differ in nothing but the training seed.

    Args:
        runs: ``metrics`` of each run's result, at least two.

    Returns:
        One summary for each metric of each cell, in the order of the first run.

    Raises:
        DataError: fewer than two runs, a seed that is missing or stands twice, runs with other metrics, samples,
            crops or training conditions.
    """
    if len(runs) < 2:
        raise DataError("a spread over training seeds needs at least two runs", "train again with another --seed")
    seeds = [_seed(values) for values in runs]
    if len(set(seeds)) < len(seeds):
        raise DataError(f"runs share a training seed: {', '.join(map(str, seeds))}", "give runs of different seeds")
    tables = [{_cell(value): value for value in values} for values in runs]
    for table in tables[1:]:
        if table.keys() != tables[0].keys():
            odd = min(table.keys() ^ tables[0].keys())
            raise DataError(f"the runs do not hold the same numbers, first: {' '.join(map(str, odd))}")
    return [_combine([table[cell] for table in tables], tuple(seeds)) for cell in tables[0]]


def _combine(values: Sequence[MetricValue], seeds: tuple[int, ...]) -> SeedSummary:
    first = values[0]
    known = [value.value for value in values if value.value is not None]
    whole = len(known) == len(values)
    mean = math.fsum(known) / len(known) if whole else None
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in known) / (len(known) - 1)) if mean is not None else None
    return SeedSummary(
        name=first.name,
        dataset=first.dataset,
        subset=first.subset,
        manipulation=first.manipulation,
        condition=first.condition,
        value=mean,
        spread=spread,
        lowest=min(known) if whole else None,
        highest=max(known) if whole else None,
        seeds=seeds,
        n=first.n,
    )


def _seed(values: Sequence[MetricValue]) -> int:
    found = {value.seed for value in values}
    seed = found.pop() if len(found) == 1 else None
    if seed is None:
        raise DataError("a run does not say by which one seed its detector was trained")
    return seed


def _cell(value: MetricValue) -> tuple[str | int, ...]:
    place = (value.name, value.dataset, value.subset, value.manipulation, value.condition)
    return (*place, value.n, value.n_positive, value.profile, value.size, value.train_condition)
