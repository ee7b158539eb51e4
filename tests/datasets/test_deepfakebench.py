"""DeepfakeBench's crops: two nestings, foreign paths, known losses, and no trust in val."""

from __future__ import annotations

import json

import pytest

from dfbench.datasets.deepfakebench_json import CLASSES, manipulation_of
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, UsageError
from dfbench.preparation.planning.sharding import cut

FF_REAL = "original_sequences/youtube/c23/frames"
FF_FAKE = "manipulated_sequences/Deepfakes/c23/frames"


def frames(folder, numbers=(0, 9, 100)):
    return [f"{folder}/{n:03d}.png" for n in numbers]


def entry(label, folder, prefix="./", numbers=(0, 9, 100)):
    return {"label": label, "frames": [prefix + f for f in frames(folder, numbers)]}


def ffpp(prefix="./datasets/rgb/"):
    base = f"{prefix}FaceForensics++"

    def level(label, folder, names):
        return {"c23": {n: entry(label, f"{folder}/{n}", f"{base}/") for n in names}}

    return {
        "FaceForensics++": {
            "FF-real": {
                "train": level("FF-real", FF_REAL, ["071", "054"]),
                "val": level("FF-real", FF_REAL, ["720"]),
                "test": level("FF-real", FF_REAL, ["000"]),
            },
            "FF-DF": {
                "train": level("FF-DF", FF_FAKE, ["071_054", "054_071"]),
                "val": {"c23": {}},
                "test": level("FF-DF", FF_FAKE, ["000_003"]),
            },
        }
    }


def celeb(train_reals=("Celeb-real/frames/id0_0000",), extra=()):
    def videos(label, paths):
        return {p.rsplit("/", 1)[1]: entry(label, f"Celeb-DF-v2/{p}") for p in paths}

    tested = ["YouTube-real/frames/00170"]
    fakes = ["Celeb-synthesis/frames/id0_id1_0000"]
    return {
        "Celeb-DF-v2": {
            "CelebDFv2_real": {
                "train": videos("CelebDFv2_real", [*train_reals, *tested, *extra]),
                "val": videos("CelebDFv2_real", tested),
                "test": videos("CelebDFv2_real", tested),
            },
            "CelebDFv2_fake": {
                "train": videos("CelebDFv2_fake", ["Celeb-synthesis/frames/id1_id0_0000"]),
                "test": videos("CelebDFv2_fake", fakes),
            },
        }
    }


def write(root, name, content, place="preprocessing/dataset_json"):
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1), "utf-8")


def make_crops(touch, root, content, place="datasets/rgb"):
    text = json.dumps(content).replace("\\\\", "/")
    folders = {"FaceForensics++", "Celeb-DF-v2"}
    for path in {
        w.strip('"') for w in text.replace("[", " ").replace("]", " ").replace(",", " ").split() if ".png" in w
    }:
        parts = path.split("/")
        start = next(n for n, part in enumerate(parts) if part in folders)
        touch(root / place, ["/".join(parts[start:])])


def scan(root, **filters):
    return get_adapter("deepfakebench").scan(root, **filters)


def test_both_nestings_counts_and_polarity(tmp_path, touch, cells):
    for name, content in (("FaceForensics++", ffpp()), ("Celeb-DF-v2", celeb())):
        write(tmp_path, name, content)
        make_crops(touch, tmp_path, content)
    found = scan(tmp_path)
    assert cells(found) == {
        ("train", 0, "real"): 3,
        ("test", 0, "real"): 2,
        ("train", 1, "Deepfakes"): 2,
        ("test", 1, "Deepfakes"): 1,
        ("train", 1, "Celeb-synthesis"): 1,
        ("test", 1, "Celeb-synthesis"): 1,
    }
    assert {(m.kind, m.cropped) for m in found.media} == {("sequence", True)}
    by_id = {m.media_id: m for m in found.media}
    fake = by_id["deepfakebench/FaceForensics++_c23/Deepfakes/071_054"]
    assert fake.path == f"datasets/rgb/FaceForensics++/{FF_FAKE}/071_054"
    assert fake.base_media_id == "deepfakebench/FaceForensics++_c23/real/071"
    assert by_id[fake.base_media_id].scene_group == fake.scene_group
    assert found.missing == {}
    assert set(found.expected) == {"FaceForensics++_c23", "Celeb-DF-v2"}
    assert found.excluded == {
        "only in the val split of a JSON file, which repeats other splits": (
            "FaceForensics++.json: FaceForensics++_c23/real/val/720",
        )
    }
    cut(found.media, 32, 64)
    assert {m.subset for m in scan(tmp_path, subsets=["Celeb-DF-v2"]).media} == {"Celeb-DF-v2"}
    with pytest.raises(UsageError, match="unknown subset"):
        scan(tmp_path, subsets=["Celeb-DF-v3"])


@pytest.mark.parametrize(
    "prefix", ["./", "F:\\crops\\rgb\\", "/home/somebody/DeepfakeBench/datasets/rgb/", "C:/frames/", ""]
)
@pytest.mark.parametrize(
    ("jsons", "crops"), [("preprocessing/dataset_json", "datasets/rgb"), ("dataset_json", "rgb"), ("", "")]
)
def test_foreign_roots_and_backslashes(tmp_path, touch, prefix, jsons, crops):
    content = ffpp(prefix)
    if "\\" in prefix:
        content = json.loads(json.dumps(content).replace("/", "\\\\"))
    write(tmp_path / "bench", "FaceForensics++", content, jsons)
    make_crops(touch, tmp_path / "bench", ffpp(), crops)
    found = scan(tmp_path)
    assert len(found.media) == 6
    assert all((found.root / m.path / "000.png").is_file() for m in found.media)


def test_train_that_repeats_test_counts_as_test_and_losses_are_told(tmp_path, touch):
    write(tmp_path, "Celeb-DF-v2", celeb())
    make_crops(touch, tmp_path, celeb())
    found = scan(tmp_path)
    assert {m.name: m.split for m in found.media if m.label == 0} == {"id0_0000": "train", "00170": "test"}
    told = "\n".join(found.warnings)
    assert "Celeb-DF-v2: 1 videos are in both train and test" in told
    assert "2 of 890 real videos, 2 of 5639 fake videos, 2 of 518 test videos" in told
    assert "train contains no clips of YouTube-real: DeepfakeBench overwrites" in told
    assert "Celeb-real" not in told
    whole = celeb(extra=["YouTube-real/frames/00001"])
    write(tmp_path, "Celeb-DF-v2", whole)
    make_crops(touch, tmp_path, whole)
    assert "overwrites" not in "\n".join(scan(tmp_path).warnings)


def test_files_that_repeat_one_another_count_once(tmp_path, touch):
    write(tmp_path, "FaceForensics++", ffpp())
    again = ffpp()
    write(tmp_path, "FF-DF", {"FF-DF": again["FaceForensics++"]})
    make_crops(touch, tmp_path, ffpp())
    assert len(scan(tmp_path).media) == 6


def test_missing_folders_empty_videos_other_numbers_and_climbing_paths(tmp_path, touch):
    content = ffpp()
    train = content["FaceForensics++"]["FF-real"]["train"]["c23"]
    make_crops(touch, tmp_path, content)
    train["900"] = entry("FF-real", f"FaceForensics++/{FF_REAL}/900")
    train["901"] = {"label": "FF-real", "frames": []}
    train["902"] = entry("FF-real", f"FaceForensics++/../../{FF_REAL}/071")
    train["071"]["frames"].pop()
    write(tmp_path, "FaceForensics++", content)
    write(tmp_path, "something", {"a": 1})
    write(tmp_path, "train", [["071", "054"]])
    found = scan(tmp_path)
    assert len(found.media) == 6
    shown = "FaceForensics++.json: FaceForensics++_c23/real/train"
    assert found.excluded["a video without frames"] == (f"{shown}/901",)
    assert found.excluded["frames whose path leads outside, or into several folders"] == (f"{shown}/902",)
    assert found.excluded["a JSON file that is not DeepfakeBench's"] == ("preprocessing/dataset_json/something.json",)
    assert f"1 videos have no folder with images: {shown}/900" in found.warnings
    assert f"1 folders have another number of images than in the JSON file: {shown}/071 (3 for 2)" in found.warnings
    assert found.missing == {"FaceForensics++_c23": {"train": {"real": {"real": 3}}}}


def test_dfdcs_malformed_val_is_no_obstacle(tmp_path, touch, cells):
    video = entry("DFDC_Real", "FaceForensics++/DFDC/frames/aaaaaaaaaa")
    content = {"DFDC": {"DFDC_Real": {"train": {}, "test": {"aaaaaaaaaa": video}, "val": {"bbb": {"x": ["y"]}}}}}
    write(tmp_path, "DFDC", content)
    make_crops(touch, tmp_path, content)
    assert cells(scan(tmp_path)) == {("test", 0, "real"): 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda c: c["FF-real"]["train"]["c23"]["071"].update(label="FF-DF"),
            "video '071' has label 'FF-DF', but is in class",
        ),
        (
            lambda c: c["FF-DF"]["test"]["c23"]["000_003"].update(frames=frames(f"./{FF_REAL}/000")),
            "is in the folder original_sequences",
        ),
        (
            lambda c: c.update({"FF-XX": {"train": {}, "test": {}}}),
            "class 'FF-XX' is not in DeepfakeBench's label_dict",
        ),
        (lambda c: c["FF-real"]["train"]["c23"]["071"].update(frames="a.png"), "video '071' has no list of frames"),
    ],
)
def test_contradictions_name_file_and_line(tmp_path, change, words):
    content = ffpp()
    change(content["FaceForensics++"])
    write(tmp_path, "FaceForensics++", content)
    with pytest.raises(DataError, match=words) as caught:
        scan(tmp_path)
    assert "FaceForensics++.json, line " in caught.value.message


def test_broken_json_and_nothing_there(tmp_path):
    with pytest.raises(DataError, match="no DeepfakeBench crops tree"):
        scan(tmp_path)
    write(tmp_path, "FaceForensics++", ffpp())
    file = tmp_path / "preprocessing/dataset_json/FaceForensics++.json"
    file.write_text(file.read_text("utf-8")[:200], "utf-8")
    with pytest.raises(DataError, match=r"FaceForensics\+\+.json, line \d+: not JSON"):
        scan(tmp_path)


def test_label_dict_is_the_benchmarks():
    reals = {name for name, m in CLASSES.items() if m == "real"}
    assert reals == {
        "FF-real", "DFD_real", "CelebDFv1_real", "CelebDFv2_real", "DFDCP_Real", "DFDC_Real", "DF_real", "UADFV_Real",
        "roop_Real",
    }  # fmt: skip
    assert len(CLASSES) == 24
    assert manipulation_of("StyleGAN2_Fake") == "StyleGAN2"
    assert manipulation_of("sd2.1_Real") == "real"
