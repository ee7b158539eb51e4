"""Equal means give equal numbers: means against fractions, AUC of videos against exact rational arithmetic."""

import time
from decimal import Decimal, localcontext
from fractions import Fraction

import exact_tables
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.metrics import aggregate, auc
from dfbench.metrics.aggregation import LOGIT_CLIP
from dfbench.metrics.exact_means import exact_means, logit_means

frames = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(frames)
def test_a_mean_is_the_nearest_number_to_the_exact_one(values):
    (found,) = exact_means(np.array(values), np.array([len(values)]))
    assert found == float(sum(map(Fraction, values)) / len(values))


def test_half_way_between_two_numbers():
    for values in ([1.0, 2.0**-53, 5e-324, 0.0], [1.0, 2.0**-53, 0.0, 0.0], [5e-324, 0.0], [5e-324, 5e-324, 0.0]):
        (found,) = exact_means(np.array(values), np.array([len(values)]))
        assert found == float(sum(map(Fraction, values)) / len(values)), values


def probability_of_mean_logit(values):
    with localcontext() as context:
        context.prec = 60
        clip = Decimal(LOGIT_CLIP)
        total = Decimal(0)
        for value in map(Decimal, values):
            p, q = value, 1 - value
            p, q = (clip, 1 - clip) if p < clip else (1 - clip, clip) if q < clip else (p, q)
            total += p.ln() - q.ln()
        return float(1 / (1 + (-total / len(values)).exp()))


@given(frames)
def test_a_mean_logit_is_the_nearest_number_to_the_exact_one(values):
    (found,) = logit_means(np.array(values), np.array([len(values)]), LOGIT_CLIP)
    assert found == probability_of_mean_logit(values)


@pytest.mark.parametrize("count", [2, 3, 7, 100, 1001])
def test_equal_frames_have_exactly_their_score(count):
    scores = np.random.default_rng(0).random(50)
    names = [f"v{n:02d}" for n in range(50) for _ in range(count)]
    for how in ("mean", "mean-logit", "max", "median"):
        found = aggregate(names, np.repeat(np.arange(50) % 2, count), np.repeat(scores, count), how)
        assert (found.scores == scores).all(), how


def test_auc_of_scores_in_64ths_is_exact():
    """1,000 tables of this kind are in tests/long."""
    rng = np.random.default_rng(20260301)
    for _ in range(40):
        videos = exact_tables.random_videos(rng)
        names, labels, scores = exact_tables.columns(videos)
        assert auc(labels, scores) == pytest.approx(exact_tables.exact_auc(videos, "frame"), abs=1e-12)
        for how in exact_tables.LEVELS[1:]:
            found = aggregate(names, labels, scores, how)
            assert auc(found.labels, found.scores) == pytest.approx(exact_tables.exact_auc(videos, how), abs=1e-12), how


@pytest.mark.parametrize("mean", [exact_means, lambda values, counts: logit_means(values, counts, LOGIT_CLIP)])
def test_means_of_many_frames_are_fast(mean):
    rng = np.random.default_rng(0)
    counts = np.full(6250, 32)
    started = time.process_time()
    mean(rng.random(counts.sum()), counts)
    assert time.process_time() - started < 2
