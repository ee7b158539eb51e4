"""Drops are paired: one resample draws the same scene groups under every condition."""

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
from dfbench.metrics.bootstrap import draw_groups
from dfbench.metrics.compute import samples_by_slice
from dfbench.metrics.robustness import ConditionOrigin, robustness
from dfbench.schema.ids import seed_from
from dfbench.schema.scores import SCORES

ORIGINS = {
    "JP60": ConditionOrigin("jpeg", 3),
    "jpeg:q=30": ConditionOrigin("jpeg", 5),
    "ME5": ConditionOrigin("mean", 2),
}
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


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_those_of_differences_on_the_same_draws(name: str) -> None:
    scores = table(JP60=0.3, ME5=0.5)
    scores = scores.filter(pc.equal(scores["subset"], "c23"))
    (found,) = robustness(scores, [name], ORIGINS, resamples=60, seed=5)
    cells = samples_by_slice(scores, name)
    clean = cells["mini", "c23", "clean"]
    draws = draw_groups(clean.labels, clean.groups, 60, seed_from("mini/c23", "paired bootstrap", 5))
    drawn: dict[str, list[float]] = {}
    for counts in draws:
        times = counts[clean.groups]
        for condition in ("clean", "JP60", "ME5"):
            labels = np.repeat(clean.labels, times)
            own = np.repeat(cells["mini", "c23", condition].scores, times)
            value = brute_force.accuracy(labels, own, 0.5) if name == "acc.frame" else brute_force.auc(labels, own)
            drawn.setdefault(condition, []).append(value)
    arrays = {condition: np.array(values) for condition, values in drawn.items()}
    for cell in found.cells:
        ends = np.quantile(arrays["clean"] - arrays[cell.condition], [0.025, 0.975])
        assert (cell.low, cell.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    mean = (arrays["JP60"] + arrays["ME5"]) / 2
    assert (found.mean_low, found.mean_high) == tuple(pytest.approx(v) for v in np.quantile(mean, [0.025, 0.975]))
    ends = np.quantile(arrays["clean"] - mean, [0.025, 0.975])
    assert (found.drop_low, found.drop_high) == tuple(pytest.approx(v) for v in ends)


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


def test_few_scene_groups_give_no_interval() -> None:
    clean = run_folders.scores_table(pairs=5, frames=1)
    found = robustness(pa.concat_tables([clean, under(clean, "ME5", 0.5)]), NAMES, ORIGINS)
    assert all("scene groups" in (part.interval_note or "") for part in found)
    assert all(part.cells[0].low is None and part.mean_low is None and part.mean is not None for part in found)
