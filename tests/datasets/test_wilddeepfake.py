"""WildDeepfake: one folder of crops is one medium, extracted or in archives that are not trusted."""

from __future__ import annotations

import io
import tarfile

import pytest

from dfbench.datasets.archives import archive_stem, list_archive, read_sequences
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.schema.media import Media, archive_path, sequence_order, split_archive_path

PARTS = [(label, split) for label in ("real", "fake") for split in ("train", "test")]


def member(name, data=b"x", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def archive(path, members, mode="w:gz"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as out:
        for info, data in members:
            out.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def images(folder, numbers=(1, 2, 10)):
    return [member(f"{folder}/{n}.png", str(n).encode()) for n in numbers]


def scan(root):
    return get_adapter("wilddeepfake").scan(root)


def counted(label, split):
    return {"real": 2, "fake": 3}[label] + (split == "train")


@pytest.mark.parametrize(
    "name", ["{label} {split}", "{label}_{split}", "{label}-{split}", "{split}/{label}", "Real/{split}"]
)
def test_extracted_folders_in_all_spellings(tmp_path, touch, cells, name):
    for label, split in PARTS:
        if name.startswith("Real") and label == "fake":
            continue
        place = name.format(label=label, split=split)
        touch(
            tmp_path / "deepfake_in_the_wild" / place,
            [f"{n // 2}/{n}/{i}.png" for n in range(counted(label, split)) for i in (1, 2, 30)],
        )
    found = scan(tmp_path)
    expected = {
        (split, int(label == "fake"), "fake" if label == "fake" else "real"): counted(label, split)
        for label, split in PARTS
        if not (name.startswith("Real") and label == "fake")
    }
    assert cells(found) == expected
    assert {(m.kind, m.cropped) for m in found.media} == {("sequence", True)}
    assert "published are 7314" in found.warnings[-1]


def test_archives_are_sequences_and_groups(tmp_path, cells):
    top = tmp_path / "deepfake_in_the_wild"
    archive(top / "real train/0.tar.gz", images("12") + images("./13"))
    archive(top / "fake train/3.tar.gz", images("3/54") + images("3/real/55"))
    archive(top / "fake test/4.tar", images("54"), "w")
    found = scan(tmp_path)
    assert cells(found) == {("train", 0, "real"): 2, ("train", 1, "fake"): 2, ("test", 1, "fake"): 1}
    by_path = {m.path: m for m in found.media}
    assert by_path["fake train/3.tar.gz!/3/54"].media_id == "wilddeepfake/all/fake/train/3/54"
    assert by_path["real train/0.tar.gz!/12"].media_id == "wilddeepfake/all/real/train/0/12"
    assert len({m.scene_group for m in found.media}) == 3


def test_an_extracted_copy_beside_its_archive_counts_once(tmp_path, touch):
    touch(tmp_path, [f"fake_train/3/{s}/{n}.png" for s in (54, 55) for n in range(3)])
    archive(tmp_path / "fake_train/3.tar.gz", images("3/54") + images("3/56"))
    found = scan(tmp_path)
    assert [m.path for m in found.media] == ["fake_train/3/54", "fake_train/3/55", "fake_train/3.tar.gz!/3/56"]
    assert len({m.scene_group for m in found.media}) == 1
    assert found.excluded == {"a second file of the same clip": ("fake_train/3.tar.gz!/3/54",)}


def test_unsafe_members_are_skipped_and_named(tmp_path):
    bad = [
        member("/etc/1.png"),
        member("../../1.png"),
        member("12/../../2.png"),
        member("..\\..\\3.png"),
        member("C:/windows/4.png"),
        member("12/5.png", b"", tarfile.SYMTYPE, "/etc/passwd"),
        member("12/6.png", b"", tarfile.LNKTYPE, "12/1.png"),
        member("12/7.png", b"", tarfile.FIFOTYPE),
    ]
    file = archive(tmp_path / "real_test/0.tar.gz", [*bad, *images("12"), member("12/notes.txt")])
    found = scan(tmp_path)
    assert [m.path for m in found.media] == ["real_test/0.tar.gz!/12"]
    named = found.excluded["an unsafe member of an archive"]
    assert len(named) == len(bad)
    assert "real_test/0.tar.gz: ../../1.png (a path that leads outside)" in named
    assert found.excluded["neither an image nor an archive"] == ("real_test/0.tar.gz!/12/notes.txt",)
    read = list(read_sequences(file, ["12"]))
    assert [(folder, name) for folder, name, _ in read] == [("12", "1.png"), ("12", "2.png"), ("12", "10.png")]
    assert [data for _, _, data in read] == [b"1", b"2", b"10"]
    assert not list(read_sequences(file, ["etc", "", "..", "../.."]))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["0.tar.gz", "real_test"]


def test_a_cut_off_archive_is_told_and_used_as_far_as_it_goes(tmp_path):
    noise = bytes(range(256)) * 400
    file = archive(tmp_path / "real_test/0.tar", [member(f"{s}/1.png", noise) for s in range(6)], "w")
    file.write_bytes(file.read_bytes()[:-300_000])
    found = scan(tmp_path)
    assert 1 <= len(found.media) < 6
    assert "0.tar cannot be read completely" in found.warnings[0]
    with pytest.raises(DataError, match="cannot be read completely"):
        list(read_sequences(file, [str(n) for n in range(6)]))


def test_something_else_called_an_archive(tmp_path, touch):
    touch(tmp_path, ["real_test/1/2/1.png"])
    (tmp_path / "real_test/0.tar.gz").write_bytes(b"<html>please log in</html>")
    found = scan(tmp_path)
    assert len(found.media) == 1
    assert "0.tar.gz cannot be read" in found.warnings[0]
    assert list_archive(tmp_path / "real_test/0.tar.gz").sequences == {}


def test_loose_images_and_ungrouped_sequences_are_told(tmp_path, touch):
    found = scan(touch(tmp_path, ["real_test/1.png", "real_test/12/1.png", "real_test/12/list.txt"]))
    assert found.excluded == {
        "an image outside of a sequence's folder": ("real_test/1.png",),
        "neither an image nor an archive": ("real_test/12/list.txt",),
    }
    assert found.warnings[0].startswith("1 sequences are outside of archives")


def test_a_link_that_leads_up_is_no_loop(tmp_path, touch):
    touch(tmp_path, ["real_test/0/12/1.png"])
    (tmp_path / "real_test/0/again").symlink_to(tmp_path / "real_test", target_is_directory=True)
    assert [m.path for m in scan(tmp_path).media] == ["real_test/0/12"]


def test_frames_sort_by_number_with_gaps():
    names = ["100.png", "9.png", "10.png", "071_0002.jpg", "cover.png"]
    assert sorted(names, key=sequence_order) == ["cover.png", "071_0002.jpg", "9.png", "10.png", "100.png"]


def test_paths_into_archives_and_defaults_of_media():
    assert split_archive_path(archive_path("a b/0.TAR.GZ", "")) == ("a b/0.TAR.GZ", "")
    assert split_archive_path("a!/b.mp4") is None
    assert archive_stem("a.tar.gz.part") is None
    media = Media("d", "all", "real", "n", 0, "test", "g", "n.mp4")
    assert (media.kind, media.cropped) == ("clip", False)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no WildDeepfake tree"):
        scan(tmp_path)
