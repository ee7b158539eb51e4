"""Two detectors on the same samples: the difference of each metric, its interval, and tests of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import percentile_interval, refusal
from dfbench.metrics.compute import Cell, Rules
from dfbench.metrics.delong import delong_test
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.samples import Samples
from dfbench.metrics.score_rows import cells, checked_rows
from dfbench.metrics.significance import bootstrap_p, holm, mcnemar
from dfbench.schema.ids import seed_from

_SAME = ["media_id", "dataset", "subset", "manipulation", "scene_group", "label", "class"]


@dataclass(frozen=True)
class Difference:
    """One metric of one cell, of two detectors on the same samples.

    Attributes:
        name: of the metric.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        n: frames or videos, by the level.
        n_clusters: scene groups they come from.
        first: value of the first detector; None where it does not exist.
        second: value of the second.
        value: first less second.
        low: lower end of the 95 % interval of the difference.
        high: its upper end.
        p: two-sided, by the paired bootstrap over scene groups.
        holm: ``p`` corrected for the number of tests made together.
        note: why there is no difference or no interval.
        video_test: ``DeLong`` or ``McNemar``, where one score a video allows it; it takes videos as independent.
        video_p: its p-value.
        video_holm: ``video_p`` corrected.
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
    faces: str | None = None,
    classes: Sequence[str] = (),
) -> list[Difference]:
    """Compare two detectors, metric by metric, each resample drawn for both alike.

    Under ``exclude`` a sample that either detector could not score is left out for both.

    Args:
        first: a table of :data:`dfbench.schema.scores.SCORES`.
        second: another, of exactly the same samples.
        names: metric names.
        threshold: as in :func:`dfbench.metrics.compute_metrics`, as are all that follow.
        resamples: likewise.
        seed: likewise.
        per_manipulation: likewise.
        failure_policy: likewise.
        faces: likewise.
        classes: likewise.

    Returns:
        One difference for each metric of each cell. p-values are corrected by Holm's rule over all of them, those
        of the bootstrap and those of the tests on videos apart.

    Raises:
        DataError: a table breaks its contract, or the samples are not the same.
        UsageError: an unknown name.
    """
    parsed = [parse_metric(name) for name in names]
    rules = Rules(threshold, failure_policy, faces, tuple(classes))
    ours, theirs = same_samples(checked_rows(first, classes), checked_rows(second, classes))
    if failure_policy == "exclude":
        ours, theirs = _scored_by_both(ours, theirs)
    found: list[Difference] = []
    pairs = zip(cells(ours, per_manipulation), cells(theirs, per_manipulation), strict=True)
    for (place, manipulation, one), (_, _, other) in pairs:
        drawn_by = seed_from("/".join((*place, manipulation)), "bootstrap", seed)
        both = Cell(one, rules, resamples, drawn_by), Cell(other, rules, resamples, drawn_by)
        for name in parsed:
            counted = Difference(str(name), place[0], place[1], manipulation, place[2], 0, 0)
            found.append(_difference(counted, name, *both, rules))
    return _corrected(found)


def same_samples(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables' rows in one order.

    Raises:
        DataError: they are not of the same samples, or say different things of one.
    """
    key = ["sample_id", "condition"]
    ours, theirs = (rows.sort_values(key).reset_index(drop=True) for rows in (first, second))
    a, b = (set(rows[key].itertuples(index=False, name=None)) for rows in (ours, theirs))
    if a != b:
        odd = ", ".join(f"{sample} ({condition})" for sample, condition in sorted(a ^ b)[:3])
        raise DataError(
            f"the runs are not of the same samples: {len(a - b)} stand in the first alone, {len(b - a)} in the second "
            f"alone, as {odd}",
            "only numbers on the same samples can be compared; evaluate both by the same protocol and manifest",
        )
    for column in _SAME:
        different = ours[column] != theirs[column]
        if different.any():
            place = int(np.argmax(different))
            raise DataError(
                f"the runs differ in the {column} of {ours['sample_id'][place]}: "
                f"{ours[column][place]} and {theirs[column][place]}",
                "evaluate both by the same manifest",
            )
    return ours, theirs


def _scored_by_both(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    both = (ours["status"] == "ok") & (theirs["status"] == "ok")
    return (
        ours.assign(status=ours["status"].where(both, "not scored by both"), score=ours["score"].where(both)),
        theirs.assign(status=theirs["status"].where(both, "not scored by both"), score=theirs["score"].where(both)),
    )


def _difference(counted: Difference, name: MetricName, one: Cell, other: Cell, rules: Rules) -> Difference:
    a, b = one.samples(name), other.samples(name)
    found = replace(counted, n=len(a.labels), n_clusters=len(np.unique(a.groups)))
    try:
        first, second = one.value(name), other.value(name)
    except UndefinedMetric as error:
        return replace(found, note=error.message)
    test, video_p = _video_test(name, a, b, rules.decision(name))
    found = replace(found, first=first, second=second, value=first - second, video_test=test, video_p=video_p)
    reason = refusal(a.labels, a.groups, name.kind.both) if one.resamples else "no resamples were asked for"
    if reason:
        return replace(found, note=reason)
    drawn = one.resampled(name) - other.resampled(name)
    drawn = drawn[~np.isnan(drawn)]
    interval = percentile_interval(drawn)
    return replace(found, low=interval.low, high=interval.high, p=bootstrap_p(drawn), note=interval.note)


def _video_test(name: MetricName, a: Samples, b: Samples, threshold: float) -> tuple[str, float | None]:
    if name.level != "video":
        return "", None
    if name.metric == "auc" and min(int(a.labels.sum()), int((a.labels == 0).sum())) >= 2:
        return "DeLong", delong_test(a.labels, a.scores, b.scores).p
    if name.metric in ("acc", "acc.collapsed"):
        return "McNemar", mcnemar(_right(name, a, threshold), _right(name, b, threshold))
    return "", None


def _right(name: MetricName, samples: Samples, threshold: float) -> NDArray[np.bool_]:
    if samples.classes is not None and not name.kind.always_binary:
        return np.asarray(samples.classes.truth == samples.classes.called)
    return np.asarray(name.kind.is_fake(samples.scores, threshold) == samples.labels)


def _corrected(found: list[Difference]) -> list[Difference]:
    by_bootstrap = _holm([d.p for d in found])
    by_video = _holm([d.video_p for d in found])
    return [replace(d, holm=p, video_holm=v) for d, p, v in zip(found, by_bootstrap, by_video, strict=True)]


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]
