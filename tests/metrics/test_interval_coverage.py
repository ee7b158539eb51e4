"""Intervals over scene groups cover the truth as often as they claim, where frames and videos are correlated."""

import time

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from dfbench.metrics import aggregate
from dfbench.metrics.bootstrap import draw_groups, estimate, resample
from dfbench.metrics.definitions import metric_definition
from dfbench.metrics.metric_intervals import metric_interval
from dfbench.metrics.samples import MetricSamples

GROUPS, FAKES, FRAMES, DRAWS, WORLDS = 120, 2, 4, 2000, 800
GAP, OF_GROUP, OF_VIDEO, OF_FRAME = 1.2, 0.6, 0.5, 0.8


def world(rng):
    """One test part: in each group a real video and its fakes; a group, a video and a frame each add their noise."""
    videos = np.arange(GROUPS * (1 + FAKES))
    group, fake = videos // (1 + FAKES), (videos % (1 + FAKES) > 0).astype(np.int8)
    level = GAP * fake + OF_GROUP * rng.normal(size=GROUPS)[group] + OF_VIDEO * rng.normal(size=len(videos))
    frames = level[:, None] + OF_FRAME * rng.normal(size=(len(videos), FRAMES)) - GAP / 2
    return group, fake, frames


def samples(labels, scores, groups):
    return MetricSamples(labels, scores, groups, len(labels), int(np.sum(labels == 0)))


def interval_of(name, data, seed):
    definition = metric_definition(name.partition(".")[0])
    value = estimate(definition, data)
    return metric_interval(definition, data, value, lambda labels, units: draw_groups(labels, units, DRAWS, seed))


def true_auc(of_frame):
    """Of pairs from different groups, and of the 1/G pairs within one, whose noise is common."""
    alone = OF_VIDEO**2 + of_frame**2
    across, within = (norm.cdf(GAP / np.sqrt(2 * v)) for v in (alone + OF_GROUP**2, alone))
    return (1 - 1 / GROUPS) * across + within / GROUPS


TRUTH = {
    "auc.frame": true_auc(OF_FRAME),
    "auc.video": true_auc(OF_FRAME / np.sqrt(FRAMES)),
    "acc.frame": norm.cdf(GAP / 2 / np.sqrt(OF_GROUP**2 + OF_VIDEO**2 + OF_FRAME**2)),
}


@pytest.mark.slow
def test_intervals_cover_the_truth_at_their_level():
    rng = np.random.default_rng(20260101)
    hits = dict.fromkeys(TRUTH, 0)
    for number in range(WORLDS):
        group, fake, frames = world(rng)
        of_frames = samples(np.repeat(fake, FRAMES), expit(frames).ravel(), np.repeat(group, FRAMES))
        # The mean of logits: its truth has a closed form.
        of_videos = samples(fake, expit(frames.mean(axis=1)), group)
        for name, data in (("auc.frame", of_frames), ("auc.video", of_videos), ("acc.frame", of_frames)):
            interval = interval_of(name, data, number)
            hits[name] += interval.low <= TRUTH[name] <= interval.high
    for name, count in hits.items():
        assert 0.93 <= count / WORLDS <= 0.97, (name, count / WORLDS)


def test_intervals_over_single_frames_would_be_far_too_narrow():
    rng = np.random.default_rng(0)
    single = 0
    for number in range(60):
        _, fake, frames = world(rng)
        labels, scores = np.repeat(fake, FRAMES), expit(frames).ravel()
        alone = np.arange(len(labels))
        draws = draw_groups(labels, alone, 200, seed=number)
        drawn = resample(metric_definition("auc"), samples(labels, scores, alone), draws)
        low, high = np.quantile(drawn, [0.025, 0.975])
        single += low <= TRUTH["auc.frame"] <= high
    assert single / 60 < 0.85


def test_the_video_scores_of_the_simulation_are_those_of_mean_logit():
    _, fake, frames = world(np.random.default_rng(1))
    names = np.repeat([f"v{i:04d}" for i in range(len(fake))], FRAMES)
    videos = aggregate(names, np.repeat(fake, FRAMES), expit(frames).ravel(), "mean-logit")
    np.testing.assert_allclose(videos.scores, expit(frames.mean(axis=1)))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [70, 6000])
def test_two_thousand_resamples_of_the_auc_of_a_hundred_thousand_frames_take_seconds(groups):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100_000).astype(np.int8)
    data = samples(labels, rng.random(100_000), rng.integers(0, groups, 100_000))
    started = time.process_time()
    draws = draw_groups(labels, data.groups, 2000, seed=0)
    assert len(resample(metric_definition("auc"), data, draws)) == 2000
    assert time.process_time() - started < 20  # less than 10 on a quiet core; processor time grows on a shared one
