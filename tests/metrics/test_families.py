"""Families of comparisons: what is significant after correction, and how often nothing but chance is."""

import families
import numpy as np
import pytest
from scipy.stats import t

from dfbench.errors import DataError
from dfbench.metrics import paired_differences, seed_difference
from dfbench.metrics.bootstrap import draw_groups
from dfbench.metrics.compute import compute_metrics, samples_by_slice
from dfbench.metrics.definitions import metric_definition
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.difference_tests import difference_spread

TEN = tuple(
    f"{metric}.video.mean"
    for metric in (
        "acc",
        "bacc",
        "auc",
        "eer",
        "ap",
        "macro-f1",
        "brier",
        "logloss",
        "recall@class=real",
        "pauc@fpr=0.1",
    )
)


def test_a_perfect_detector_differs_from_a_coin_in_every_one_of_sixty_comparisons():
    """With one family of 60 and p-values from 2,000 resamples, none could be below 0.06 after correction."""
    shape = (len(families.CONDITIONS), 70, 1 + families.FAKES)
    perfect = np.broadcast_to(np.where(np.arange(1 + families.FAKES) > 0, 0.99, 0.01), shape)
    coin = np.random.default_rng(0).random(shape)
    tables = families.scores_table(perfect, "perfect"), families.scores_table(coin, "coin")
    found = paired_differences(*tables, TEN)
    assert len(found) == 60
    assert all(d.holm < 0.05 for d in found)
    # Also where every manipulation is a comparison of its own: 30 in a family.
    assert all(d.holm < 0.05 for d in paired_differences(*tables, ["auc.frame"], per_manipulation=True))


def test_few_families_hold_a_false_finding():
    """A thousand families are in tests/long."""
    rng = np.random.default_rng(5)
    families_of_six, uncorrected = 0, 0
    for _ in range(25):
        found = paired_differences(*families.equal_detectors(rng, 70), ["auc.frame"])
        families_of_six += min(d.holm for d in found) < 0.05
        uncorrected += min(d.p for d in found) < 0.05
    assert families_of_six <= 3
    assert uncorrected >= 4  # which the correction removes


def test_a_difference_of_means_over_seeds_has_both_variances():
    first, second = families.trained_detectors(np.random.default_rng(1), 40, 4, 0.5)
    found = seed_difference(first, second, "auc.frame", resamples=400)
    values = [
        [compute_metrics(run, ["auc.frame"], resamples=0, per_manipulation=False)[0].value for run in runs]
        for runs in (first, second)
    ]
    parts = [np.var(of, ddof=1) / 4 for of in values]
    assert found.value == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    assert found.seed_error == pytest.approx(np.sqrt(sum(parts)))
    variance = found.cluster_error**2 + sum(parts)
    influence = np.mean([[auc_influence(*arrays(run))[1] for run in runs] for runs in (first, second)], axis=1)
    sums = (influence[0] - influence[1]).reshape(40, -1).sum(axis=1)
    assert found.cluster_error == pytest.approx(np.sqrt(40 / 39 * np.sum(sums**2)))
    own = np.sum(sums**2) ** 2 / np.sum(sums**4)
    df = variance**2 / (found.cluster_error**4 / own + sum(part**2 / 3 for part in parts))
    assert found.df == pytest.approx(df)
    assert found.p == pytest.approx(2 * t.sf(abs(found.value) / np.sqrt(variance), df))
    assert found.runs == (4, 4)


def arrays(table):
    """Labels and scores, scene group by scene group."""
    rows = table.to_pandas().sort_values(["scene_group", "sample_id"])
    return rows["label"].to_numpy(np.int8), rows["score"].to_numpy()


def test_single_runs_have_the_variance_of_the_samples_or_of_the_other_detector():
    first, second = families.trained_detectors(np.random.default_rng(2), 40, 3, 0.5)
    alone = seed_difference(first[:1], second[:1], "auc.frame", resamples=400)
    (paired,) = paired_differences(first[0], second[0], ["auc.frame"], resamples=400)
    assert (alone.seed_error, alone.value, alone.p) == (0.0, paired.value, paired.p)
    assert paired.high - paired.low == pytest.approx(2 * t.ppf(0.975, alone.df) * alone.cluster_error)
    mixed = seed_difference(first, second[:1], "auc.frame", resamples=400)
    values = [compute_metrics(run, ["auc.frame"], resamples=0, per_manipulation=False)[0].value for run in first]
    assert mixed.seed_error == pytest.approx(np.sqrt(np.var(values, ddof=1) * (1 / 3 + 1)))


def test_seeds_that_differ_more_than_detectors_show_no_difference():
    """The lowest seed of each, tested alone, differs in most of these worlds; the means over seeds rarely do."""
    rng = np.random.default_rng(3)
    lowest, averaged = 0, 0
    for _ in range(15):
        first, second = families.trained_detectors(rng, 40, 3, 0.6)
        averaged += seed_difference(first, second, "auc.frame", resamples=300).p < 0.05
        lowest += paired_differences(first[0], second[0], ["auc.frame"], resamples=300)[0].p < 0.05
    assert averaged <= 3
    assert lowest >= 6


def test_seed_differences_that_cannot_be_tested():
    first, second = families.trained_detectors(np.random.default_rng(0), 12, 2, 0.5)
    with pytest.raises(DataError, match="12 scene groups"):
        seed_difference(first, second, "auc.frame")
    first, second = families.equal_detectors(np.random.default_rng(0), 25)
    with pytest.raises(DataError, match="6 data sets, subsets or conditions"):
        seed_difference([first], [second], "auc.frame")


def test_people_who_recur_are_the_units_of_a_difference():
    """Twenty-four people, each the target of several scenes and the source of others."""
    rng = np.random.default_rng(4)
    groups, persons = 72, 24
    scene = np.arange(groups) % persons
    targets = [f"p{scene[g]}" for g in range(groups) for _ in range(1 + families.FAKES)]
    sources = [
        f"p{(scene[g] + 1 + 5 * clip + g // persons) % persons}" if clip else None
        for g in range(groups)
        for clip in range(1 + families.FAKES)
    ]
    people = {"identity_target": targets, "identity_source": sources}
    tables = [
        families.scores_table(rng.random((1, groups, 1 + families.FAKES)), name, 0, ["clean"], people) for name in "ab"
    ]
    for metric in ("auc", "acc"):
        (found,) = paired_differences(*tables, [f"{metric}.frame"])
        assert (found.cluster, found.n_clusters) == ("people", persons)
        samples = [next(iter(samples_by_slice(table, f"{metric}.frame").values())) for table in tables]
        spread = difference_spread(metric_definition(metric), samples[:1], samples[1:], drawing)
        half = t.ppf(0.975, spread.df) * np.sqrt(spread.variance)
        assert spread.df <= persons - 1
        assert found.high - found.value == pytest.approx(half, rel=0.1)  # of other resamples


def drawing(labels, units):
    return draw_groups(labels, units, 2000, 0)
