"""Intervals cover the truth, and tests reject a true null hypothesis, as often as they claim."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import families
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom, norm

from dfbench import metrics

pytestmark = pytest.mark.long

Array = NDArray[np.float64]
FAKES, FRAMES = 2, 4
GAP, OF_GROUP, OF_VIDEO, OF_FRAME = 1.2, 0.6, 0.5, 0.8


def world(rng: np.random.Generator, groups: int) -> tuple[NDArray[np.int64], NDArray[np.int8], Array]:
    """Scene group, label and logit of every frame: each group has a real video and its fakes.

    A group, a video and a frame each add independent normal noise.
    """
    videos = np.arange(groups * (1 + FAKES))
    group, fake = videos // (1 + FAKES), (videos % (1 + FAKES) > 0).astype(np.int8)
    level = GAP * fake + OF_GROUP * rng.normal(size=groups)[group] + OF_VIDEO * rng.normal(size=len(videos))
    logits = level[:, None] + OF_FRAME * rng.normal(size=(len(videos), FRAMES)) - GAP / 2
    return np.repeat(group, FRAMES), np.repeat(fake, FRAMES), logits.ravel()


def truth(metric: str, groups: int) -> float:
    """The expected value of a metric in these worlds."""
    alone = OF_VIDEO**2 + OF_FRAME**2
    if metric == "acc":
        return float(norm.cdf(GAP / 2 / np.sqrt(OF_GROUP**2 + alone)))
    # Of the pairs of a real and a fake, one in `groups` is within a group, whose noise is common.
    across, within = (norm.cdf(GAP / np.sqrt(2 * v)) for v in (alone + OF_GROUP**2, alone))
    return float((1 - 1 / groups) * across + within / groups)


@pytest.mark.parametrize("metric", ["auc", "acc"])
@pytest.mark.parametrize("groups", [30, 70, 300])
def test_intervals_cover_the_truth(metric: str, groups: int, record: Callable[[str], None]) -> None:
    rng = np.random.default_rng(20260101 + groups)
    worlds, hits, single = 1500, 0, 0
    for number in range(worlds):
        group, labels, logits = world(rng, groups)
        scores = expit(logits)
        found = metrics.bootstrap_interval(metric, labels, scores, groups=group, resamples=1000, seed=number)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth(metric, groups) <= found.high
        if number % 3 == 0:  # the interval that ignores the groups
            wrong = metrics.bootstrap_interval(metric, labels, scores, resamples=200, seed=number)
            assert wrong.low is not None
            assert wrong.high is not None
            single += wrong.low <= truth(metric, groups) <= wrong.high
    record(
        f"{hits / worlds:.1%} of {worlds} intervals over {groups} groups cover the truth, "
        f"{single / (worlds // 3):.0%} over frames"
    )
    assert 0.93 <= hits / worlds <= 0.985
    assert single / (worlds // 3) < min(0.92, hits / worlds - 0.04)


@pytest.mark.parametrize(("videos", "lowest"), [(40, 0.9), (200, 0.93), (1000, 0.935)])
@pytest.mark.parametrize("effect", [0.5, 1.5])
def test_delong_intervals_cover_the_truth(
    videos: int, lowest: float, effect: float, record: Callable[[str], None]
) -> None:
    rng = np.random.default_rng(7)
    labels = np.arange(videos) % 2
    expected = norm.cdf(effect / np.sqrt(2))
    worlds = 4000
    found = [metrics.delong(labels, expit(rng.normal(size=videos) + effect * labels)) for _ in range(worlds)]
    hits = sum(f.low <= expected <= f.high for f in found) / worlds
    record(f"{hits:.1%} of {worlds} intervals over {videos} videos cover, AUC {expected:.2f}")
    assert lowest <= hits <= 0.965
    # The standard error is that of the AUC over repetitions.
    assert np.mean([f.error for f in found]) == pytest.approx(np.std([f.value for f in found]), rel=0.08)


def test_tests_of_a_true_null_hypothesis_reject_one_in_twenty(record: Callable[[str], None]) -> None:
    """Two detectors of the same quality with correlated scores on the same videos."""
    rng = np.random.default_rng(11)
    videos, worlds = 200, 3000
    labels = np.arange(videos) % 2
    delong, mcnemar, family = 0, 0, 0
    for _ in range(worlds):
        common = rng.normal(size=videos) + 1.2 * labels
        three = [expit(common + 0.8 * rng.normal(size=videos) - 0.6) for _ in range(3)]
        delong += metrics.delong_test(labels, three[0], three[1]).p < 0.05
        right = [(scores >= 0.5) == labels for scores in three]
        mcnemar += metrics.mcnemar(right[0], right[1]) < 0.05
        family += min(metrics.holm([metrics.delong_test(labels, a, b).p for a, b in pairwise(three)])) < 0.05
    record(
        f"rejected of {worlds}: DeLong {delong / worlds:.1%}, McNemar {mcnemar / worlds:.1%}, "
        f"any of two after Holm {family / worlds:.1%}"
    )
    low, high = binom.interval(0.999, worlds, 0.05)
    assert low <= delong <= high
    assert mcnemar <= high  # exact, hence conservative
    assert family <= high


def test_paired_t_test_of_a_true_null_hypothesis_rejects_one_in_twenty(record: Callable[[str], None]) -> None:
    rng = np.random.default_rng(13)
    worlds, groups, rejected, covered = 1200, 100, 0, 0
    for number in range(worlds):
        group, labels, logits = world(rng, groups)
        one, other = (expit(logits + 0.5 * rng.normal(size=len(logits))) for _ in range(2))
        found = metrics.paired_difference("auc", labels, one, other, groups=group, resamples=1000, seed=number)
        rejected += found.p < 0.05
        covered += found.low <= 0 <= found.high
    record(f"rejected {rejected / worlds:.1%} of {worlds}; {covered / worlds:.1%} of the intervals cover 0")
    low, high = binom.interval(0.999, worlds, 0.05)
    assert low <= rejected <= high + 0.01 * worlds
    assert 0.925 <= covered / worlds <= 0.97


def test_at_most_one_family_in_twenty_holds_a_false_finding(record: Callable[[str], None]) -> None:
    """The six conditions of a metric are a family; the two detectors are of the same quality under each."""
    rng = np.random.default_rng(17)
    worlds, names = 1000, ["acc.frame", "auc.frame"]
    false, uncorrected = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for _ in range(worlds):
        found = metrics.paired_differences(*families.equal_detectors(rng, 70), names)
        for name in names:
            own = [d for d in found if d.name == name]
            false[name] += min(d.holm for d in own if d.holm is not None) < 0.05
            uncorrected[name] += min(d.p for d in own if d.p is not None) < 0.05
    shares = (f"{n} {false[n] / worlds:.1%} ({uncorrected[n] / worlds:.0%} without correction)" for n in names)
    record(f"families of six with a significant result, of {worlds}: {', '.join(shares)}")
    assert max(false.values()) <= 0.065 * worlds
    assert min(uncorrected.values()) >= 0.1 * worlds


def test_equal_detectors_of_several_seeds_differ_one_time_in_twenty(record: Callable[[str], None]) -> None:
    """Three trainings each; a training moves the logits of fakes by a normal step."""
    rng = np.random.default_rng(19)
    worlds, lines = 400, []
    for spread in (0.0, 0.2, 0.6):
        averaged, lowest = 0, 0
        for _ in range(worlds):
            first, second = families.trained_detectors(rng, 60, 3, spread)
            averaged += metrics.seed_difference(first, second, "auc.frame", resamples=500).p < 0.05
            (single,) = metrics.paired_differences(first[0], second[0], ["auc.frame"], resamples=500)
            lowest += single.p is not None and single.p < 0.05
        lines.append(
            f"spread {spread}: {averaged / worlds:.1%} of the means, {lowest / worlds:.0%} of the lowest seeds"
        )
        assert averaged <= binom.ppf(0.999, worlds, 0.05)
    record(f"rejected: {'; '.join(lines)}")
    assert lowest > 0.3 * worlds
