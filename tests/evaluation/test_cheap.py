"""What one fact about the files reaches alone."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dfbench.evaluation.trivial_baselines import cross_fitted, majority_scores, media_facts, trivial_baselines
from dfbench.metrics import compute_metrics
from dfbench.report import result_rows
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.result import MAJORITY, RunResult
from dfbench.schema.scores import SCORES

NAMES = ("acc.frame", "auc.frame", "auc.video.mean")


def table(media=80, frames=2, classes=None, failed=()):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(media):
        fake = number % 2
        name = classes[number % len(classes)] if classes else ("real", "GAN")[fake]
        clip = media_id("hff", "all", "GAN" if fake else "real", f"v{number:03d}")
        for frame in range(frames):
            ok = number not in failed
            rows.append({
                "sample_id": sample_id(clip, frame), "media_id": clip, "dataset": "hff", "subset": "all",
                "manipulation": "GAN" if fake else "real", "split": "test", "scene_group": clip, "label": fake,
                "class": name, "condition": "clean", "model": "m", "run_id": "r", "status": "ok" if ok else "no_face",
                "score": float(rng.random()) if ok else None,
                "logits": [0.0] * len(classes or (0, 0)) if ok else None,
            })  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def facts(scores, **columns):
    rows = scores.to_pandas()
    nothing = dict.fromkeys(("size", "format", "length", "frame rate"), np.nan)
    return pd.DataFrame(
        nothing | {k: np.broadcast_to(np.asarray(f(rows), float), len(rows)) for k, f in columns.items()},
        index=rows["sample_id"],
    )


def measure(scores, names, **options):
    return compute_metrics(scores, names, resamples=50, **options)


def values(baseline):
    return {v.name: v for v in baseline.metrics if v.manipulation == "all"}


def test_a_size_that_tells_everything():
    scores = table()
    (found,) = trivial_baselines(scores, facts(scores, size=lambda r: 100.0 + 50 * r["label"]), measure, NAMES)
    assert found.name == "size alone"
    assert {n: v.value for n, v in values(found).items()} == dict.fromkeys(NAMES, 1.0)
    assert values(found)["auc.frame"].n == 160


def test_facts_that_tell_nothing_reach_about_chance():
    scores = table(media=400)
    rng = np.random.default_rng(1)
    per_media = dict(zip(dict.fromkeys(scores["media_id"].to_pylist()), rng.integers(0, 300, 400), strict=True))
    found = trivial_baselines(scores, facts(scores, length=lambda r: r["media_id"].map(per_media)), measure, NAMES)
    assert [b.name for b in found] == ["length alone"]
    assert values(found[0])["auc.video.mean"].value == pytest.approx(0.5, abs=0.08)


def test_the_best_fact_stands_in_the_table():
    scores = table()
    rng = np.random.default_rng(2)
    known = facts(scores, size=lambda r: np.where(rng.random(len(r)) < 0.5, r["label"], 0), format=lambda r: r["label"])
    found = trivial_baselines(scores, known, measure, NAMES)
    assert [b.name for b in found] == ["format alone"]


def test_facts_that_do_not_vary_are_no_baseline():
    scores = table()
    assert trivial_baselines(scores, facts(scores, size=lambda r: 1.0), measure, NAMES) == ()


def test_the_same_samples_are_judged():
    scores = table(failed=(3, 8))
    (found,) = trivial_baselines(scores, facts(scores, size=lambda r: r["label"]), measure, NAMES)
    assert values(found)["auc.frame"].n == 156
    assert values(found)["auc.frame"].coverage == 156 / 160


def test_no_medium_is_judged_by_itself():
    # Every value once: only a fact judged by its own label could tell anything.
    labels = (np.arange(30) % 2).astype(np.int8)
    assert set(cross_fitted(np.arange(30.0), labels, [f"g{i}" for i in range(30)])) == {0.5}
    together = cross_fitted(np.repeat([1.0, 2.0], 15), labels, ["one"] * 30)
    assert set(together) == {0.5}


def test_many_values_are_binned():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000).astype(np.int8)
    fitted = cross_fitted(rng.normal(labels * 2.0), labels, [f"g{i}" for i in range(2000)])
    from dfbench.metrics import auc

    assert auc(labels, fitted) == pytest.approx(0.92, abs=0.02)


def test_unknown_is_a_value_of_its_own():
    labels = np.tile([0, 1], 50).astype(np.int8)
    values_ = np.where(labels == 1, np.nan, 3.0)
    assert cross_fitted(values_, labels, [f"g{i}" for i in range(100)])[1] > 0.9


def test_several_classes_have_their_own_majority():
    classes = ("CelebA", "PGGAN", "CelebA-HQ", "Glow", "CelebA")
    scores = table(media=60, classes=classes)
    order = ("CelebA", "CelebA-HQ", "PGGAN", "Glow")
    fitting = table(media=60, classes=classes).set_column(
        scores.column_names.index("logits"), "logits", pa.array([[0.0] * 4] * len(scores), pa.list_(pa.float32()))
    )
    found = trivial_baselines(
        fitting,
        facts(fitting, size=lambda r: r["label"]),
        lambda t, names: measure(t, names, classes=order),
        ("acc.frame", "acc.collapsed.frame", "auc.frame"),
        order,
    )
    assert [b.name for b in found] == ["size alone", MAJORITY]
    assert [v.name for v in found[0].metrics if v.manipulation == "all"] == ["acc.collapsed.frame", "auc.frame"]
    assert values(found[1])["acc.frame"].value == pytest.approx(24 / 60)


def test_majority_scores_leave_failures_without_logits():
    scores = majority_scores(table(failed=(0,)), ("real", "GAN"))
    assert scores["logits"][0].as_py() is None
    assert int(np.argmax(scores["logits"][4].as_py())) == 1


def test_baselines_stand_below_the_detectors_once():
    scores = table()
    found = trivial_baselines(scores, facts(scores, size=lambda r: r["label"]), measure, NAMES)
    result = RunResult(
        run_id="r", model="m", protocol=None, manifests=(), weights=None, versions={}, device="cpu",
        started="2026-01-01T00:00:00", seconds=1, selection={}, failure_policy="exclude",
        metrics=tuple(measure(scores, NAMES)), baselines=found, mini=False,
    )  # fmt: skip
    rows = result_rows([result, result.model_copy(update={"run_id": "s"})], ["a", "b"])
    names = [r.model for r in rows if r.level == "frame" and r.manipulation == "all"]
    assert names == ["a", "b", "majority class", "size alone"]
    assert [r.baseline for r in rows if r.level == "frame" and r.manipulation == "all"] == [False, False, True, True]


def test_facts_come_from_the_manifest():
    rows = [
        ("a#0.0", "x/a.JPG", 640, 480, 1, 0, None),
        ("b#0.0", "x/b.mp4", 640, 480, 300, 0, 0.0),
        ("b#9.0", "x/b.mp4", 640, 480, 300, 30, 1.001),
        ("c#0.0", "x/c.png", None, None, None, -1, None),
    ]
    names = ("sample_id", "media_path", "width", "height", "frame_count", "frame_index", "time_s")
    part = SimpleNamespace(select=pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]).select)
    found = media_facts(SimpleNamespace(parts=((None, part),)))
    assert found.loc["a#0.0", "size"] == 640 * 480
    assert np.isnan(found.loc["c#0.0", "size"])
    assert len(set(found["format"])) == 3
    assert found.loc["b#9.0", "length"] == 300
    assert found.loc["b#9.0", "frame rate"] == pytest.approx(29.97)
    assert np.isnan(found.loc["b#0.0", "frame rate"])
