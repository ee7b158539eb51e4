import numpy as np
import pytest

from dfbench import metrics as m
from dfbench.metrics.bootstrap import auc_of_groups, draw_groups, estimate, no_interval_reason, resample
from dfbench.metrics.definitions import METRICS, metric_definition
from dfbench.metrics.metric_intervals import metric_interval
from dfbench.metrics.roc import auc_of, rank, vertices
from dfbench.metrics.samples import MetricSamples

NAIVE = {
    "acc": m.accuracy,
    "acc.collapsed": m.accuracy,
    "bacc": m.balanced_accuracy,
    "auc": m.auc,
    "eer": m.eer,
    "ap": m.average_precision,
    "logloss": m.log_loss,
    "brier": m.brier,
    "ece": m.ece,
    "macro-f1": lambda y, s, t: m.macro_f1(y, (s >= t).astype(int), 2),
    "recall@class=real": lambda y, s, t: m.class_recalls(y, s, t)[0],
    "tpr@fpr=0.1": lambda y, s: m.tpr_at_fpr(y, s, 0.1),
    "pauc@fpr=0.2": lambda y, s: m.partial_auc(y, s, 0.2),
    "pauc-mcclish@fpr=0.2": lambda y, s: m.partial_auc_mcclish(y, s, 0.2),
}


def samples(labels, scores, groups):
    return MetricSamples(labels, scores, groups, len(labels), int(np.sum(labels == 0)))


def some_data(seed, n=400, n_groups=30, levels=None):
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(n_groups, size=n - n_groups)])
    labels = rng.integers(0, 2, n).astype(np.int8)
    labels[groups < 6] = 0  # some groups hold one class only
    labels[groups > 25] = 1
    scores = np.clip(rng.normal(0.4 + 0.15 * labels, 0.2), 0, 1)
    return labels, np.round(scores * levels) / levels if levels else scores, groups


@pytest.mark.parametrize("metric", sorted({*METRICS, *NAIVE}))
@pytest.mark.parametrize("levels", [None, 5])
def test_weighting_equals_writing_the_resample_out(metric, levels):
    labels, scores, groups = some_data(1, levels=levels)
    draws = draw_groups(labels, groups, 40, seed=3)
    kind = metric_definition(metric)
    fast = resample(kind, samples(labels, scores, groups), draws)
    # Counts are whole numbers; a vertex without samples adds an exact zero, but moves where sums are rounded.
    exact = metric.partition(".")[0] in ("acc", "bacc", "auc", "eer") or "tpr" in metric or "recall" in metric
    for counts, value in zip(draws, fast, strict=True):
        rows = np.concatenate([np.flatnonzero(groups == g) for g, k in enumerate(counts) for _ in range(k)])
        arguments = (0.5,) if kind.at_threshold else ()
        written_out = NAIVE[metric](labels[rows], scores[rows], *arguments)
        assert written_out == (value if exact else pytest.approx(value, rel=1e-12))


def test_chunks_do_not_matter(monkeypatch):
    labels, scores, groups = some_data(2)
    whole = draw_groups(labels, groups, 50, seed=1)
    values = resample(METRICS.get("eer"), samples(labels, scores, groups), whole)
    monkeypatch.setattr("dfbench.metrics.bootstrap._CHUNK", 1000)
    np.testing.assert_array_equal(draw_groups(labels, groups, 50, seed=1), whole)
    np.testing.assert_array_equal(resample(METRICS.get("eer"), samples(labels, scores, groups), whole), values)


@pytest.mark.parametrize("levels", [None, 3])
def test_counting_pairs_of_groups_equals_the_roc_to_the_last_bit(levels):
    labels, scores, groups = some_data(4, levels=levels)
    draws = draw_groups(labels, groups, 60, seed=2)
    ranking = rank(labels, scores)
    by_roc = auc_of(*vertices(ranking, draws[:, groups[ranking.order]]))
    np.testing.assert_array_equal(auc_of_groups(labels, scores, groups, draws), by_roc)


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
            acc, data = METRICS.get("acc"), samples(labels, scores, unit)
            interval = metric_interval(
                acc, data, estimate(acc, data), lambda y, units, trial=trial: draw_groups(y, units, 300, seed=trial)
            )
            inside = interval.low <= truth <= interval.high
            hits, naive_hits = hits + (inside and not single), naive_hits + (inside and single)
    assert 0.88 <= hits / trials <= 0.99
    assert naive_hits / trials < 0.85


def test_too_few_groups_are_refused_with_the_reason():
    labels = np.tile([0, 1], 19).astype(np.int8)
    groups = np.repeat(np.arange(19), 2)
    assert no_interval_reason(labels, groups, both=True) == "19 scene groups; at least 20 are needed"
    labels, groups = np.array([0] * 3 + [1] * 30, np.int8), np.arange(33)
    assert "real samples in 3 scene groups" in no_interval_reason(labels, groups, both=True)
    assert no_interval_reason(labels, groups, both=False) is None
