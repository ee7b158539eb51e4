"""The comparison of drops under erased blocks, against scikit-learn and a bootstrap over scene groups."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from loading import load_file
from sklearn.metrics import roc_auc_score


@pytest.fixture(scope="module")
def erasing() -> ModuleType:
    for name in ("seed_intervals", "mini_detectors_page", "mini_detectors_records", "mini_runs", "mini_detectors"):
        load_file(f"benchmarks/{name}.py", name)
    return load_file("benchmarks/mini_erasing.py", "mini_erasing")


def test_drops_and_their_interval(erasing: ModuleType) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    labels = np.tile([0, 1, 1, 1, 1], 60)
    people = rng.normal(size=60)[groups]

    def run(strength: float) -> object:
        noise = rng.normal(size=len(labels))
        steps = [labels * strength / (1 + k) + 0.5 * people + noise for k in range(7)]
        return erasing.Videos(labels, groups, np.stack(steps))

    first, second = [run(2.0) for _ in range(3)], [run(0.5) for _ in range(3)]
    found = erasing.compare(first, second)

    def drops(chosen: np.ndarray) -> float:
        y = labels[chosen]
        means = []
        for runs in (first, second):
            clean, erased = ([roc_auc_score(y, run.scores[k][chosen]) for run in runs] for k in (0, 3))
            means.append(np.mean(clean) - np.mean(erased))
        return means[0] - means[1]

    everyone = np.arange(len(labels))
    assert found.saved[3] == pytest.approx(drops(everyone), abs=1e-12)
    assert found.saved[0] == found.low[0] == found.high[0] == 0.0
    assert found.first[0] == pytest.approx(np.mean([roc_auc_score(labels, run.scores[0]) for run in first]))
    members = [np.flatnonzero(groups == g) for g in range(60)]
    draws = [drops(np.concatenate([members[g] for g in rng.integers(60, size=60)])) for _ in range(300)]
    half = (found.high[3] - found.low[3]) / 2
    assert half > 1.9 * np.std(draws), "the spread of the trainings comes on top"
    assert half < 6 * np.std(draws)
    assert found.low[3] > 0, "the stronger detector loses more"


def test_equal_detectors_have_no_difference(erasing: ModuleType) -> None:
    rng = np.random.default_rng(1)
    runs = [erasing.Videos(np.arange(20) % 2, np.arange(20) // 2, rng.normal(size=(7, 20))) for _ in range(2)]
    found = erasing.compare(runs, runs)
    assert found.saved == found.low == found.high == (0.0,) * 7
