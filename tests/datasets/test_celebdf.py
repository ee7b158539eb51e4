"""Celeb-DF: the list's flag is 1 for real; what it does not name is train."""

from __future__ import annotations

import pytest

from dfbench.datasets.celebdf import LIST_NAME
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.preparation.planning.sharding import cut

CLIPS = [
    "Celeb-real/id0_0000.mp4",
    "Celeb-real/id0_0001.mp4",
    "Celeb-real/id1_0007.mp4",
    "YouTube-real/00000.mp4",
    "YouTube-real/00170.mp4",
    "Celeb-synthesis/id0_id1_0000.mp4",
    "Celeb-synthesis/id0_id1_0001.mp4",
    "Celeb-synthesis/id1_id0_0007.mp4",
]
LIST = ["1 YouTube-real/00170.mp4", "1 Celeb-real/id1_0007.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"]


@pytest.fixture
def tree(tmp_path, touch):
    touch(tmp_path, CLIPS)
    (tmp_path / LIST_NAME).write_text("\n".join(LIST) + "\n", "utf-8")
    return tmp_path


def scan(root, **filters):
    return get_adapter("celeb-df-v2").scan(root, **filters)


def test_polarity_counts_and_split(tree, cells):
    found = scan(tree)
    assert cells(found) == {
        ("test", 0, "real"): 2,
        ("train", 0, "real"): 3,
        ("test", 1, "Celeb-synthesis"): 1,
        ("train", 1, "Celeb-synthesis"): 2,
    }
    labels = {m.name: m.label for m in found.media}
    assert (labels["00170"], labels["id1_0007"], labels["id0_id1_0000"]) == (0, 0, 1)
    assert found.expected["all"] == {
        "test": {"real": {"real": 178}, "fake": {"Celeb-synthesis": 340}},
        "train": {"real": {"real": 712}, "fake": {"Celeb-synthesis": 5299}},
    }


def test_base_clip_identities_and_groups(tree):
    by_name = {m.name: m for m in scan(tree).media}
    fake = by_name["id0_id1_0001"]
    assert (fake.identity_target, fake.identity_source) == ("id0", "id1")
    assert fake.base_media_id == "celeb-df-v2/all/real/id0_0001"
    assert fake.scene_group == by_name["id0_0001"].scene_group == by_name["id0_0000"].scene_group
    assert by_name["00170"].scene_group != by_name["00000"].scene_group
    assert by_name["00170"].identity_target is None
    # id0's test fake and id0's train clips: the official split is not disjoint in people.
    assert by_name["id0_id1_0000"].split != by_name["id0_0000"].split
    cut(tuple(by_name.values()), 32, 64)


def test_a_base_clip_in_train_is_told(tree):
    assert any(w.startswith("1 of 1 fakes of the test split were made from real clips") for w in scan(tree).warnings)


@pytest.mark.parametrize("line", ["1 Celeb-synthesis/id0_id1_0001.mp4", "0 Celeb-real/id0_0000.mp4"])
def test_a_flag_that_contradicts_its_folder_is_refused(tree, line):
    (tree / LIST_NAME).write_text("\n".join([*LIST, line]), "utf-8")
    with pytest.raises(DataError, match=rf"{LIST_NAME}, line 4: the flag contradicts"):
        scan(tree)


@pytest.mark.parametrize("line", ["real Celeb-real/id0_0000.mp4", "1 Celeb/id0_0000.mp4", "1 Celeb-real/x.mp4"])
def test_a_line_that_is_no_entry_is_refused(tree, line):
    (tree / LIST_NAME).write_text("\n".join(["", line]), "utf-8")
    with pytest.raises(DataError, match="line 2: not an entry"):
        scan(tree)


def test_windows_separators_other_cases_and_videos_folders(tmp_path, touch, cells):
    moved = [p.replace("YouTube", "Youtube").replace("/", "/videos/") for p in CLIPS]
    touch(tmp_path / "Celeb-DF-v2", moved)
    text = "\r\n".join(line.replace("/", "\\") for line in LIST)
    (tmp_path / "Celeb-DF-v2" / LIST_NAME.lower()).write_text(text, "utf-8")
    assert cells(scan(tmp_path))["test", 0, "real"] == 2


def full_list(youtube: int, fake: int = 340) -> list[str]:
    reals = [f"1 Celeb-real/id{n}_0000.mp4" for n in range(108)] + [
        f"1 YouTube-real/{n:05d}.mp4" for n in range(youtube)
    ]
    return reals + [f"0 Celeb-synthesis/id{n // 40}_id{n % 40}_0000.mp4" for n in range(fake)]


@pytest.mark.parametrize(
    ("youtube", "fake", "words"),
    [
        (70, 340, None),
        (0, 340, "without the 70 YouTube-real"),
        (70, 5240, "later version"),
        (69, 340, "not comparable"),
    ],
)
def test_the_published_list_and_the_copies_that_circulate(tree, youtube, fake, words):
    lines = full_list(youtube, fake)
    (tree / LIST_NAME).write_text("\n".join(lines), "utf-8")
    about = [w for w in scan(tree).warnings if w.startswith(LIST_NAME)]
    if words is None:
        assert len(lines) == 518
        assert about == []
    else:
        assert len(about) == 1
        assert words in about[0]


@pytest.mark.slow
def test_the_whole_of_version_two_lacks_nothing(tmp_path, touch, cells):
    fakes = [f"Celeb-synthesis/id{n // 100}_id{n % 100}_0000.mp4" for n in range(5639)]
    reals = [f"Celeb-real/id{n}_0000.mp4" for n in range(590)] + [f"YouTube-real/{n:05d}.mp4" for n in range(300)]
    touch(tmp_path, reals + fakes)
    lines = [f"1 {path}" for path in reals[:108] + reals[-70:]] + [f"0 {path}" for path in fakes[-340:]]
    (tmp_path / LIST_NAME).write_text("\n".join(lines), "utf-8")
    found = scan(tmp_path)
    assert found.missing == {}
    assert cells(found) == {
        ("train", 0, "real"): 712,
        ("test", 0, "real"): 178,
        ("train", 1, "Celeb-synthesis"): 5299,
        ("test", 1, "Celeb-synthesis"): 340,
    }
    # The bases of the test fakes (id52 to id56) stand on the list, so that nothing is to be told.
    assert found.warnings == ()


def test_version_one_among_version_twos_numbers(tmp_path, touch):
    names = [f"Celeb-real/id{n}_0000.mp4" for n in range(158)] + [f"YouTube-real/{n:05d}.mp4" for n in range(250)]
    names += [f"Celeb-synthesis/id{n % 50}_id{n // 50}_0000.mp4" for n in range(795)]
    touch(tmp_path, names)
    (tmp_path / LIST_NAME).write_text("1 YouTube-real/00170.mp4\n", "utf-8")
    other = "it may be the other version"
    assert any(other in w for w in scan(tmp_path).warnings)
    first = get_adapter("celeb-df-v1").scan(tmp_path)
    assert not any(other in w for w in first.warnings)
    assert first.missing == {}
    assert first.expected["all"]["train"] == {"real": {"real": 407}, "fake": {"Celeb-synthesis": 795}}
    touch(tmp_path, ["Celeb-real/id60_0001.mp4"])
    assert any(other in w for w in get_adapter("celeb-df-v1").scan(tmp_path).warnings)


def test_without_the_list_nothing_is_guessed(tree):
    (tree / LIST_NAME).unlink()
    with pytest.raises(DataError, match=f"has no {LIST_NAME}"):
        scan(tree)


def test_second_files_strange_names_and_absent_clips_are_named(tree, touch):
    touch(tree, ["Celeb-real/id0_0000.avi", "Celeb-real/._id0_0000.mp4", "Celeb-synthesis/readme.txt"])
    (tree / "YouTube-real/00170.mp4").unlink()
    found = scan(tree)
    assert found.excluded == {
        "not the name of a clip": ("Celeb-synthesis/readme.txt",),
        "a second file of the same clip": ("Celeb-real/id0_0000.avi",),
    }
    assert any("1 clips of" in w and "YouTube-real/00170" in w for w in found.warnings)


def test_an_empty_list_or_one_that_is_no_text(tree):
    (tree / LIST_NAME).write_bytes(b"\n\n")
    with pytest.raises(DataError, match="is empty"):
        scan(tree)
    (tree / LIST_NAME).write_bytes(b"1 Celeb-real/\xff\xfe.mp4")
    with pytest.raises(DataError, match="is not text"):
        scan(tree)
