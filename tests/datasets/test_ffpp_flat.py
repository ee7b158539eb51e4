"""The flat c23 copy of FaceForensics++: the same adapter, the official pairs, clips or frames."""

from __future__ import annotations

import pytest

from dfbench.datasets.ffpp_pairs import official_pairs
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "FaceShifter", "NeuralTextures")
HEADER = ",File Path,Label,Frame Count,Width,Height,Codec,File Size(MB)\n"


def clips(pairs, methods=METHODS, suffix=".mp4"):
    names = [f"original/{clip}{suffix}" for p in pairs for clip in (p.a, p.b)]
    return names + [f"{m}/{x}_{y}{suffix}" for p in pairs for m in methods for x, y in ((p.a, p.b), (p.b, p.a))]


@pytest.fixture
def pairs():
    chosen = {"train": 3, "val": 1, "test": 2}
    return [p for s, n in chosen.items() for p in [q for q in official_pairs().pairs if q.split == s][:n]]


def scan(root, **filters):
    return get_adapter("ff++").scan(root, **filters)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "FaceForensics++_C23",
        "FaceForensics++_C23/FaceForensics++_C23",
        "FaceForensics++_C23 (1)/FaceForensics++_C23",
    ],
)
def test_counts_splits_and_polarity_wherever_it_lies(tmp_path, touch, cells, pairs, place):
    touch(tmp_path / place, clips(pairs))
    found = scan(tmp_path)
    assert found.root == tmp_path / place
    assert cells(found) == {
        (split, int(m != "real"), m): 2 * n
        for split, n in (("train", 3), ("val", 1), ("test", 2))
        for m in ("real", *METHODS)
    }
    assert {m.subset for m in found.media} == {"c23"}
    assert {m.kind for m in found.media} == {"clip"}
    assert found.expected["c23"]["train"]["fake"] == dict.fromkeys(METHODS, 720)
    assert found.missing["c23"]["test"]["real"] == {"real": 136}
    assert found.warnings == ()


def test_the_whole_copy_lacks_nothing(tmp_path, touch, cells):
    found = scan(touch(tmp_path, clips(official_pairs().pairs)))
    assert found.missing == {}
    assert cells(found) == {
        (split, int(m != "real"), m): n
        for split, n in (("train", 720), ("val", 140), ("test", 140))
        for m in ("real", *METHODS)
    }


def test_ids_are_those_of_the_official_tree(tmp_path, touch, pairs):
    official, flat = tmp_path / "official", tmp_path / "flat"
    touch(flat, clips(pairs))
    for path in clips(pairs):
        folder, name = path.split("/")
        top = "original_sequences/youtube" if folder == "original" else f"manipulated_sequences/{folder}"
        touch(official, [f"{top}/c23/videos/{name}"])
    key = [(m.media_id, m.split, m.label, m.scene_group, m.base_media_id) for m in scan(official).media]
    assert [(m.media_id, m.split, m.label, m.scene_group, m.base_media_id) for m in scan(flat).media] == key


def test_the_official_tree_comes_first(tmp_path, touch, pairs):
    touch(tmp_path, [*clips(pairs), "original_sequences/youtube/c40/videos/000.mp4"])
    assert [m.media_id for m in scan(tmp_path).media] == ["ff++/c40/real/000"]


def test_folders_of_frames_are_one_medium_each(tmp_path, touch, cells, pairs):
    touch(tmp_path, [f"{c}/{n:04d}.png" for c in clips(pairs, ("Deepfakes",), "") for n in range(2)])
    found = scan(tmp_path, splits=["test"])
    assert cells(found) == {("test", 0, "real"): 4, ("test", 1, "Deepfakes"): 4}
    assert {(m.kind, m.cropped) for m in found.media} == {("sequence", False)}
    assert {m.path.count("/") for m in found.media} == {1}


def test_a_clip_wins_over_its_frames(tmp_path, touch):
    touch(tmp_path, ["original/000.mp4", "original/000/0000.png", "original/003/0000.png"])
    found = scan(tmp_path)
    assert {m.name: m.kind for m in found.media} == {"000": "clip", "003": "sequence"}
    assert found.excluded == {"a second file of the same clip": ("original/000",)}


def test_other_folders_are_left_out_and_named(tmp_path, touch, pairs):
    touch(tmp_path, [*clips(pairs), "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK.mp4", "MyMethod/000_003.mp4"])
    touch(tmp_path, ["original/readme.txt", "Deepfakes/000_001.mp4"])
    found = scan(tmp_path)
    assert found.excluded == {
        "clips of another data set, read as dfd": ("DeepFakeDetection",),
        "not the name of a clip": ("original/readme.txt",),
        "a fake whose two clips are not an official pair": ("Deepfakes/000_001.mp4",),
    }
    assert found.warnings == ("folders that are not methods of FaceForensics++ were skipped: MyMethod",)


def test_filters(tmp_path, touch, cells, pairs):
    touch(tmp_path, clips(pairs))
    found = scan(tmp_path, subsets=["c23", "c40"], splits=["val"], manipulations=["FaceSwap"])
    assert cells(found) == {("val", 0, "real"): 2, ("val", 1, "FaceSwap"): 2}
    assert "subset c40 is not in" in found.warnings[0]
    with pytest.raises(DataError, match="for c40"):
        scan(tmp_path, subsets=["c40"])


def test_the_csv_is_compared(tmp_path, touch, pairs):
    touch(tmp_path, [*clips(pairs), "csv/FF++_Metadata.csv"])
    file = tmp_path / "csv/FF++_Metadata.csv"
    rows = [
        f"{n},{path},{'REAL' if path.startswith('original') else 'FAKE'},300,640,480,h264,1.2"
        for n, path in enumerate(clips(pairs))
    ]
    rows.append("90,DeepFakeDetection/01_02__x__YVGY8LOK.mp4,FAKE,1,1,1,h264,1")
    file.write_text(HEADER + "\n".join(rows).replace("/", "\\"), "utf-8")
    assert scan(tmp_path).warnings == ()
    file.write_text(HEADER + "\n".join([*rows, "91,FaceSwap/998_999.mp4,FAKE,1,1,1,h264,1"]), "utf-8")
    assert scan(tmp_path).warnings == ("csv/FF++_Metadata.csv names 1 clips that were not found: FaceSwap/998_999.mp4",)
    file.write_text(HEADER + "\n".join([rows[0], rows[1].replace("REAL", "FAKE")]), "utf-8")
    with pytest.raises(DataError, match=r"FF\+\+_Metadata.csv, line 3: original/.* is labelled FAKE"):
        scan(tmp_path)
    file.write_text("a,b\n", "utf-8")
    assert "was not compared" in scan(tmp_path).warnings[0]


def test_a_folder_of_the_official_tree_is_no_flat_copy(tmp_path, touch):
    touch(tmp_path, ["manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"])
    with pytest.raises(DataError, match=r"no FaceForensics\+\+ tree"):
        scan(tmp_path / "manipulated_sequences")
