"""Which rows of a manifest serve a protocol that asks for fewer frames or faces."""

from __future__ import annotations

from typing import Any

import pytest

from dfbench.errors import DataError
from dfbench.protocols.protocol import DataPart, Protocol, Sampling

pytestmark = pytest.mark.slow


def protocol(rule: Sampling, **part: Any) -> Protocol:
    return Protocol(
        name="own/p",
        version=1,
        source="s",
        summary="s",
        data=(DataPart(role="test", dataset="mini", split="test", **part),),
        sampling=rule,
    )


def recipe(**sampling: Any) -> dict[str, Any]:
    return {"sampling": sampling}


EVERY_FRAME = recipe(rule="all")


@pytest.mark.parametrize(
    ("have", "wanted", "frames"),
    [
        (EVERY_FRAME, Sampling(frames=3), {0, 4, 7}),  # 3.5 rounded half to even
        (EVERY_FRAME, Sampling(every=3), {0, 3, 6}),
        (EVERY_FRAME, Sampling(clips=2, length=2), {0, 1, 6, 7}),
        (recipe(rule="every", every=1, max=None), Sampling(every=2, max=3), {0, 2, 4}),
        (recipe(rule="first", first=8), Sampling(first=2), {0, 1}),
    ],
)
def test_a_manifest_with_more_frames_serves(build, tmp_path, have, wanted, frames):
    manifest = build(tmp_path / "m", recipe=have)
    samples = manifest.samples(protocol(wanted), "test").to_pandas()
    assert set(samples["frame_index"]) == frames
    assert len(samples) == len(frames) * samples["media_id"].nunique()
    assert set(samples["split"]) == {"test"}


def test_random_frames_are_those_of_a_manifest_made_for_the_protocol(build, tmp_path):
    manifest = build(tmp_path / "m", recipe=recipe(rule="random", random=8, seed=3))
    wanted = Sampling(random=2, seed=3)
    samples = manifest.samples(protocol(wanted), "test").to_pandas()
    for media_id, rows in samples.groupby("media_id"):
        assert rows["frame_index"].tolist() == wanted.rule.indices(8, str(media_id))
    with pytest.raises(DataError, match="random"):
        manifest.samples(protocol(Sampling(random=2, seed=4)), "test")


@pytest.mark.parametrize(
    ("have", "wanted", "words"),
    [
        (recipe(rule="frames", frames=8), Sampling(frames=4), ("8 per clip", "4 per clip")),
        (recipe(rule="every", every=2, max=4), Sampling(every=2), ("every 2, at most 4", "protocol needs every 2")),
        (recipe(rule="all"), Sampling(total_real=5, total_per_method=5), ("all", "5 in total of reals")),
        (recipe(rule="first", first=3), Sampling(first=4), ("the first 3", "the first 4")),
        (recipe(rule="clips", clips=2, length=4), Sampling(clips=1, length=4), ("2 runs of 4", "1 runs of 4")),
    ],
)
def test_a_manifest_that_may_lack_frames_does_not(build, tmp_path, have, wanted, words):
    manifest = build(tmp_path / "m", recipe=have)
    with pytest.raises(DataError) as error:
        manifest.samples(protocol(wanted), "test")
    assert all(word in error.value.message for word in words)


@pytest.mark.parametrize("have", [{"rule": "frames", "frames": 32}, {"rule": "every", "every": 10, "max": 4}])
def test_a_manifest_of_still_images_serves_any_number_of_frames(build, tmp_path, have):
    stills, clips = (build(tmp_path / str(n), recipe=recipe(**have), frames=n) for n in (1, 2))
    for wanted in (Sampling(frames=1), Sampling(first=1), Sampling(frames=8), Sampling(random=2)):
        samples = stills.samples(protocol(wanted), "test").to_pandas()
        assert len(samples) == samples["media_id"].nunique() == 12
        with pytest.raises(DataError, match="the protocol needs"):
            clips.samples(protocol(wanted), "test")
    with pytest.raises(DataError, match="5 in total of reals"):
        stills.samples(protocol(Sampling(total_real=5, total_per_method=5)), "test")


def test_the_rule_is_that_of_the_split_and_subset(build, tmp_path):
    have = recipe(rule="frames", frames=8) | {
        "parts": [
            {"subsets": [], "splits": ["train", "val"], "manipulations": []},
            {"subsets": ["c23"], "splits": ["test"], "manipulations": [], "sampling": {"rule": "all"}},
            {"subsets": ["c40"], "splits": ["test"], "manipulations": [], "sampling": {"rule": "first", "first": 8}},
        ]
    }
    manifest = build(tmp_path / "m", recipe=have)
    few = manifest.samples(protocol(Sampling(frames=2), subsets=("c23",)), "test").to_pandas()
    assert set(few["frame_index"]) == {0, 7}
    assert set(few["subset"]) == {"c23"}
    with pytest.raises(DataError, match="the first 8"):
        manifest.samples(protocol(Sampling(frames=2)), "test")
    own = protocol(Sampling(frames=8), sampling=Sampling(every=4), subsets=("c23",))
    assert set(manifest.samples(own, "test").to_pandas()["frame_index"]) == {0, 4}


def test_shared_geometry_serves_its_own_rule_alone(build, tmp_path):
    manifest = build(tmp_path / "m", recipe=EVERY_FRAME, geometry="shared")
    assert len(manifest.samples(protocol(Sampling(all=True)), "test")) > 0
    with pytest.raises(DataError, match="frames all"):
        manifest.samples(protocol(Sampling(frames=2)), "test")


def test_all_faces_serve_the_largest_and_nothing_else_serves_another(build, tmp_path):
    frames = {"rule": "frames", "frames": 8}
    many = build(tmp_path / "all", recipe={"sampling": frames, "face_rule": "all"})
    plain = build(tmp_path / "largest", recipe={"sampling": frames})
    wanted = protocol(Sampling(frames=8))
    assert many.samples(wanted, "test").table.equals(plain.samples(wanted, "test").table)
    with pytest.raises(DataError, match="faces 'largest', the protocol needs 'track'"):
        plain.samples(protocol(Sampling(frames=8, faces="track")), "test")
    tracked = build(tmp_path / "track", recipe={"sampling": frames, "face_rule": "track"})
    with pytest.raises(DataError, match="faces 'track', the protocol needs 'largest'"):
        tracked.samples(wanted, "test")
    assert len(tracked.samples(protocol(Sampling(frames=8, faces="track")), "test")) > 0


def test_clips_that_did_not_open_keep_the_rows_that_stand_for_them():
    import pandas as pd

    from dfbench.manifest.protocol_rows import select_frames

    table = pd.DataFrame({"media_id": ["a"] * 4, "frame_index": [-1, -2, -3, -4], "frame_count": [float("nan")] * 4})
    assert select_frames(table, Sampling(frames=2).rule).tolist() == [True, True, False, False]
    table["frame_index"] = [0, 1, 2, 3]
    with pytest.raises(DataError, match="how many frames a has"):
        select_frames(table, Sampling(frames=2).rule)
