"""Celeb-DF++: clips are known by method and name, because one name occurs in many folders."""

from __future__ import annotations

import pytest

from dfbench.datasets.celebdf import LIST_NAME
from dfbench.datasets.celebdfpp import METHODS, REENACTMENTS, SWAPS, TALKING, parse_fake
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

CATEGORY = {
    m: c for c, ms in (("FaceSwap", SWAPS), ("FaceReenact", REENACTMENTS), ("TalkingFace", TALKING)) for m in ms
}
SAME = "id0_id1_0000"
CLIPS = [
    "Celeb-real/id0_0000.mp4",
    "Celeb-real/id1_0007.mp4",
    "YouTube-real/00000.mp4",
    f"Celeb-synthesis/FaceSwap/Celeb-DF/{SAME}.mp4",
    f"Celeb-synthesis/FaceSwap/InSwapper/{SAME}.mp4",
    f"Celeb-synthesis/FaceReenact/DaGAN/{SAME}.mp4",
    "Celeb-synthesis/TalkingFace/FLOAT/id0_0000_test_00012.mp4",
]
LIST = [
    "1 Celeb-real/id1_0007.mp4",
    f"0 Celeb-synthesis/FaceSwap/InSwapper/{SAME}.mp4",
    "0 Celeb-synthesis/TalkingFace/FLOAT/id0_0000_test_00012.mp4",
]


def scan(root, name="celeb-df++", **filters):
    return get_adapter(name).scan(root, **filters)


@pytest.fixture
def tree(tmp_path, touch):
    root = touch(tmp_path / "Celeb-DF++", CLIPS)
    (root / LIST_NAME).write_text("\n".join(LIST), "utf-8")
    return root


def test_one_name_in_several_folders_is_several_clips(tree, cells):
    found = scan(tree.parent)
    assert cells(found) == {
        ("test", 0, "real"): 1,
        ("train", 0, "real"): 2,
        ("train", 1, "Celeb-DF"): 1,
        ("test", 1, "InSwapper"): 1,  # listed, and the same name of two other methods is not
        ("train", 1, "DaGAN"): 1,
        ("test", 1, "FLOAT"): 1,
    }
    assert f"celeb-df++/all/InSwapper/{SAME}" in {m.media_id for m in found.media}
    assert found.excluded == {}
    assert any("names 1 real and 2 fake clips, the published list names 178 and 5240" in w for w in found.warnings)
    assert any(w.startswith("2 of 2 fakes of the test split were made from real clips") for w in found.warnings)
    assert cells(scan(tree, manipulations=["FLOAT"]))["test", 1, "FLOAT"] == 1


def test_people_base_and_groups(tree):
    by_id = {m.media_id: m for m in scan(tree).media}
    swap, talk = by_id[f"celeb-df++/all/DaGAN/{SAME}"], by_id["celeb-df++/all/FLOAT/id0_0000_test_00012"]
    assert (swap.identity_target, swap.identity_source, swap.base_media_id) == (
        "id0",
        "id1",
        "celeb-df++/all/real/id0_0000",
    )
    assert (talk.identity_target, talk.identity_source, talk.base_media_id) == (
        "id0",
        None,
        "celeb-df++/all/real/id0_0000",
    )
    assert swap.scene_group == by_id["celeb-df++/all/real/id0_0000"].scene_group == "celeb-df++/train/id0"
    assert talk.scene_group == "celeb-df++/test/id0"
    assert by_id["celeb-df++/all/real/00000"].identity_target is None
    assert parse_fake("00012") is None


def test_the_published_list_lacks_nothing(tmp_path, touch):
    fakes = {m: 340 if m == "Celeb-DF" else 300 if m in TALKING else 200 for m in METHODS}
    assert sum(fakes.values()) == 5240
    reals = [f"Celeb-real/id{n}_0000.mp4" for n in range(108)] + [f"YouTube-real/{n:05d}.mp4" for n in range(70)]
    paths = [
        f"Celeb-synthesis/{CATEGORY[m]}/{m}/id{n % 50}_id{n // 50}_0000.mp4" for m, k in fakes.items() for n in range(k)
    ]
    touch(tmp_path, reals + paths)
    (tmp_path / LIST_NAME).write_text("".join([*(f"1 {p}\n" for p in reals), *(f"0 {p}\n" for p in paths)]), "utf-8")
    found = scan(tmp_path, splits=["test"])
    assert (sum(m.label == 0 for m in found.media), sum(m.label for m in found.media)) == (178, 5240)
    assert (found.missing, found.warnings) == ({}, ())


def test_other_spellings_and_an_unpublished_method(tmp_path, touch, cells):
    clips = [
        f"celeb-synthesis/faceswap/Celeb-DF-v2/{SAME}.mp4",
        f"celeb-synthesis/faceswap/insWapper/videos/{SAME}.mp4",
        "celeb-synthesis/FaceSwap/NewSwap/strange.mp4",
        "celeb-synthesis/readme.txt",
        "Celeb-real/id0_0000.mp4",
        "Celeb-real/000.mp4",
    ]
    touch(tmp_path, clips)
    (tmp_path / LIST_NAME).write_bytes(
        f"0 Celeb-synthesis\\FaceSwap\\Celeb-DF\\{SAME}.mp4\r\n1 Celeb-real\\id0_0000.mp4\r\n".encode("utf-16")
    )
    found = scan(tmp_path)
    assert cells(found) == {
        ("test", 0, "real"): 1,
        ("test", 1, "Celeb-DF"): 1,
        ("train", 1, "InSwapper"): 1,
        ("train", 1, "NewSwap"): 1,
    }
    assert found.excluded == {"not the name of a clip": ("Celeb-real/000.mp4", "celeb-synthesis/readme.txt")}
    assert any("not published methods: NewSwap" in w for w in found.warnings)
    assert any("do not tell their real clip" in w and "NewSwap/strange" in w for w in found.warnings)


def test_the_list_of_version_two_names_the_fakes_of_its_method(tree, cells):
    (tree / LIST_NAME).write_text(f"1 YouTube-real/00000.mp4\n0 Celeb-synthesis/{SAME}.mp4\n", "utf-8")
    assert cells(scan(tree))["test", 1, "Celeb-DF"] == 1


@pytest.mark.parametrize("name", ["celeb-df-v1", "celeb-df-v2"])
def test_earlier_versions_refuse_the_tree_and_say_whose_it_is(tree, name):
    for root in (tree, tree.parent):
        with pytest.raises(DataError, match="is a tree of Celeb-DF\\+\\+") as caught:
            scan(root, name)
        assert "dfbench prepare celeb-df++ --root" in caught.value.hint


def test_beside_each_other_both_versions_are_found(tree, touch, cells):
    earlier = touch(tree.parent / "Celeb-DF-v2", ["Celeb-real/id0_0000.mp4", f"Celeb-synthesis/{SAME}.mp4"])
    (earlier / LIST_NAME).write_text("1 Celeb-real/id0_0000.mp4\n", "utf-8")
    assert cells(scan(tree.parent, "celeb-df-v2")) == {("test", 0, "real"): 1, ("train", 1, "Celeb-synthesis"): 1}
    assert scan(tree.parent).root == tree
    with pytest.raises(DataError, match="is not a tree of Celeb-DF") as caught:
        scan(earlier)
    assert "celeb-df-v2" in caught.value.hint


def test_a_flag_that_contradicts_its_folder_and_a_tree_without_list(tree):
    (tree / LIST_NAME).write_text(f"1 Celeb-synthesis/FaceSwap/InSwapper/{SAME}.mp4\n", "utf-8")
    with pytest.raises(DataError, match="the flag contradicts"):
        scan(tree)
    (tree / LIST_NAME).unlink()
    with pytest.raises(DataError, match=f"has no {LIST_NAME}"):
        scan(tree)
