import numpy as np
import pytest

from dfbench import metrics as m
from dfbench.metrics.intervals import draw_groups, percentile_interval, refusal, resample
from dfbench.metrics.kinds import KINDS

NAIVE = {"acc": m.accuracy, "bacc": m.balanced_accuracy, "auc": m.auc, "eer": m.eer}


def some_data(seed, n=400, n_groups=30, levels=None):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(n_groups, size=n - n_groups)])
    labels = rng.integers(0, 2, n).astype(np.int8)
    labels[groups < 6] = 0  # some groups hold one class only
    labels[groups > 25] = 1
    scores = np.clip(rng.normal(0.4 + 0.15 * labels, 0.2), 0, 1)
    return labels, np.round(scores * levels) / levels if levels else scores, groups


@pytest.mark.parametrize("metric", sorted(KINDS))
@pytest.mark.parametrize("levels", [None, 5])
def test_weighting_equals_writing_the_resample_out(metric, levels):
    labels, scores, groups = some_data(1, levels=levels)
    draws = draw_groups(labels, groups, 40, seed=3)
    fast = resample(KINDS[metric], labels, scores, groups, draws, 0.5)
    for counts, value in zip(draws, fast, strict=True):
        rows = np.concatenate([np.flatnonzero(groups == g) for g, k in enumerate(counts) for _ in range(k)])
        arguments = (0.5,) if KINDS[metric].at_threshold else ()
        assert NAIVE[metric](labels[rows], scores[rows], *arguments) == value  # to the last bit


def test_chunks_do_not_matter(monkeypatch):
    labels, scores, groups = some_data(2)
    whole = draw_groups(labels, groups, 50, seed=1)
    values = resample(KINDS["auc"], labels, scores, groups, whole, 0.5)
    monkeypatch.setattr("dfbench.metrics.intervals._CHUNK", 1000)
    np.testing.assert_array_equal(draw_groups(labels, groups, 50, seed=1), whole)
    np.testing.assert_array_equal(resample(KINDS["auc"], labels, scores, groups, whole, 0.5), values)


def test_draws_are_stratified_and_seeded():
    labels, _, groups = some_data(3)
    draws = draw_groups(labels, groups, 200, seed=5)
    has_real = np.bincount(groups, labels == 0) > 0
    has_fake = np.bincount(groups, labels == 1) > 0
    for stratum in (has_real & has_fake, has_real & ~has_fake, ~has_real & has_fake):
        assert stratum.any()
        assert set(draws[:, stratum].sum(axis=1)) == {int(stratum.sum())}
    np.testing.assert_array_equal(draws, draw_groups(labels, groups, 200, seed=5))
    assert (draws != draw_groups(labels, groups, 200, seed=6)).any()
    assert draws.mean() == pytest.approx(1)


def test_interval_covers_the_truth_of_clustered_data():
    """Scores share a group effect: the interval over groups covers, one over single frames would not."""
    rng = np.random.default_rng(0)
    n_groups, per = 40, 10
    labels = np.tile([0, 1], n_groups * per // 2).astype(np.int8)
    groups = np.repeat(np.arange(n_groups), per)
    truth, hits, naive_hits, trials = 0.6, 0, 0, 150
    for trial in range(trials):
        # A group's accuracy varies around the truth; its frames follow the group.
        chance = np.repeat(rng.beta(0.6 * 3, 0.4 * 3, n_groups), per)
        right = rng.random(len(labels)) < chance
        scores = np.where(right == (labels == 1), 0.9, 0.1)
        for single in (False, True):
            unit = np.arange(len(labels)) if single else groups
            draws = draw_groups(labels, unit, 300, seed=trial)
            interval = percentile_interval(resample(KINDS["acc"], labels, scores, unit, draws, 0.5))
            inside = interval.low <= truth <= interval.high
            hits, naive_hits = hits + (inside and not single), naive_hits + (inside and single)
    assert 0.88 <= hits / trials <= 0.99
    assert naive_hits / trials < 0.85


def test_too_few_groups_are_refused_with_the_reason():
    labels = np.tile([0, 1], 19).astype(np.int8)
    groups = np.repeat(np.arange(19), 2)
    assert refusal(labels, groups, both=True) == "19 scene groups; at least 20 are needed"
    labels, groups = np.array([0] * 3 + [1] * 30, np.int8), np.arange(33)
    assert "real samples in 3 scene groups" in refusal(labels, groups, both=True)
    assert refusal(labels, groups, both=False) is None


def test_an_interval_without_width_says_so():
    assert percentile_interval(np.ones(50)).note
    assert percentile_interval(np.linspace(0, 1, 50)).note is None
