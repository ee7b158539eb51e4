"""HFF: still images; lists write fake = 0, and folders must agree."""

from __future__ import annotations

import pytest

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, UsageError

REAL_CLASSES = ("CelebA", "CelebA-HQ", "YouTube-Frame")
FAKE_CLASSES = ("PGGAN", "StyleGAN", "Glow", "Face2Face", "StarGAN")
IMAGES = [
    f"{split}/{label}/{kind}/{n:06d}.{ext}"
    for split, count in (("train", 3), ("val", 1), ("test", 2))
    for label, kinds, ext in (("real", REAL_CLASSES, "jpg"), ("fake", FAKE_CLASSES, "png"))
    for kind in kinds
    for n in range(count)
]


def scan(root, **filters):
    return get_adapter("hff").scan(root, **filters)


def test_counts_classes_and_polarity(tmp_path, touch, cells):
    found = scan(touch(tmp_path, IMAGES))
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        assert {k: n for k, n in cells(found).items() if k[0] == split} == {
            (split, 0, "real"): 3 * count,
            **{(split, 1, kind): count for kind in FAKE_CLASSES},
        }
    assert {m.class_name for m in found.media if m.label == 0} == set(REAL_CLASSES)
    assert {m.kind for m in found.media} == {"image"}
    assert len({m.scene_group for m in found.media}) == len(found.media) == len(IMAGES)
    one = next(m for m in found.media if m.path == "train/fake/PGGAN/000001.png")
    assert (one.media_id, one.label) == ("hff/all/PGGAN/train/PGGAN/000001", 1)


def test_without_split_folders_all_is_test_and_expected_is_known(tmp_path, touch):
    touch(tmp_path / "HFF", ["Real/celeba_hq/a.jpg", "Fake/starGAN/x/b.png", "Fake/c.png"])
    found = scan(tmp_path)
    assert {(m.split, m.manipulation, m.class_name) for m in found.media} == {
        ("test", "real", "CelebA-HQ"),
        ("test", "StarGAN", ""),
        ("test", "fake", ""),
    }
    assert found.expected["all"]["test"]["real"] == {"real": 60_000}
    assert sum(found.expected["all"]["test"]["fake"].values()) == 95_000
    assert any("folders that are not published classes: fake" in w for w in found.warnings)


def test_a_list_with_its_own_polarity_fake_is_zero(tmp_path, touch):
    touch(tmp_path, IMAGES)
    lines = [f"/home/you/HFF/{p} {0 if '/fake/' in p else 1}" for p in IMAGES if p.startswith("train")][:-1]
    (tmp_path / "train.txt").write_text("\n".join(lines), "utf-8")
    found = scan(tmp_path)
    last = [p for p in IMAGES if p.startswith("train")][-1]
    assert found.excluded == {"not named in the label file": (last,)}
    assert len(found.media) == len(IMAGES) - 1


def test_a_flag_that_contradicts_the_folder_is_refused_unless_declared(tmp_path, touch):
    touch(tmp_path, IMAGES)
    lines = ["train\\fake\\PGGAN\\000000.png 1", "train\\real\\CelebA\\000000.jpg 0"]
    (tmp_path / "train.txt").write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match=r"train.txt, line 1: .* is in a folder of fakes, but flag 1 means real"):
        scan(tmp_path)
    (tmp_path / "train.txt").write_text("\n".join(["# fake=1", *lines]), "utf-8")
    labels = {m.path: m.label for m in scan(tmp_path, splits=["train"]).media}
    assert labels == {"train/fake/PGGAN/000000.png": 1, "train/real/CelebA/000000.jpg": 0}


def test_a_list_gives_labels_where_folders_do_not(tmp_path, touch):
    touch(tmp_path, ["images/my face.jpg", "images/b.jpg", "images/c.jpg"])
    lines = "images/my face.jpg 0\nimages/b.jpg 1\nimages/gone.jpg 1\n"
    (tmp_path / "test.txt").write_text(lines, "utf-8")
    with pytest.raises(DataError, match=r"test.txt, line 1: .* the meaning of the flags is unknown"):
        scan(tmp_path)
    (tmp_path / "test.txt").write_text("# real=1\n" + lines, "utf-8")
    found = scan(tmp_path)
    assert {(m.path, m.label) for m in found.media} == {("images/my face.jpg", 1), ("images/b.jpg", 0)}
    assert found.excluded == {"not named in the label file": ("images/c.jpg",)}
    assert any("1 images of test.txt were not found: images/gone.jpg" in w for w in found.warnings)


@pytest.mark.parametrize("line", ["train/real/CelebA/000000.jpg", "train/real/CelebA/000000.jpg 2", "1"])
def test_a_line_that_is_no_entry(tmp_path, touch, line):
    touch(tmp_path, IMAGES)
    (tmp_path / "train.txt").write_text(f"\n{line}\n", "utf-8")
    with pytest.raises(DataError, match=r"train.txt, line 2: not an entry"):
        scan(tmp_path)


def test_a_list_of_another_split(tmp_path, touch):
    touch(tmp_path, IMAGES)
    (tmp_path / "train.txt").write_text("test/real/CelebA/000000.jpg 1", "utf-8")
    with pytest.raises(DataError, match=r"line 1: .* another split"):
        scan(tmp_path)


def test_a_fake_class_below_real_is_refused(tmp_path, touch):
    touch(tmp_path, [*IMAGES, "train/real/PGGAN/1.png"])
    with pytest.raises(DataError, match="PGGAN is a fake class of Hybrid Fake Face, but is below real/"):
        scan(tmp_path)


def test_strange_and_second_files_and_names_that_ids_cannot_hold(tmp_path, touch):
    touch(tmp_path, ["real/CelebA/a.jpg", "real/CelebA/a.png", "real/CelebA/b#1.jpg", "real/x.csv", "other/c.jpg"])
    found = scan(tmp_path)
    assert {reason.split(",")[0].split(":")[0]: paths for reason, paths in found.excluded.items()} == {
        "a second file of the same clip": ("real/CelebA/a.png",),
        "a name with '#'": ("real/CelebA/b#1.jpg",),
        "not the name of an image": ("real/x.csv",),
        "no label": ("other/c.jpg",),
    }


def test_a_manipulation_that_is_not_there(tmp_path, touch):
    touch(tmp_path, IMAGES)
    assert {m.manipulation for m in scan(tmp_path, manipulations=["Glow"]).media} == {"real", "Glow"}
    with pytest.raises(UsageError, match=r"unknown manipulation in .* 'Glw'") as caught:
        scan(tmp_path, manipulations=["Glw"])
    assert "did you mean 'Glow'" in caught.value.hint
