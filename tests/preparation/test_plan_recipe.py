"""Shards hold whole scene groups; recipes hash what decides pixels and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.recipe import MediaSelection, PreparationRecipe
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.sampling import FrameSampling
from dfbench.preparation.planning.sharding import cut, rows_per_shard
from dfbench.protocols.protocol import DataPart, Protocol, Sampling
from dfbench.schema.media import Media


def media(group: int, name: str, split: str = "train") -> Media:
    return Media("ff++", "c23", "Deepfakes", name, 1, split, f"ff++/{group:03d}", f"{name}.mp4")  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(1, 40), st.integers(64, 1024), st.randoms())
def test_groups_stay_whole_whatever_the_order(sizes, rows_per_media, target, rng):
    everything = [media(g, f"{g:03d}_{i}") for g, size in enumerate(sizes) for i in range(size)]
    shuffled = everything.copy()
    rng.shuffle(shuffled)
    shards = cut(shuffled, rows_per_media, target)
    assert shards == cut(everything, rows_per_media, target)
    assert [m for s in shards for m in s.media] == sorted(everything, key=lambda m: (m.scene_group, m.media_id))
    home = {}
    for shard in shards:
        groups = {m.scene_group for m in shard.media}
        assert len(shard.media) * rows_per_media <= target or len(groups) == 1
        for group in groups:
            assert home.setdefault(group, shard.number) == shard.number
    assert [s.file for s in shards] == [f"shard-{n:05d}.parquet" for n in range(len(shards))]


def original(name: str, fakes: int, rows: int = 32) -> list[Media]:
    """A scene group as in DFDC: an original and its fakes."""
    group = f"dfdc/train/{name}"
    return [Media("dfdc", "all", "real", name, 0, "train", group, f"{name}.mp4")] + [
        Media("dfdc", "all", "fake", f"{name}-{n}", 1, "train", group, f"{name}-{n}.mp4") for n in range(fakes)
    ]


def kept(before: list[Media], after: list[Media]) -> float:
    """Part of the shards that are recognised when the media grow."""
    most = rows_per_shard(32 * len(after))
    assert most == rows_per_shard(32 * len(before))
    old, new = ({shard.hash for shard in cut(media, 32, most)} for media in (before, after))
    return len(old & new) / len(new)


def test_a_part_of_dfdc_that_arrives_later_redoes_a_tenth_of_the_shards_at_most():
    rng = random.Random(0)
    names = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(4000)]
    groups = {name: original(name, rng.choice((3, 4, 5, 6, 7, 8))) for name in names}
    everything = [m for group in groups.values() for m in group]
    for seed in range(3):  # a fiftieth of the originals, anywhere in the order of names
        late = set(random.Random(seed).sample(names, 80))
        first = [m for name, group in groups.items() if name not in late for m in group]
        assert kept(first, everything) >= 0.9


def test_a_tree_of_pairs_and_a_run_of_clips_grow_by_two_percent():
    pairs = [media(g, f"{g:03d}_{i}") for g in range(500) for i in range(12)]
    assert kept([m for m in pairs if int(m.scene_group[-3:]) % 50], pairs) >= 0.9
    clips = [replace(m, scene_group=m.media_id) for m in pairs]
    assert kept(clips[:3000] + clips[3120:], clips) >= 0.9
    assert kept(clips[:-120], clips) >= 0.9


def test_all_that_is_known_of_a_medium_decides_what_a_shard_must_hold():
    one = [media(1, "a"), media(1, "b")]
    changes = ({"label": 0}, {"path": "x.mp4"}, {"class_name": "x"}, {"identity_target": "7"}, {"cropped": True})
    hashes = {cut([replace(one[0], **change), one[1]], 8, 64)[0].hash for change in changes}
    assert len({*hashes, cut(one, 8, 64)[0].hash}) == len(changes) + 1


def test_still_images_are_planned_as_one_row():
    images = [replace(media(g, f"{g:05d}"), kind="image") for g in range(2000)]
    assert 2 <= len(cut(images, 32, 1024)) <= 6  # as clips of 32 rows: more than 63


def test_shard_hash_knows_its_media():
    one, two = cut([media(1, "a"), media(1, "b")], 8, 64)[0], cut([media(1, "a"), media(1, "c")], 8, 64)[0]
    assert one.hash != two.hash
    assert one.hash == cut([media(1, "b"), media(1, "a")], 8, 64)[0].hash


def test_small_sets_still_spread():
    assert rows_per_shard(900_000) == 1024
    assert 64 <= rows_per_shard(100) <= rows_per_shard(5000) < 1024


def test_twice_the_same_id_and_groups_over_splits_are_refused():
    with pytest.raises(DataError, match="same id"):
        cut([media(1, "a"), media(2, "a")], 8, 64)
    with pytest.raises(DataError, match="two splits"):
        cut([media(1, "a", "train"), media(1, "b", "test")], 8, 64)


RECIPE = PreparationRecipe(
    "ff++", (MediaSelection(("c23", "c40")),), FrameSampling(frames=8), (128,), "native", "pyav", "centerface", "fp"
)


def test_recipe_hash_ignores_order_and_sees_everything_else():
    assert RECIPE.hash == replace(RECIPE, selections=(MediaSelection(("c40", "c23")),)).hash
    changes = [
        {"selections": (MediaSelection(("c23",)),)},
        {"sampling": FrameSampling(every=8)},
        {"sizes": (128, 224)},
        {"profile": "box"},
        {"decoder": "decord"},
        {"face_detector_fingerprint": "other"},
        {"seed": 1},
        {"source": {"seed": 3}},
        {"dataset": "mini"},
    ]
    hashes = {replace(RECIPE, **change).hash for change in changes}
    assert len(hashes) == len(changes)
    assert RECIPE.hash not in hashes


def test_parts_keep_reals():
    part = MediaSelection(("c23",), ("test",), ("FaceSwap",))
    assert part.takes("c23", "test", "real")
    assert part.takes("c23", "test", "FaceSwap")
    assert not part.takes("c23", "test", "Deepfakes")
    assert not part.takes("c40", "test", "real")
    assert not part.takes("c23", "val", "real")


def protocol(**changes: object) -> Protocol:
    parts = (
        DataPart(role="train", dataset="ff++", split="train", subsets=("c23",)),
        DataPart(role="test", dataset="ff++", split="test", subsets=("c23", "c40"), manipulations=("FaceSwap",)),
    )
    values = {
        "name": "p",
        "version": 1,
        "source": "s",
        "summary": "s",
        "data": parts,
        "sampling": Sampling(every=5, max=3),
    }
    return Protocol(**(values | changes))  # type: ignore[arg-type]


def test_defaults_of_a_plain_request():
    recipe = make_recipe(PreparationRequest("ff++"))
    assert (recipe.sampling.frames, recipe.sizes, recipe.profile, recipe.selections) == (
        32,
        (128, 224),
        "native",
        (MediaSelection(),),
    )


def test_protocol_decides_frames_crops_and_media():
    recipe = make_recipe(PreparationRequest("ff++", protocol=protocol()))
    assert recipe.sampling == FrameSampling(every=5, max=3)
    assert (recipe.sizes, recipe.profile) == ((128,), "native")
    assert recipe.takes("c40", "test", "FaceSwap")
    assert not recipe.takes("c40", "train", "FaceSwap")
    assert not recipe.takes("c23", "test", "Deepfakes")
    assert recipe.takes("c23", "train", "Deepfakes")
    narrowed = make_recipe(PreparationRequest("ff++", protocol=protocol(), splits=("test",)))
    assert narrowed.selections == (MediaSelection(("c23", "c40"), ("test",), ("FaceSwap",)),)


def test_mini_without_options_takes_the_mini_protocol():
    plain = make_recipe(PreparationRequest("mini"))
    assert plain.hash == make_recipe(PreparationRequest("mini", protocol="mini")).hash
    assert (plain.sampling.frames, plain.sizes) == (8, (128,))
    assert plain.takes("c40", "test", "real")
    assert make_recipe(PreparationRequest("mini", frames=4, subsets=("raw",))).selections == (MediaSelection(("raw",)),)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (PreparationRequest("ff+"), "unknown data set"),
        (PreparationRequest("ff++", protocol="nosuch"), "unknown protocol"),
        (PreparationRequest("ff++", profile="natve"), "unknown"),
        (PreparationRequest("ff++", decoder="pyaw"), "unknown decoder"),
        (PreparationRequest("ff++", face_detector="retina"), "unknown face detector"),
        (PreparationRequest("ff++", sizes=(8,)), "between 16 and 1024"),
        (PreparationRequest("ff++", frames=0), "at least 1"),
        (PreparationRequest("ff++", frames=3, every=2), "exactly one sampling rule"),
        (PreparationRequest("ff++", subsets=("c22",)), "unknown subset"),
        (PreparationRequest("ff++", protocol="mini"), "does not use"),
        (PreparationRequest("mini", protocol="mini", frames=3), "cannot be combined with a protocol"),
        (PreparationRequest("mini", protocol="mini", subsets=("raw",)), "exclude everything"),
    ],
)
def test_bad_requests(request_, message):
    with pytest.raises(UsageError, match=message):
        make_recipe(request_)


def test_shuffling_never_matters_for_ids():
    order = [media(g, f"{g}{i}") for g in range(5) for i in range(3)]
    random.Random(3).shuffle(order)
    assert cut(order, 10, 64)[0].media[0].media_id == "ff++/c23/Deepfakes/00"


def test_mini_is_prepared_in_every_compression_of_the_protocol_for_every_split():
    for options in ({}, {"protocol": "mini"}):
        parts = make_recipe(PreparationRequest("mini", **options)).selections
        assert {(p.splits, p.subsets) for p in parts} == {((s,), ("c23", "c40")) for s in ("train", "val", "test")}


def test_mini_is_generated_with_the_subsets_that_are_asked_for():
    from dfbench.preparation.prepare import resolve_preparation

    raw = protocol(data=(DataPart(role="test", dataset="mini", split="test", subsets=("raw",)),))
    for options in ({"subsets": ["c0"]}, {"protocol": raw}):
        with pytest.MonkeyPatch.context() as patch:
            recipes = []
            patch.setattr(
                "dfbench.preparation.prepare.check_folder", lambda _, recipe, kept=recipes: kept.append(recipe)
            )
            plan = resolve_preparation("mini", "nosuch", "nosuch", **options)
        assert recipes[0]["source"]["settings"]["subsets"] == ["c23", "c40", "raw"]
        assert plan.mini is not None
        assert plan.mini.subsets == ("c23", "c40", "raw")
        assert (plan.shards, plan.root.exists(), plan.out.exists()) == (None, False, False)
