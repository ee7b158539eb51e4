"""Frame sampling against the definition, for all counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import UsageError
from dfbench.preparation.sampling import FrameSampling

counts = st.integers(1, 5000)


@given(counts, st.integers(1, 300))
def test_frames_spread_over_the_clip(count, frames):
    indices = FrameSampling(frames=frames).indices(count)
    assert len(indices) == min(frames, count) == len(set(indices))
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < count
    if 1 < frames <= count:
        assert (indices[0], indices[-1]) == (0, count - 1)
        ideal = np.arange(frames) * (count - 1) / (frames - 1)
        assert np.abs(np.array(indices) - ideal).max() <= 0.5


@given(counts, st.integers(1, 300), st.one_of(st.none(), st.integers(1, 50)))
def test_every_so_many_frames(count, every, most):
    indices = FrameSampling(every=every, max=most).indices(count)
    expected = [i for i in range(count) if i % every == 0]
    assert indices == (expected if most is None else expected[:most])


def test_32_frames_of_a_known_length():
    assert FrameSampling(frames=5).indices(300) == [0, 75, 150, 224, 299]  # 149.5 and 224.25, rounded half to even
    assert FrameSampling(frames=1).indices(300) == [0]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"frames": 3, "every": 2},
        {"frames": 3, "max": 2},
        {"max": 2},
        {"frames": 0},
        {"every": -1},
        {"every": 3, "max": 0},
    ],
)
def test_rules_that_make_no_sense(rule):
    with pytest.raises(UsageError):
        FrameSampling(**rule)


def test_rows_for_clips_that_do_not_open():
    assert FrameSampling(frames=7).rows_if_unreadable == 7
    assert FrameSampling(every=30, max=10).rows_if_unreadable == 10
    assert FrameSampling(every=30).rows_if_unreadable == 1
