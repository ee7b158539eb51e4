"""Tracks, face rules and change maps on made-up faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.faces.base import Face
from dfbench.preparation.extraction.change_maps import track_changes
from dfbench.preparation.extraction.face_selection import TrackCandidates, choose, follow, most_changed
from dfbench.preparation.extraction.face_tracks import build_tracks, overlap
from dfbench.preparation.extraction.registration import LONGEST_SIDE, difference, reduced


def face(x: float, y: float, side: float) -> Face:
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    return Face(box, 0.9, np.zeros((5, 2), np.float32))


def test_overlap_of_doubled_boxes():
    one = np.array([0.0, 0.0, 10.0, 10.0])
    assert overlap(one, one) == pytest.approx(1.0)
    # Boxes of one size, shifted by d widths: (2 - d) * 2 of 8 - (2 - d) * 2.
    for d in (0.5, 1.0, 1.5):
        assert overlap(one, one + np.array([10 * d, 0, 10 * d, 0])) == pytest.approx((2 - d) * 2 / (8 - (2 - d) * 2))
    assert overlap(one, one + 30) == 0.0
    assert overlap(np.zeros(4), np.zeros(4)) == 0.0


def test_two_people_who_come_near_and_change_in_size_stay_apart():
    faces = {}
    for n in range(10):
        left, right = face(50 + 2 * n, 60, 20 + 4 * n), face(150 - 2 * n, 60, 40 - n)
        faces[7 * n] = sorted((left, right), key=lambda f: -(f.box[2] - f.box[0]))
    tracks = build_tracks(faces)
    assert len(tracks) == 2
    for track in tracks:
        centres = [float(faces[n][p].box[[0, 2]].mean()) for n, p in sorted(track.members.items())]
        assert len(centres) == 10
        assert centres in ([50 + 2 * n for n in range(10)], [150 - 2 * n for n in range(10)])
    followed = choose(faces, "track")
    assert [float(faces[n][followed[n][0]].box[[0, 2]].mean()) for n in faces] == [50 + 2 * n for n in range(10)]
    largest = choose(faces, "largest")
    assert float(faces[0][largest[0][0]].box[[0, 2]].mean()) == 150


def test_a_face_that_is_gone_for_a_while_comes_back_to_its_track():
    faces = {0: [face(50, 50, 30)], 1: [], 2: [face(150, 50, 10)], 3: [face(52, 50, 30), face(150, 50, 10)]}
    tracks = build_tracks(faces)
    assert [dict(t.members) for t in tracks] == [{0: 0, 3: 0}, {2: 0, 3: 1}]
    assert choose(faces, "track") == {0: (0,), 1: (), 2: (), 3: (0,)}
    assert choose(faces, "all") == {0: (0,), 1: (), 2: (0,), 3: (0, 1)}
    assert choose(faces, "largest") == {0: (0,), 1: (), 2: (0,), 3: (0,)}


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(2, 80)), max_size=4), max_size=8)
)
def test_every_face_is_in_one_track_and_no_track_twice_in_a_frame(frames):
    faces = {3 * n: [face(*f) for f in found] for n, found in enumerate(frames)}
    tracks = build_tracks(faces)
    members = sorted((n, p) for track in tracks for n, p in track.members.items())
    assert members == sorted((n, p) for n, found in faces.items() for p in range(len(found)))
    assert sum(t.area for t in tracks) == pytest.approx(sum(s * s for found in frames for *_, s in found))


def test_one_track_needs_no_look_at_the_frames_and_two_do():
    alone = {0: [face(50, 50, 30)], 1: []}
    assert choose(alone, "manipulated") == {0: (0,), 1: ()}
    assert choose({0: [], 1: []}, "manipulated") == {0: (), 1: ()}
    open_question = choose({0: [face(50, 50, 30), face(200, 50, 20)]}, "manipulated")
    assert isinstance(open_question, TrackCandidates)
    big, small = open_question.tracks
    assert big.area > small.area
    assert most_changed((big, small), []) is big
    assert most_changed((big, small), [[1.0, 3.0]]) is small
    # Each forgery counts alike, however strong it is.
    assert most_changed((big, small), [[0.4, 0.6], [0.4, 0.6], [90.0, 10.0]]) is big
    assert follow({0: [], 4: []}, None) == {0: (), 4: ()}


def test_changes_are_means_inside_the_boxes_at_any_reduction():
    faces = {0: [face(200, 200, 100), face(700, 200, 60)], 9: [face(200, 200, 100)]}
    tracks = build_tracks(faces)
    before = np.full((540, 960, 3), 80, np.uint8)
    after = before.copy()
    after[150:250, 150:250] += 6
    after[170:230, 670:730] += 30
    small, other = reduced(before), reduced(after)
    assert small.shape == (270, LONGEST_SIDE, 3)
    found = track_changes(tracks, faces, {0: 960, 9: 960}, [(0, difference(small, other))])
    assert found == pytest.approx([6, 30], rel=0.05)
    assert track_changes(tracks, faces, {0: 960, 9: 960}, []) is None
    assert track_changes(tracks, faces, {0: 960}, [(0, difference(small, small))]) is None


def test_images_of_other_proportions_are_not_compared():
    small = reduced(np.zeros((540, 960, 3), np.uint8))
    assert reduced(np.zeros((1080, 1920, 3), np.uint8), like=small).shape == small.shape
    assert reduced(np.zeros((960, 540, 3), np.uint8), like=small) is None
    assert reduced(np.zeros((720, 960, 3), np.uint8), like=small) is None
