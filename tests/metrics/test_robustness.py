"""Robustness: values, means and drops, with the intervals of metrics and of paired differences."""

from __future__ import annotations

import brute_force
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import run_folders
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError
from dfbench.metrics import compute_metrics, paired_differences
from dfbench.metrics.compute import samples_by_slice
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.difference_tests import assess_difference
from dfbench.metrics.metric_intervals import influence_spread
from dfbench.metrics.robustness import ConditionOrigin, robustness
from dfbench.metrics.t_intervals import t_interval
from dfbench.schema.scores import SCORES

ORIGINS = {
    "JP60": ConditionOrigin("jpeg", 3),
    "jpeg:q=30": ConditionOrigin("jpeg", 5),
    "ME5": ConditionOrigin("mean", 2),
}
CONDITIONS = ("clean", *ORIGINS)
NAMES = ["acc.frame", "auc.video.mean"]


def under(scores: pa.Table, condition: str, gap: float) -> pa.Table:
    """The same samples under a condition that moves the scores of fakes towards those of reals."""
    score = scores["score"].to_numpy()
    moved = np.where(scores["label"].to_numpy() == 1, score * (1 - gap), score)
    columns = {name: scores[name] for name in scores.column_names}
    columns["score"] = pa.array(moved, mask=np.isnan(moved))
    columns["condition"] = pa.array([condition] * len(scores))
    return pa.table(columns, schema=SCORES.schema())


def table(**gaps: float) -> pa.Table:
    clean = run_folders.scores_table(pairs=22, frames=2)
    return pa.concat_tables([clean, *(under(clean, name, gap) for name, gap in gaps.items())])


def test_values_means_and_worst() -> None:
    scores = table(**{"JP60": 0.2, "jpeg:q=30": 0.6, "ME5": 0.4, "unnamed": 1.0})
    found = robustness(scores, NAMES, ORIGINS, resamples=0)
    assert [(r.name, r.subset) for r in found] == [(n, s) for n in NAMES for s in ("c23", "c40")]
    for part in found:
        here = scores.filter(pc.equal(scores["subset"], part.subset)).to_pandas()
        values = {}
        for condition, rows in here[here["status"] == "ok"].groupby("condition"):
            if part.name == "acc.frame":
                values[condition] = brute_force.accuracy(rows["label"], rows["score"], 0.5)
            else:
                videos = rows.groupby("media_id").agg({"label": "first", "score": "mean"})
                values[condition] = brute_force.auc(videos["label"], videos["score"])
        assert part.value == pytest.approx(values["clean"])
        assert {c.condition: c.value for c in part.cells} == {name: pytest.approx(values[name]) for name in ORIGINS}
        jpeg = (values["JP60"] + values["jpeg:q=30"]) / 2
        assert {f.family: f.value for f in part.families} == {
            "jpeg": pytest.approx(jpeg),
            "mean": pytest.approx(values["ME5"]),
        }
        assert part.mean == pytest.approx((jpeg + values["ME5"]) / 2)  # families count alike, not conditions
        assert part.worst == min(ORIGINS, key=lambda name: values[name])
        assert part.interval_note == "no resamples were requested"


METHODS = dict(zip(NAMES, ["bootstrap-t", "clustered-delong"], strict=True))


@pytest.mark.parametrize("known", [False, True], ids=["scene groups", "people"])
@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_those_of_evaluate_and_of_paired_differences(name: str, known: bool) -> None:
    """With one condition the mean is that condition, and the drop is the difference between two tables."""
    clean = run_folders.scores_table(pairs=30, frames=2)
    clean = clean.filter(pc.equal(clean["subset"], "c23"))
    clean = with_people(clean) if known else clean
    other = under(clean, "JP60", 0.4)
    (found,) = robustness(pa.concat_tables([clean, other]), [name], ORIGINS, seed=5)
    (cell,) = found.cells
    (value,) = compute_metrics(other, [name], seed=5, per_manipulation=False)
    as_clean = other.set_column(other.column_names.index("condition"), "condition", clean["condition"])
    (difference,) = paired_differences(clean, as_clean, [name], seed=5)
    # Resamples have another seed: the ends differ by their noise.
    close = {"abs": 0 if name == "auc.video.mean" else 0.01, "rel": 1e-9}
    assert (found.mean_low, found.mean_high) == (pytest.approx(value.low, **close), pytest.approx(value.high, **close))
    for low, high in ((cell.low, cell.high), (found.drop_low, found.drop_high)):
        assert (low, high) == (pytest.approx(difference.low, **close), pytest.approx(difference.high, **close))
    assert found.interval_method == value.interval_method == METHODS[name]
    assert found.cluster == value.cluster == ("people" if known else "scene_group")
    assert found.n_clusters == value.n_clusters


def with_people(scores: pa.Table) -> pa.Table:
    """The same samples, in which twenty-one people take part in turn."""
    groups = np.unique(scores["scene_group"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    fake = scores["label"].to_numpy() == 1
    people = {
        "identity_target": [f"p{n % 21}" for n in groups],
        "identity_source": [f"p{(n + 1 + n // 21) % 21}" if f else None for n, f in zip(groups, fake, strict=True)],
    }
    for column, values in people.items():
        scores = scores.set_column(scores.column_names.index(column), column, pa.array(values, pa.string()))
    return scores


def test_the_mean_over_families_has_the_spread_of_the_mean() -> None:
    scores = table(**{"JP60": 0.3, "jpeg:q=30": 0.6, "ME5": 0.5})
    scores = scores.filter(pc.equal(scores["subset"], "c23"))
    (found,) = robustness(scores, ["auc.video.mean"], ORIGINS)
    cells = samples_by_slice(scores, "auc.video.mean")
    influence = {
        c: auc_influence(cells["mini", "c23", c].labels, cells["mini", "c23", c].scores)[1] for c in CONDITIONS
    }
    mean = (influence["JP60"] + influence["jpeg:q=30"]) / 4 + influence["ME5"] / 2
    groups = cells["mini", "c23", "clean"].groups
    spread = influence_spread(mean, groups)
    ends = t_interval(np.array(found.mean), np.array(spread.variance), np.array(spread.df), (0, 1), 0.95)
    assert (found.mean_low, found.mean_high) == (pytest.approx(float(ends[0])), pytest.approx(float(ends[1])))
    assert found.drop is not None
    drop = assess_difference(found.drop, influence_spread(influence["clean"] - mean, groups), 22)
    assert (found.drop_low, found.drop_high) == (pytest.approx(drop.low), pytest.approx(drop.high))


def test_a_perfect_mean_has_a_one_sided_interval() -> None:
    clean = run_folders.scores_table(pairs=22, frames=1)
    score = np.where(clean["label"].to_numpy() == 1, 0.9, 0.1)
    perfect = clean.set_column(clean.column_names.index("score"), "score", pa.array(score))
    perfect = perfect.set_column(perfect.column_names.index("status"), "status", pa.array(["ok"] * len(perfect)))
    perfect = perfect.cast(SCORES.schema())
    for found in robustness(pa.concat_tables([perfect, under(perfect, "JP60", 0.1)]), NAMES, ORIGINS):
        assert (found.mean, found.mean_high, found.interval_method) == (1, 1, "one-sided")
        assert 0.8 < (found.mean_low or 0) < 1
        assert (found.drop, found.drop_low, found.drop_high) == (0, 0, 0)


@given(st.floats(0, 1))
@settings(max_examples=10, deadline=None)
def test_a_condition_that_changes_nothing_drops_nothing(gap: float) -> None:
    scores = table(JP60=0.0, ME5=gap)
    for found in robustness(scores, NAMES, ORIGINS, resamples=30):
        same, other = found.cells
        assert (same.drop, same.low, same.high) == (0, 0, 0)
        assert other.drop is not None
        assert other.drop >= 0
        assert found.worst == ("JP60" if other.drop == 0 else "ME5")


def test_without_a_baseline_or_without_conditions_there_is_nothing() -> None:
    scores = table(ME5=0.5)
    assert robustness(scores.filter(pc.equal(scores["condition"], "ME5")), NAMES, ORIGINS) == []
    assert robustness(scores.filter(pc.equal(scores["condition"], "clean")), NAMES, ORIGINS) == []
    assert robustness(scores, NAMES, {}) == []


def test_one_class_is_undefined_and_other_samples_are_refused() -> None:
    scores = table(ME5=0.5)
    fakes = scores.filter(pc.equal(scores["label"], 1))
    for found in robustness(fakes, ["auc.frame"], ORIGINS):
        assert found.value is None
        assert found.mean is None
        assert found.worst is None
        assert [cell.value for cell in found.cells] == [None]
    clean = pc.equal(scores["condition"], "clean")
    fewer = pa.concat_tables([scores.filter(clean), scores.filter(pc.invert(clean)).slice(10)])
    with pytest.raises(DataError, match="ME5 of mini/c23 was evaluated on other samples"):
        robustness(fewer, NAMES, ORIGINS)


def test_few_scene_groups_give_no_interval_of_a_drop() -> None:
    clean = run_folders.scores_table(pairs=5, frames=1)
    other = under(clean, "ME5", 0.5)
    for found in robustness(pa.concat_tables([clean, other]), NAMES, ORIGINS):
        (value, *_) = compute_metrics(other.filter(pc.equal(other["subset"], found.subset)), [found.name])
        assert found.interval_note == "5 scene groups; at least 20 are needed"
        assert (found.cells[0].low, found.drop_low, found.cells[0].drop) == (None, None, found.drop)
        assert found.mean == value.value
        assert (found.mean_low is None) == (value.low is None)
        assert found.interval_method == value.interval_method
