"""Naming techniques by cosines with mean maps, against a plain implementation; the choice of images."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from dfbench.errors import DataError
from dfbench.explain.selection import ChosenImages, choose_images, halves
from dfbench.explain.technique import UNDECIDED, TechniqueMeans
from dfbench.explain.technique_results import name_techniques

NAMES = ("A", "B", "C")


def maps(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps with a large common part and a small one of each technique, of very different sizes."""
    generator = np.random.default_rng(seed)
    common, own = np.random.default_rng(0).random((6, 6)), np.random.default_rng(1).random((3, 6, 6))
    techniques = generator.integers(0, 3, count)
    found = 5 * common + 0.4 * own[techniques] + 0.3 * generator.random((count, 6, 6))
    return (found * 10.0 ** generator.integers(-12, 3, (count, 1, 1))).astype(np.float32), np.array(NAMES)[techniques]


def plain_cosines(means: np.ndarray, new: np.ndarray, techniques: np.ndarray, centred: bool) -> list[list[float]]:
    def unit(values: list[float]) -> list[float]:
        length = math.sqrt(math.fsum(v * v for v in values))
        return [v / length for v in values]

    rows = [unit([float(v) for v in one.ravel()]) for one in means]
    averages = []
    for name in NAMES:
        members = [row for row, technique in zip(rows, techniques, strict=True) if technique == name]
        averages.append([math.fsum(column) / len(members) for column in zip(*members, strict=True)])
    grand = [math.fsum(column) / 3 if centred else 0.0 for column in zip(*averages, strict=True)]
    axes = [unit([a - g for a, g in zip(average, grand, strict=True)]) for average in averages]
    result = []
    for one in new:
        moved = unit([v - g for v, g in zip(unit([float(v) for v in one.ravel()]), grand, strict=True)])
        result.append([math.fsum(a * b for a, b in zip(axis, moved, strict=True)) for axis in axes])
    return result


@pytest.mark.parametrize("centred", [True, False])
def test_equals_a_plain_implementation(centred: bool) -> None:
    (known, techniques), (new, truth) = maps(2, 90), maps(3, 300)
    found = TechniqueMeans.of(known, techniques, centred=centred)
    expected = np.array(plain_cosines(known, new, techniques, centred))
    assert found.techniques == NAMES
    np.testing.assert_allclose(found.similarities(new), expected, atol=1e-9)
    np.testing.assert_array_equal(found.classify(new), expected.argmax(1))
    between = found.cosines()
    assert between[0, 1] > 0.99
    np.testing.assert_allclose(np.diag(between), 1)
    right = np.mean(np.array(NAMES)[found.classify(new)] == truth)
    assert right > 0.9 if centred else right > 1 / 3


def test_a_map_without_direction_is_undecided() -> None:
    known, techniques = maps(2, 30)
    found = TechniqueMeans.of(known, techniques)
    assert found.classify(np.zeros((1, 6, 6)))[0] == UNDECIDED
    same = TechniqueMeans.of(np.ones((2, 6, 6)), ["A", "B"])
    assert same.classify(np.ones((1, 6, 6)))[0] == UNDECIDED


def test_every_image_counts_the_same() -> None:
    known, techniques = maps(2, 30)
    scaled = known * np.linspace(1, 1000, 30)[:, None, None]
    first, second = (TechniqueMeans.of(values, techniques).means for values in (known, scaled))
    np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 3])
def test_maps_need_their_techniques(count: int) -> None:
    with pytest.raises(DataError, match="maps and"):
        TechniqueMeans.of(np.ones((count, 2, 2)), ["A", "B"])


def images(manipulations: np.ndarray, groups: int) -> ChosenImages:
    data = SimpleNamespace(
        ok_table=pa.table(
            {
                "manipulation": manipulations.tolist(),
                "label": [int(name != "real") for name in manipulations],
                "scene_group": [f"g{i % groups}" for i in range(len(manipulations))],
            }
        )
    )
    return ChosenImages(data, np.arange(len(manipulations)))  # type: ignore[arg-type]


def test_results_count_what_is_named_and_leave_out_what_has_no_mean() -> None:
    (known, techniques), (new, truth) = maps(2, 90), maps(3, 120)
    truth = truth.astype("<U5")
    truth[:10], truth[10:15] = "real", "Other"
    new[15] = 0
    noise = np.random.default_rng(5).random((120, 6, 6))
    kinds = {"fam": (known, new), "crop": (np.random.default_rng(4).random((90, 6, 6)), noise)}
    found = name_techniques(images(techniques, 9), images(truth, 24), kinds)
    record = found.record
    assert record is not None
    used = np.isin(truth, NAMES)
    means = TechniqueMeans.of(known, techniques)
    called = means.classify(new[used])
    right = called == np.searchsorted(NAMES, truth[used])
    first, second = record.accuracies
    assert first.accuracy == pytest.approx(right.mean())
    assert (first.undecided, sum(map(sum, first.matrix))) == (1, 104)
    assert sum(first.matrix[i][i] for i in range(3)) == right.sum()
    assert record.chance == pytest.approx(max(np.mean(truth[used] == name) for name in NAMES))
    assert first.low is not None
    assert record.chance < first.low < first.accuracy < first.high < 1
    (difference,) = record.differences
    assert difference.value == pytest.approx(first.accuracy - second.accuracy)
    assert difference.low is not None
    assert 0 < difference.low < difference.value < difference.high
    assert difference.p is not None
    assert difference.p < 0.05
    assert found.named[used].tolist() == np.array([*NAMES, ""])[called].tolist()
    assert set(found.named[~used]) == {""}
    assert found.notes == ("5 fakes are of manipulations without validation data and are not named: Other",)


def role(rows: list[tuple[str, str, str, int]]) -> SimpleNamespace:
    """The samples of a role from manipulation, group, base and frame."""
    ids = [f"d/all/{manipulation}/{base}#{frame:06d}.0" for manipulation, _, base, frame in rows]
    table = pa.table(
        {"sample_id": ids, "manipulation": [row[0] for row in rows], "scene_group": [row[1] for row in rows]}
    )
    bases = [f"d/all/real/{row[2]}" for row in rows]
    return SimpleNamespace(ok_table=table, ok=np.arange(len(rows)), sample_ids=ids, bases=lambda: bases)


def test_choice_spreads_over_clips_is_the_same_in_all_manipulations_and_ignores_the_order() -> None:
    rows = [
        (manipulation, f"g{base // 2}", f"{base:03d}", frame)
        for manipulation in ("real", "A", "B")
        for base in range(10)
        for frame in range(5)
    ]
    found = choose_images(role(rows), 12, 3, seed=0)  # type: ignore[arg-type]
    ids = found.sample_ids.tolist()
    by_name = {name: [i.split("/", 3)[3] for i in ids if f"/{name}/" in i] for name in ("real", "A", "B")}
    assert by_name["A"] == by_name["B"]
    assert by_name["real"] == by_name["A"][:3]
    assert len({name.partition("#")[0] for name in by_name["A"][:10]}) == 10
    assert len(by_name["A"]) == 12
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    assert choose_images(role(shuffled), 12, 3, seed=0).sample_ids.tolist() == ids  # type: ignore[arg-type]
    assert choose_images(role(rows), 12, 3, seed=1).sample_ids.tolist() != ids  # type: ignore[arg-type]


def test_halves_are_whole_scene_groups() -> None:
    groups = [f"g{i % 7}" for i in range(70)]
    first = halves(groups, 0)
    chosen = {group for group, inside in zip(groups, first, strict=True) if inside}
    assert len(chosen) == 4
    assert not chosen & {group for group, inside in zip(groups, first, strict=True) if not inside}
    assert halves(groups[::-1], 0).tolist() == first[::-1].tolist()
