"""DF40: spellings of methods, empty files, archives that were not extracted, and reals beside the fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfbench.datasets.df40_names import FAMILIES, method_of
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.preparation.planning.sharding import cut


def write(root: Path, *folders: str, images: int = 2) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for n in range(images):
            (root / folder / f"{n:03d}.png").write_bytes(b"not empty")
    return root


def scan(root, **filters):
    found = get_adapter("df40").scan(root, **filters)
    cut(found.media, 32, 64)
    return found


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, "DF40/simswap/ff/frames/000_003", "DF40/simswap/cdf/frames/id0_id1_0000")
    write(tmp_path, "DF40/facevid2vid/ff/frames/003_000", "DF40/StyleGANXL/ff/frames/000")
    write(tmp_path, "DF40/whichfaceisreal/fake", "DF40/whichfaceisreal/real", images=3)
    write(tmp_path, "DF40/heygen_new/fake/frames/clip", "DF40/heygen_new/real/frames/clip", "DF40/e4e/real/frames/clip")
    return write(tmp_path, "DF40_train/simswap/ff/frames/033_097")


def test_polarity_splits_and_spellings(tree, cells):
    found = scan(tree)
    assert cells(found) == {
        ("test", 1, "SimSwap"): 2,
        ("train", 1, "SimSwap"): 1,
        ("test", 1, "FS_vid2vid"): 1,
        ("test", 1, "StyleGAN-XL"): 1,
        ("test", 1, "WhichIsReal"): 3,
        ("test", 1, "HeyGen"): 1,
        ("test", 0, "real"): 5,
    }
    assert {(m.subset, m.label) for m in found.media} == {("ff", 1), ("cdf", 1), ("own", 0), ("own", 1)}
    assert {m.cropped for m in found.media} == {True}
    assert {m.kind for m in found.media if m.manipulation == "WhichIsReal"} == {"image"}
    by_id = {m.media_id: m for m in found.media}
    fake = by_id["df40/ff/SimSwap/000_003"]
    assert (fake.identity_target, fake.identity_source, fake.base_media_id) == ("000", "003", "df40/ff/real/000")
    assert fake.source_media_id == "df40/ff/real/003"
    assert by_id["df40/cdf/SimSwap/id0_id1_0000"].source_media_id is None
    # The reverse pair of another method, and a face synthesised for the clip, are in the same scene group.
    assert fake.scene_group == by_id["df40/ff/FS_vid2vid/003_000"].scene_group
    assert fake.scene_group == by_id["df40/ff/StyleGAN-XL/000"].scene_group
    assert by_id["df40/cdf/SimSwap/id0_id1_0000"].base_media_id == "df40/cdf/real/id0_0000"
    assert {m.name for m in found.media if m.label == 0 and m.kind == "sequence"} == {"HeyGen/clip", "e4e/clip"}


def test_missing_reals_are_told_and_those_of_the_benchmark_are_read(tree, cells):
    assert sum("has no reals" in w for w in scan(tree).warnings) == 2
    write(tree, *(f"FaceForensics++/original_sequences/youtube/c23/frames/{n}" for n in ("000", "033", "x")))
    write(tree, "Celeb-DF-v2/Celeb-real/frames/id0_0000", "Celeb-DF-v2/YouTube-real/frames/00170")
    found = scan(tree, subsets=["ff", "cdf"])
    assert not any("has no reals" in w for w in found.warnings)
    assert cells(found)["test", 0, "real"] == 3
    assert cells(found)["train", 0, "real"] == 1
    by_id = {m.media_id: m for m in found.media}
    real = by_id["df40/ff/real/000"]
    assert real.cropped
    assert real.scene_group == by_id["df40/ff/SimSwap/000_003"].scene_group
    assert by_id["df40/cdf/real/id0_0000"].scene_group == by_id["df40/cdf/SimSwap/id0_id1_0000"].scene_group
    assert found.excluded["not the name of a clip"] == ("FaceForensics++/original_sequences/youtube/c23/frames/x",)


def test_empty_files_and_archives_do_not_stop_the_scan(tree, cells):
    (tree / "DF40/MidJourney/fake").mkdir(parents=True)
    for n in range(2):
        (tree / f"DF40/MidJourney/fake/{n}.png").write_bytes(b"" if n else b"x")
    (tree / "DF40/starganv2/fake/frames/all").mkdir(parents=True)
    (tree / "DF40/starganv2/fake/frames/all/0.jpg").touch()
    (tree / "DF40/simswap/ff/frames/000_003/009.png").touch()
    for name in ("e4e.zip", "sd2.1.zip"):
        (tree / "DF40" / name).write_bytes(b"PK\x06\x06 the end record of zip64")
    found = scan(tree)
    assert cells(found)["test", 1, "MidJourney"] == 1
    assert ("test", 1, "StarGANv2") not in cells(found)
    assert cells(found)["test", 1, "SimSwap"] == 2  # an empty frame becomes a row with its status
    assert found.excluded == {
        "an archive that is not extracted": ("DF40/e4e.zip", "DF40/sd2.1.zip"),
        "an empty file": ("DF40/MidJourney/fake/1.png", "DF40/starganv2/fake/frames/all"),
    }
    assert any(w.startswith("3 images are empty files") for w in found.warnings)
    assert any("2 archives are not extracted: e4e.zip, sd2.1.zip" in w and "7z x" in w for w in found.warnings)


def test_other_trees(tmp_path, touch, cells):
    write(tmp_path / "one", "SimSwap/ff/frames/000_003", "SimSwap/ff/landmarks/000_003", "dalle2_face/fake/frames/a")
    touch(tmp_path / "one", ["SimSwap/ff/landmarks/000_003/000.npy", "fomm/ff/000_003.mp4", "notes/x.png"])
    found = scan(tmp_path / "one")
    assert cells(found) == {("test", 1, "SimSwap"): 1, ("test", 1, "dalle2_face"): 1, ("test", 1, "FOMM"): 1}
    assert {m.kind: m.cropped for m in found.media} == {"sequence": True, "clip": False}  # the original clips
    assert any("not published methods: dalle2_face" in w for w in found.warnings)
    # FaceForensics++'s training clips in the test part, and the reverse, give a warning.
    write(tmp_path / "two", "DF40/simswap/ff/frames/033_097", "DF40_train/simswap/ff/frames/000_003")
    assert any(w.startswith("2 fakes are made from clips of another split") for w in scan(tmp_path / "two").warnings)
    with pytest.raises(DataError, match="no DF40 tree"):
        scan(touch(tmp_path / "three", ["anything/fake/a.png", "anything/real/b.png"]))


def test_forty_methods_in_their_spellings():
    assert {family: len(methods) for family, methods in FAMILIES.items()} == {
        "face swapping": 10,
        "face reenactment": 13,
        "entire face synthesis": 12,
        "face editing": 5,
    }
    spelled = {"pixart": "PixArt", "TPSMM": "TPSM", "sd2.1": "SD-2.1", "hyperreenact": "HyperReenact", "E4S": "e4s"}
    assert {name: method_of(name) for name in spelled} == spelled
