"""Frame sampling against the definition, for all counts; totals; rules as text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import UsageError
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.recipe import MediaSelection
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.sampling import FrameSampling, TotalSampling, assign, shortfall
from dfbench.preparation.planning.sampling_options import parse_options, split_rules
from dfbench.schema.media import Media
from dfbench.schema.sampling import draw, make_rule, parse_rule

counts = st.integers(1, 5000)
small = st.integers(1, 60)
PINNED = [79, 152, 178, 191]
names = st.text("abcdef/0123", min_size=1, max_size=8)


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


@given(counts, st.integers(1, 300))
def test_aligned_frames_are_evenly_spaced_over_the_given_length(count, frames):
    rule = FrameSampling(aligned=frames)
    assert rule.indices(count, "any") == FrameSampling(frames=frames).indices(count)
    assert parse_rule(rule.text) == make_rule(rule.to_json()) == rule
    assert rule.rows_if_unreadable == rule.rows_planned == frames
    assert rule.covers(FrameSampling(aligned=frames))
    # Whether another rule has its frames depends on the other clips of a scene group.
    for other in (FrameSampling(all=True), FrameSampling(frames=frames), FrameSampling(aligned=frames + 1)):
        assert not other.covers(rule)
        assert not rule.covers(other)


@given(counts, st.integers(1, 300), st.one_of(st.none(), st.integers(1, 50)))
def test_every_so_many_frames(count, every, most):
    indices = FrameSampling(every=every, max=most).indices(count)
    expected = [i for i in range(count) if i % every == 0]
    assert indices == (expected if most is None else expected[:most])


def test_32_frames_of_a_known_length():
    assert FrameSampling(frames=5).indices(300) == [0, 75, 150, 224, 299]  # 149.5 and 224.25, rounded half to even
    assert FrameSampling(frames=1).indices(300) == [0]


@given(counts, st.integers(1, 50))
def test_all_and_the_first(count, k):
    assert FrameSampling(all=True).indices(count) == list(range(count))
    assert FrameSampling(first=k).indices(count) == list(range(min(k, count)))


@given(counts, st.integers(1, 40), names, st.integers(0, 3))
def test_random_frames_depend_on_id_and_seed_alone(count, k, name, seed):
    rule = FrameSampling(random=k, seed=seed)
    indices = rule.indices(count, name)
    assert indices == rule.indices(count, name)
    assert indices == sorted(set(indices))
    assert len(indices) == min(k, count)
    assert 0 <= indices[0] <= indices[-1] < count
    assert set(draw(count, k, name, seed)[: k // 2]) == set(draw(count, k // 2, name, seed))


def test_random_frames_are_spread_alike_and_pinned():
    assert FrameSampling(random=4).indices(300, "ff++/c23/real/000") == PINNED
    assert FrameSampling(random=4).indices(300, "ff++/c23/real/001") != PINNED
    assert FrameSampling(random=4, seed=1).indices(300, "ff++/c23/real/000") != PINNED
    clips = [FrameSampling(random=3).indices(10, f"clip/{n}") for n in range(4000)]
    drawn = np.bincount(np.concatenate(clips), minlength=10)
    # 12,000 draws over ten frames: 1200 each, a standard deviation of 29.
    assert np.abs(drawn - 1200).max() < 120


@given(counts, st.integers(1, 12), st.integers(1, 40))
def test_clips_are_whole_runs_that_do_not_overlap(count, clips, length):
    indices = FrameSampling(clips=clips, length=length).indices(count)
    assert indices == sorted(set(indices))
    if count <= length:
        assert indices == list(range(count))
        return
    assert len(indices) == length * min(clips, count // length)
    for start in range(0, len(indices), length):
        run = indices[start : start + length]
        assert run == list(range(run[0], run[0] + length))
    assert indices[0] == 0
    if min(clips, count // length) > 1:
        assert indices[-1] == count - 1


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
        {"clips": 3},
        {"length": 3},
        {"frames": 3, "length": 3},
        {"all": True, "frames": 3},
        {"random": 3, "first": 3},
        {"frames": 3, "seed": 1},
    ],
)
def test_rules_that_make_no_sense(rule):
    with pytest.raises(UsageError):
        FrameSampling(**rule)


def test_rows_for_clips_that_do_not_open():
    assert FrameSampling(frames=7).rows_if_unreadable == 7
    assert FrameSampling(every=30, max=10).rows_if_unreadable == 10
    assert FrameSampling(every=30).rows_if_unreadable == 1
    assert FrameSampling(clips=2, length=8).rows_if_unreadable == 16
    assert FrameSampling(all=True).rows_if_unreadable == 1


RULES = st.one_of(
    st.builds(FrameSampling, frames=small),
    st.builds(FrameSampling, every=small, max=st.one_of(st.none(), small)),
    st.just(FrameSampling(all=True)),
    st.builds(FrameSampling, random=small, seed=st.integers(0, 1)),
    st.builds(FrameSampling, clips=small, length=small),
    st.builds(FrameSampling, first=small),
)


@given(RULES, RULES, counts, names)
def test_what_covers_holds_the_frames_of_every_clip(mine, theirs, count, name):
    if mine.covers(theirs):
        assert set(theirs.indices(count, name)) <= set(mine.indices(count, name))


def test_what_covers_what():
    assert FrameSampling(all=True).covers(FrameSampling(clips=2, length=3))
    assert FrameSampling(every=5).covers(FrameSampling(every=10, max=3))
    assert FrameSampling(every=5, max=5).covers(FrameSampling(every=10, max=3))
    assert not FrameSampling(every=5, max=4).covers(FrameSampling(every=10, max=3))
    assert not FrameSampling(every=5, max=4).covers(FrameSampling(every=10))
    assert not FrameSampling(random=9).covers(FrameSampling(random=3, seed=1))
    assert not FrameSampling(all=True).covers(TotalSampling(5, 5))
    assert not FrameSampling(all=True).covers(FrameSampling(first=3), media_frames_known=False)


@given(st.one_of(RULES, st.builds(TotalSampling, small, small, st.sampled_from(["uniform", "random"]), small)))
def test_rules_survive_text_and_json(rule):
    assert parse_rule(rule.text) == rule
    assert make_rule(rule.to_json()) == rule


@pytest.mark.parametrize(
    "text", ["", "frames", "frames=x", "frames=3,every=2", "all=1", "total_real=5", "frames=3,total_real=5", "fps=3"]
)
def test_texts_that_are_no_rule(text):
    with pytest.raises(UsageError):
        parse_rule(text)


# Totals


def media(name: str, method: str = "real", split: str = "train", subset: str = "c23") -> Media:
    return Media("ff++", subset, method, name, int(method != "real"), split, f"ff++/{name}", f"{name}.mp4")  # type: ignore[arg-type]


@given(st.lists(names, min_size=1, max_size=40, unique=True), st.integers(1, 300), st.randoms())
def test_a_total_is_shared_out_evenly_in_any_order(ids, total, rng):
    rule = TotalSampling(total, 1)
    quotas = rule.quotas(ids, real=True)
    assert sum(quotas.values()) == total
    assert max(quotas.values()) - min(quotas.values()) <= 1
    shuffled = ids.copy()
    rng.shuffle(shuffled)
    assert rule.quotas(shuffled, real=True) == quotas


def test_another_seed_gives_the_remainder_to_others():
    ids = [f"{n:03d}" for n in range(20)]
    firsts = {tuple(k for k, v in TotalSampling(7, 1, seed=s).quotas(ids, True).items() if v) for s in range(6)}
    assert len(firsts) == 6


def test_every_class_of_every_split_and_subset_has_its_own_total():
    rules = {"train": TotalSampling(50, 12), "test": FrameSampling(frames=3)}
    kinds = [(method, split, subset) for method in ("real", "A", "B") for split in rules for subset in ("c23", "c40")]
    clips = [media(f"{kind[1]}{n}", *kind) for n in range(7) for kind in kinds]
    found = assign(clips, lambda subset, split, method: rules[split])
    for subset in ("c23", "c40"):
        for method, total in (("real", 50), ("A", 12), ("B", 12)):
            mine = [m for m in clips if (m.subset, m.split, m.manipulation) == (subset, "train", method)]
            assert sum(found[m.media_id].frames or 0 for m in mine) == total
    assert {found[m.media_id] for m in clips if m.split == "test"} == {FrameSampling(frames=3)}
    few = assign(clips[:3], lambda *_: TotalSampling(1, 1, "random", 5))
    assert few[clips[0].media_id] == FrameSampling(random=1, seed=5)


def test_media_without_a_frame_are_left_away():
    clips = [media(f"{n}") for n in range(5)]
    assert len(assign(clips, lambda *_: TotalSampling(3, 1))) == 3


def test_the_shortfall_counts_rows_against_totals():
    table = pa.table(
        {
            "subset": ["c23"] * 6,
            "split": ["train"] * 4 + ["test", "train"],
            "label": [0, 0, 1, 1, 0, 0],
            "manipulation": ["real", "real", "A", "A", "real", "real"],
            "face_index": [0, 0, 0, 0, 0, 1],  # a second face of a frame is no second frame
        }
    )
    rules = {"train": TotalSampling(5, 2), "test": FrameSampling(frames=9)}
    lacking = shortfall([table.slice(0, 2), table.slice(2)], lambda _, split, __: rules[split])
    assert lacking == {"c23": {"train": {"real": {"real": 3}}}}


# Options


def test_rules_for_splits():
    plain, of_splits = parse_options(["random=5", "test:random=2,seed=9", "val:total_real=4,total_per_method=2"], 3)
    assert plain == FrameSampling(random=5, seed=3)
    assert of_splits == {"test": FrameSampling(random=2, seed=9), "val": TotalSampling(4, 2, seed=3)}
    parts = split_rules(
        [MediaSelection(("c23",)), MediaSelection(splits=("test",), manipulations=("A",))],
        {"test": FrameSampling(all=True)},
    )
    assert parts == (
        MediaSelection(("c23",), ("train", "val")),
        MediaSelection(("c23",), ("test",), (), FrameSampling(all=True)),
        MediaSelection((), ("test",), ("A",), FrameSampling(all=True)),
    )


def test_a_recipe_knows_the_rule_of_each_split():
    recipe = make_recipe(PreparationRequest("ff++", frames=270, sampling=("test:frames=100",)))
    assert recipe.rule_of("c23", "train", "real") == FrameSampling(frames=270)
    assert recipe.rule_of("c23", "test", "FaceSwap") == FrameSampling(frames=100)
    assert recipe.takes("c40", "val", "real")
    assert recipe.hash != make_recipe(PreparationRequest("ff++", frames=270)).hash


def test_recipes_without_new_rules_hash_as_before():
    assert (
        make_recipe(PreparationRequest("ff++", sampling=("frames=32",))).to_json()
        == make_recipe(PreparationRequest("ff++")).to_json()
    )
    assert set(make_recipe(PreparationRequest("ff++")).to_json()) & {"face_rule"} == set()
    hashes = {
        make_recipe(PreparationRequest("ff++", face_rule=rule)).hash for rule in (None, "track", "all", "manipulated")
    }
    assert len(hashes) == 4
    assert make_recipe(PreparationRequest("ff++", geometry="shared")).to_json()["geometry"] == "shared"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": ("frames=3",), "frames": 3}, "exactly one sampling rule"),
        ({"sampling": ("frames=3", "all")}, "two sampling rules"),
        ({"sampling": ("training:all",)}, "unknown split"),
        ({"sampling": ("clips=3",)}, "must be given together"),
        ({"face_rule": "bigest"}, "unknown face rule"),
        ({"geometry": "borrowed"}, "unknown geometry"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make_recipe(PreparationRequest("ff++", **options))
