"""AUC of frames and videos against exact rational arithmetic, and the time of a million frames."""

from __future__ import annotations

import time
from collections.abc import Callable

import exact_tables
import numpy as np
import pytest

from dfbench.metrics import AGGREGATIONS, aggregate, auc

pytestmark = pytest.mark.long


def test_auc_of_a_thousand_tables_is_exact(record: Callable[[str], None]) -> None:
    rng = np.random.default_rng(20260302)
    largest = 0.0
    for _ in range(1000):
        videos = exact_tables.random_videos(rng)
        names, labels, scores = exact_tables.columns(videos)
        found = {"frame": auc(labels, scores)}
        for how in AGGREGATIONS:
            of_videos = aggregate(names, labels, scores, how)
            found[how] = auc(of_videos.labels, of_videos.scores)
        assert found.keys() == set(exact_tables.LEVELS)
        largest = max(largest, *(abs(value - exact_tables.exact_auc(videos, level)) for level, value in found.items()))
    record(f"largest difference of 1,000 tables at {len(exact_tables.LEVELS)} levels: {largest:.1g}")
    assert largest <= 1e-12


@pytest.mark.parametrize("frames", [2, 32, 1000])
def test_a_million_frames_are_aggregated_in_seconds(frames: int, record: Callable[[str], None]) -> None:
    rng = np.random.default_rng(0)
    videos = 1_000_000 // frames
    media = np.repeat(np.char.mod("%07d", np.arange(videos)), frames)
    labels, scores = np.repeat(np.arange(videos) % 2, frames), rng.random(videos * frames)
    seconds = {}
    for how in AGGREGATIONS:
        started = time.process_time()
        aggregate(media, labels, scores, how)
        seconds[how] = time.process_time() - started
    record(f"{frames} frames per video: {', '.join(f'{how} {taken:.1f} s' for how, taken in seconds.items())}")
    assert max(seconds.values()) < 20
