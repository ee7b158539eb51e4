"""The page of training methods against their backbones: the interval of a mean over trainings, and its sentences."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from loading import load_file
from sklearn.metrics import roc_auc_score

from dfbench.metrics import SeedDifference

MODULES = ("mini_detectors_page", "mini_detectors_records", "mini_runs", "mini_detectors", "seed_intervals")


@pytest.fixture(scope="module")
def methods() -> ModuleType:
    for name in (*MODULES, "method_pairs", "mini_methods_page"):
        load_file(f"benchmarks/{name}.py", name)
    return load_file("benchmarks/mini_methods.py", "mini_methods")


def test_the_interval_of_a_mean_holds_groups_and_trainings(methods: ModuleType) -> None:
    rng = np.random.default_rng(0)
    groups, labels = np.repeat(np.arange(50), 5), np.tile([0, 1, 1, 1, 1], 50)
    people = rng.normal(size=50)[groups]
    scores = [labels * strength + people + rng.normal(size=250) for strength in (0.8, 1.0, 1.2)]
    scores[1][7] = np.nan  # a video without a score counts in no training
    names = [f"{group:03d}" for group in groups]
    tables = [pa.table({"label": labels, "scene_group": names, "score": values}) for values in scores]
    low, high = methods.mean_auc([SimpleNamespace(scores=table) for table in tables])
    kept = np.arange(250) != 7
    aucs = [roc_auc_score(labels[kept], values[kept]) for values in scores]
    assert (low + high) / 2 == pytest.approx(np.mean(aucs))
    members = [np.flatnonzero((groups == g) & kept) for g in range(50)]
    draws = [np.concatenate([members[g] for g in rng.integers(50, size=50)]) for _ in range(300)]
    spread = np.std([np.mean([roc_auc_score(labels[d], values[d]) for values in scores]) for d in draws])
    error = np.hypot(spread, np.std(aucs, ddof=1) / np.sqrt(3))
    assert 1.8 * error < (high - low) / 2 < 4.5 * error  # Student's t with few degrees of freedom


@pytest.mark.parametrize(
    ("value", "mean", "expected"),
    [
        (0.1, (0.6, 0.7), "is better than its backbone: the interval of the difference excludes 0"),
        (-0.1, (0.4, 0.6), "is worse than its backbone: the interval of the difference excludes 0"),
        (0.01, (0.6, 0.7), "does not differ from its backbone: the interval of the difference contains 0"),
    ],
)
def test_sentences(methods: ModuleType, value: float, mean: tuple[float, float], expected: str) -> None:
    found = SeedDifference(value, 0.01, 0.01, 10.0, 0.5, (3, 3))
    page = load_file("benchmarks/mini_methods_page.py", "mini_methods_page")
    line = SimpleNamespace(model="xception-rfm")
    chance = "above" if mean[0] > 0.5 else "not above"
    text = page.verdict(page.Comparison("rfm", [line], [line], found, mean))
    assert text == f"`xception-rfm` {expected}. Its mean AUC is {chance} chance by its interval."
