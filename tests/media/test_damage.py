"""Which frames count as damaged, from what a decoder says of each."""

from __future__ import annotations

from dfbench.media.damage import CONCEALED, FOLLOWS, DamageRecord, DecodedFrame


def record(decoded: list[tuple[int, str]], keys: tuple[int, ...] = (0, 6)) -> dict[int, str]:
    """Packets in the order of decoding: time and "ok", "flagged" or "lost"; frames are shown in the order of times."""
    made = DamageRecord(keys)
    frames = []
    for pts, state in decoded:
        made.sent(pts)
        if state == "lost":
            made.failed()
        else:
            frames.append(DecodedFrame(pts, pts in keys, state == "flagged"))
    for frame in sorted(frames, key=lambda frame: frame.pts or 0):
        made.shown(frame)
    return made.damaged()


def states(changes: dict[int, str], order: tuple[int, ...]) -> list[tuple[int, str]]:
    return [(pts, changes.get(pts, "ok")) for pts in order]


CLOSED = (0, 3, 1, 2, 5, 4, 6, 8, 7)  # frame 3 is decoded before 1 and 2, which refer to it
OPEN = (0, 3, 1, 2, 6, 4, 5, 8, 7)  # 4 and 5 are shown before keyframe 6 and decoded after it


def test_damage_lasts_from_the_flagged_frame_to_the_next_keyframe_in_the_order_of_decoding():
    assert record(states({}, CLOSED)) == {}
    assert record(states({3: "flagged"}, CLOSED)) == {
        1: FOLLOWS, 2: FOLLOWS, 3: CONCEALED, 4: FOLLOWS, 5: FOLLOWS,
    }  # fmt: skip
    assert record(states({4: "flagged"}, CLOSED)) == {4: CONCEALED}
    assert record(states({6: "flagged"}, CLOSED)) == {6: CONCEALED, 7: FOLLOWS, 8: FOLLOWS}


def test_frames_shown_before_a_keyframe_can_refer_to_the_group_before_it():
    assert set(record(states({3: "flagged"}, OPEN))) == {1, 2, 3, 4, 5}
    assert set(record(states({6: "flagged"}, OPEN))) == {4, 5, 6, 7, 8}


def test_a_lost_packet_damages_what_is_decoded_after_it():
    assert set(record(states({3: "lost"}, CLOSED))) == {1, 2, 3, 4}  # positions: one frame fewer is shown
    assert record(states({8: "lost"}, CLOSED)) == {7: FOLLOWS}


def test_a_frame_that_calls_itself_a_keyframe_ends_no_damage_unless_its_packet_is_one():
    assert set(record(states({3: "flagged"}, CLOSED), keys=(0,))) == {1, 2, 3, 4, 5, 6, 7, 8}


def test_without_times_the_order_of_frames_counts():
    made = DamageRecord()
    for key, flagged in ((True, False), (False, True), (False, False), (True, False), (False, False)):
        made.sent(None)
        made.shown(DecodedFrame(None, key, flagged))
    made.failed()
    made.shown(DecodedFrame(None, False, False))
    assert set(made.damaged()) == {1, 2, 5}
