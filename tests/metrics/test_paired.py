import numpy as np
import pyarrow as pa
import pytest
import run_folders

from dfbench import metrics as m
from dfbench.errors import DataError
from dfbench.metrics.paired_tests import paired_differences
from dfbench.schema.scores import SCORES

FIRST = run_folders.scores_table(model="a", run_id="a", pairs=24, frames=3, gap=1.5, seed=0)
NAMES = ["auc.frame", "auc.video.mean", "acc.video.mean", "eer.video.mean"]


def edit(table, **columns):
    rows = table.to_pylist()
    for row in rows:
        row |= {name: change(row) for name, change in columns.items()}
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def noisy(table, sigma, seed=1):
    """The same detector with noise on its logits: correlated, and worse."""
    rng = np.random.default_rng(seed)

    def score(row):
        if row["score"] is None:
            return None
        return float(1 / (1 + np.exp(-(np.log(row["score"] / (1 - row["score"])) + sigma * rng.normal()))))

    return edit(table, model=lambda r: "b", run_id=lambda r: "b", score=score)


def test_differences_are_those_of_the_metrics():
    second = noisy(FIRST, 2.0)
    found = paired_differences(FIRST, second, NAMES, resamples=200)
    ours, theirs = (m.compute_metrics(t, NAMES, resamples=0, per_manipulation=False) for t in (FIRST, second))
    assert [(d.name, d.subset) for d in found] == [(v.name, v.subset) for v in ours]
    for d, a, b in zip(found, ours, theirs, strict=True):
        assert (d.first, d.second, d.value) == (a.value, b.value, a.value - b.value)
        assert d.low <= d.value <= d.high
        assert d.n == a.n


def test_a_detector_does_not_differ_from_itself():
    same = edit(FIRST, model=lambda r: "b", run_id=lambda r: "b")
    for d in paired_differences(FIRST, same, NAMES, resamples=100):
        assert (d.value, d.low, d.high, d.p, d.holm) == (0.0, 0.0, 0.0, 1.0, 1.0)
        assert d.video_p in (None, 1.0)


def test_pairing_is_narrower_than_two_intervals():
    close = noisy(FIRST, 0.3)
    (d, *_) = paired_differences(FIRST, close, ["auc.frame"], resamples=500)
    (v, *_) = m.compute_metrics(FIRST, ["auc.frame"], resamples=500, per_manipulation=False)
    assert d.high - d.low < 0.6 * (v.high - v.low)


def test_tests_on_videos_are_delong_and_mcnemar():
    second = noisy(FIRST, 1.5)
    found = {(d.name, d.subset): d for d in paired_differences(FIRST, second, NAMES, resamples=50)}
    videos = {}
    for key, table in (("a", FIRST), ("b", second)):
        rows = [r for r in table.to_pylist() if r["subset"] == "c23" and r["status"] == "ok"]
        names, labels, scores = zip(*[(r["media_id"], r["label"], r["score"]) for r in rows], strict=True)
        videos[key] = m.aggregate(names, labels, scores)
    a, b = videos["a"], videos["b"]
    auc, acc = found["auc.video.mean", "c23"], found["acc.video.mean", "c23"]
    assert (auc.video_test, acc.video_test, found["auc.frame", "c23"].video_test) == ("DeLong", "McNemar", "")
    assert auc.video_p == m.delong_test(a.labels, a.scores, b.scores).p
    right = [(v.scores >= 0.5) == v.labels for v in (a, b)]
    assert acc.video_p == m.mcnemar(*right)


def test_holm_over_the_slices_of_each_metric():
    found = paired_differences(FIRST, noisy(FIRST, 1.0), NAMES, resamples=100, per_manipulation=True)
    assert len(found) == 2 * 5 * len(NAMES)
    for name in NAMES:
        family = [d for d in found if d.name == name]
        assert [d.holm for d in family] == m.holm([d.p for d in family])
        tested = [d for d in family if d.video_p is not None]
        assert [d.video_holm for d in tested] == m.holm([d.video_p for d in tested])
        assert len(tested) == (len(family) if name.startswith(("auc.video", "acc.video")) else 0)


def test_what_one_could_not_score_is_left_out_for_both():
    clip = FIRST["media_id"][4].as_py()
    second = noisy(FIRST, 0.0)
    second = edit(
        second,
        status=lambda r: "failed" if r["media_id"] == clip else r["status"],
        score=lambda r: None if r["media_id"] == clip else r["score"],
    )
    for d in paired_differences(FIRST, second, ["auc.frame", "auc.video.mean"], resamples=0):
        assert d.value == 0.0
        assert d.note == "no resamples were requested"
    punished = paired_differences(FIRST, second, ["acc.frame"], resamples=0, failure_policy="as-fake")
    assert any(d.value != 0 for d in punished)


def test_other_samples_are_refused_with_the_ids():
    with pytest.raises(DataError, match=r"different samples: 1 are only in the first, 0 only in the second"):
        paired_differences(FIRST, noisy(FIRST, 1).slice(1), NAMES)
    moved = edit(noisy(FIRST, 1), scene_group=lambda r: "mini/all")
    with pytest.raises(DataError, match="differ in the scene_group of mini/c23"):
        paired_differences(FIRST, moved, NAMES)


def test_few_groups_give_no_p_but_a_difference():
    small = run_folders.scores_table(model="a", run_id="a", pairs=10, frames=1)
    (d, *_) = paired_differences(small, noisy(small, 1), ["auc.video.mean"], resamples=50)
    assert d.p is None
    assert d.note == "10 scene groups; at least 20 are needed"
    assert d.video_p is not None


def test_one_class_is_a_reason_not_a_number():
    reals = FIRST.filter(pa.compute.equal(FIRST["label"], 0))
    (d, *_) = paired_differences(reals, noisy(reals, 1), ["auc.frame"], resamples=50)
    assert (d.value, d.p) == (None, None)
    assert "only real samples" in d.note
