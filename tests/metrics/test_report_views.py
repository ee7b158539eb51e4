"""What figures and tables of videos are made from: DET curve, reliability, videos one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import det_curve as sklearn_det_curve

from dfbench.errors import DataError, UndefinedMetric, UsageError
from dfbench.metrics import det_curve, ece, reliability, roc_curve, video_table
from dfbench.metrics.calibration import BINS
from dfbench.metrics.compute import samples_by_slice
from dfbench.metrics.samples import FAILURE_POLICIES
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.scores import SCORES

rng_seeds = st.integers(0, 2**32 - 1)


@given(rng_seeds, st.integers(2, 60), st.booleans())
def test_det_curve_has_the_error_rates_of_scikit_learn(seed: int, n: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1], rng.integers(0, 2, n)])
    scores = rng.random(n + 2)
    scores = np.round(scores, 1) if tied else scores
    ours = det_curve(labels, scores)
    found = {t: (x, y) for t, x, y in zip(ours.thresholds, ours.fpr, ours.fnr, strict=True)}
    for x, y, t in zip(*sklearn_det_curve(labels, scores), strict=True):
        assert found[t] == pytest.approx((x, y))
    assert (np.diff(ours.fpr) >= 0).all()
    assert (np.diff(ours.fnr) <= 0).all()
    assert (ours.fpr[0], ours.fnr[0], ours.fpr[-1], ours.fnr[-1]) == (0, 1, 1, 0)
    assert np.allclose(ours.fnr, 1 - roc_curve(labels, scores).tpr)


def test_det_curve_of_one_class_does_not_exist() -> None:
    with pytest.raises(UndefinedMetric):
        det_curve([1, 1], [0.1, 0.2])


@given(rng_seeds, st.integers(1, 300))
def test_reliability_has_the_bins_of_scikit_learn_and_the_distance_of_ece(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random(n), rng.integers(0, 2, n)
    found = reliability(labels, scores)
    some = found.counts > 0
    share, mean = calibration_curve(labels, scores, n_bins=BINS)
    assert found.fakes[some] == pytest.approx(share)
    assert found.scores[some] == pytest.approx(mean)
    assert found.counts.sum() == n
    assert np.isnan(found.scores[~some]).all()
    distance = np.abs(found.scores[some] - found.fakes[some]) @ found.counts[some] / n
    assert distance == pytest.approx(ece(labels, scores))


def test_reliability_at_the_ends_and_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = reliability([0, 1], [0.0, 1.0])
    assert found.counts.tolist() == [1] + [0] * (BINS - 2) + [1]
    with pytest.raises(DataError):
        reliability([0, 1], [0.0, 1.5])


def scores_of(seed: int = 0, faces: int = 1) -> pa.Table:
    """Six clips of up to five frames under two conditions; every fourth sample has no face, one clip none at all."""
    rng = np.random.default_rng(seed)
    rows = []
    for condition in ("clean", "JP60"):
        for clip, method in enumerate(("real", "real", "Deepfakes", "Deepfakes", "FaceSwap", "FaceSwap")):
            name = media_id("mini", "c23", method, f"{clip:03d}")
            for frame in range(3 + clip % 3):
                for face in range(faces):
                    ok = clip != 5 and (frame + clip) % 4 != 1
                    rows.append(
                        {
                            "sample_id": sample_id(name, frame, face),
                            "media_id": name,
                            "dataset": "mini",
                            "subset": "c23",
                            "manipulation": method,
                            "split": "test",
                            "scene_group": name,
                            "label": int(method != "real"),
                            "class": method,
                            "condition": condition,
                            "model": "m",
                            "run_id": "r",
                            "status": "ok" if ok else "no_face",
                            "score": float(rng.random()) if ok else None,
                            "logits": None,
                        }
                    )
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def test_every_video_stands_in_the_table_with_its_mean() -> None:
    scores = scores_of()
    frame = scores.to_pandas()
    table = video_table(scores)
    assert len(table) == frame.groupby(["condition", "media_id"]).ngroups
    for row in table.itertuples():
        own = frame[(frame["media_id"] == row.media_id) & (frame["condition"] == row.condition)]
        assert (row.requested, row.frames) == (len(own), (own["status"] == "ok").sum())
        assert (row.label, row.manipulation) == (own["label"].iloc[0], own["manipulation"].iloc[0])
        assert row.score == pytest.approx(own["score"].mean(), nan_ok=True)
    assert table["score"].isna().sum() == 2  # the clip without a face, under both conditions


@pytest.mark.parametrize("policy", FAILURE_POLICIES)
@pytest.mark.parametrize("how", ["mean", "max", "vote"])
def test_videos_are_those_that_metrics_judge(policy: str, how: str) -> None:
    scores = scores_of(1, faces=2)
    rules = {"threshold": 0.4, "failure_policy": policy, "face_aggregation": "max"}
    table = video_table(scores, how, **rules)
    for place, samples in samples_by_slice(scores, f"auc.video.{how}", **rules).items():
        own = table[(table["condition"] == place[2])].dropna(subset="score")
        assert own["score"].tolist() == samples.scores.tolist()
        assert own["label"].tolist() == samples.labels.tolist()
    assert (table["requested"] <= 5).all()  # frames, not faces


def test_videos_of_nothing_and_of_unknown_rules() -> None:
    empty = video_table(scores_of().slice(0, 0))
    assert isinstance(empty, pd.DataFrame)
    assert len(empty) == 0
    with pytest.raises(UsageError):
        video_table(scores_of(), "median-ish")
