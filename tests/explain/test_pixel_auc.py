"""AUC of maps against masks beside scikit-learn, and the interval of its mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from dfbench.explain.pixel_auc import centre_map, mean_interval, pixel_auc


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = np.round(generator.normal(size=(20, 20)), seed) * 10.0 ** (3 - 4 * seed)  # ties, large and tiny values
    mask = generator.random((20, 20)) < 0.3
    assert pixel_auc(pixels.astype(np.float32), mask) == pytest.approx(
        roc_auc_score(mask.ravel(), pixels.astype(np.float32).ravel()), abs=1e-12
    )


def test_one_kind_of_pixels_and_flat_maps() -> None:
    assert math.isnan(pixel_auc(np.ones((2, 2)), np.ones((2, 2), bool)))
    assert math.isnan(pixel_auc(np.ones((2, 2)), np.zeros((2, 2), bool)))
    assert pixel_auc(np.ones((2, 2)), np.array([[True, False], [False, False]])) == 0.5


def test_the_middle_is_nearest() -> None:
    found = centre_map(5)
    assert np.unravel_index(found.argmax(), found.shape) == (2, 2)
    assert found[0, 0] == found[4, 4] == found.min() == pytest.approx(-math.sqrt(8))


def test_interval_of_a_mean_is_that_of_group_means_on_the_logit_scale() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(30)], 4)
    values = np.clip(np.repeat(generator.normal(0.7, 0.1, 30), 4) + generator.normal(0, 0.05, 120), 0, 1)
    found = mean_interval(values, groups)
    means = values.reshape(30, 4).mean(1)
    assert found.value == pytest.approx(values.mean())
    error = means.std(ddof=1) / math.sqrt(30)
    share = (means - means.mean()) ** 2
    df = min(29, max(7, share.sum() ** 2 / (share**2).sum()))
    centre = math.log(found.value / (1 - found.value))
    half = stats.t.ppf(0.975, df) * error / (found.value * (1 - found.value))
    expected = [1 / (1 + math.exp(-(centre + sign * half))) for sign in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(expected)
    assert (found.n, found.n_groups) == (120, 30)


def test_too_few_groups_have_no_interval() -> None:
    found = mean_interval([0.5, 0.6, 0.7], ["a", "b", "b"])
    assert (found.value, found.low, found.high) == (pytest.approx(0.6), None, None)
    assert "2 scene groups" in str(found.note)
    same = mean_interval([0.5] * 6, list("abcdef"))
    assert same.low is None
    assert "same value" in str(same.note)
