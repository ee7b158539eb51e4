"""FFIW-10K, KoDF, FakeAVCeleb, DFDM and Deepfake-Eval-2024: polarity, splits, groups, numbers and their pitfalls."""

from __future__ import annotations

import pytest

from dfbench.datasets.dfdm import MODELS
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.preparation.planning.sharding import cut


def scan(name, root, **filters):
    found = get_adapter(name).scan(root, **filters)
    cut(found.media, 32, 64)  # scene groups do not cross splits
    return found


# FFIW-10K

FFIW_TREES = {
    "README": "{label}/{split}/{name}.mp4",
    "videos": "FFIW10K-v1-release/{label}/{split}/videos/{name}.mp4",
    "flat": "{label}/{split}_{name}.mp4",
    "both": "{label}/{split}/{split}_{name}.mp4",
    "split first": "{split}/{label}/{name}.mp4",
}


@pytest.mark.parametrize("form", FFIW_TREES)
def test_ffiw_folder_and_prefix_tell_the_same(tmp_path, touch, cells, form):
    counts = {"train": 3, "val": 2, "test": 1}
    touch(
        tmp_path,
        [
            FFIW_TREES[form].format(label=label, split=split, name=f"{n:08d}")
            for label in ("source", "target", "target_mask")
            for split, count in counts.items()
            for n in range(count)
        ],
    )
    found = scan("ffiw", tmp_path)
    assert cells(found) == {
        (split, label, name): count for split, count in counts.items() for label, name in ((0, "real"), (1, "fake"))
    }
    by_id = {m.media_id: m for m in found.media}
    fake, real = by_id["ffiw/all/fake/val_00000001"], by_id["ffiw/all/real/val_00000001"]
    assert (fake.base_media_id, fake.scene_group) == (real.media_id, real.scene_group)
    assert fake.label == 1
    assert "target/" in fake.path
    assert fake.mask_path == fake.path.replace("target/", "target_mask/")
    assert real.mask_path is None
    assert found.expected["all"]["test"] == {"real": {"real": 1738}, "fake": {"fake": 1738}}
    assert sum(found.expected["all"][s]["real"]["real"] for s in counts) == 9988
    assert found.warnings == ()


def test_ffiw_contradictions_lone_fakes_and_unknown_splits(tmp_path, touch):
    touch(tmp_path, ["source/train/00000000.mp4", "target/train/00000001.mp4", "source/00000005.mp4", "source/x.txt"])
    found = scan("ffiw", tmp_path)
    assert found.excluded == {
        "a clip whose split neither its folder nor its name tells": ("source/00000005.mp4",),
        "not the name of a clip": ("source/x.txt",),
    }
    assert found.warnings[0].startswith("1 fakes have no real clip of the same name")
    touch(tmp_path, ["target/train/val_00000000.mp4"])
    with pytest.raises(DataError, match="tell different splits: train, val"):
        scan("ffiw", tmp_path)


# KoDF

A, B = "0123456789abcdef0123", "100001"


def test_kodf_labels_methods_and_people(tmp_path, touch, cells):
    touch(
        tmp_path / "KoDF",
        [
            *(f"original/{A}/{A}_{n:03d}.mp4" for n in (1, 2)),
            f"original/{B}/{B}_001.mp4",
            *(f"any{code}/20200901/{A}/{A}_{B}_{code}_0001.mp4" for code in range(1, 6)),
            f"audio/20200901/{A}/{A}_{B}_5_0002.mp4",  # two methods driven by sound share a code
            "readme.txt",
            f"original/{A}/{A}_{B}_1_0001.mp4",
            f"dfl/20200901/{A}/{A}_003.mp4",
        ],
    )
    found = scan("kodf", tmp_path)
    assert cells(found) == {
        ("test", 0, "real"): 3,
        **{("test", 1, method): 1 for method in ("dfl", "dffs", "fsgan", "fo")},
        ("test", 1, "audio-driven"): 2,
    }
    fake = next(m for m in found.media if m.manipulation == "fo")
    assert (fake.identity_target, fake.identity_source) == (A, B)
    assert len({m.scene_group for m in found.media}) == 2  # by the person shown
    assert found.expected["all"]["test"]["real"] == {"real": 62166}
    assert found.warnings == ("6 fakes found; published are 175776",)
    assert len(found.excluded["a name that contradicts its folder"]) == 2


def test_kodf_adversarial_part(tmp_path, touch, cells):
    touch(
        tmp_path, [f"original/{B}/{B}_001.mp4", f"real-adv/{B}_001.mp4", "fake-adv/x/strange.mp4", "fake-adv/x/y.txt"]
    )
    found = scan("kodf", tmp_path)
    assert cells(found) == {("test", 0, "real"): 2, ("test", 1, "adversarial"): 1}
    assert {(m.subset, m.label) for m in found.media} == {("all", 0), ("adversarial", 0), ("adversarial", 1)}
    assert any("do not tell the person: fake-adv/x/strange.mp4" in w for w in found.warnings)


# FakeAVCeleb

RACE = "Asian (East)"
AV = {
    "RealVideo-RealAudio": "00109.mp4",
    "RealVideo-FakeAudio": "00109_fake.mp4",
    "FakeVideo-RealAudio": "00109_id00166_wavtolip.mp4",
    "FakeVideo-FakeAudio": "00109_2_id00166.mp4",
}
ROWS = (
    ("RealVideo-RealAudio", "real", "-", "A"),
    ("RealVideo-FakeAudio", "rtvc", "-", "B"),
    ("FakeVideo-RealAudio", "wav2lip", "-", "C"),
    ("FakeVideo-FakeAudio", "faceswap-wav2lip", "id00166", "D"),
)


@pytest.fixture
def fakeav(tmp_path, touch):
    root = touch(tmp_path / "FakeAVCeleb_v1.2", [f"{c}/{RACE}/men/id00076/{f}" for c, f in AV.items()])
    lines = ["source,target1,target2,method,category,type,race,gender,path,"]
    lines += [
        f"id00076,{target},-,{method},{letter},{category},{RACE},men,{AV[category]},FakeAVCeleb/{category}/{RACE}/men/id00076"
        for category, method, target, letter in ROWS
    ]
    (root / "meta_data.csv").write_text("\n".join(lines), "utf-8")
    return root


def test_fakeavceleb_labels_the_images_or_also_the_sound(fakeav):
    visual = {m.name.split("/")[0]: m for m in scan("fakeavceleb", fakeav.parent).media}
    both = {m.name.split("/")[0]: m for m in scan("fakeavceleb-av", fakeav).media}
    assert [visual[c].label for c in AV] == [0, 0, 1, 1]
    assert [both[c].label for c in AV] == [0, 1, 1, 1]
    assert [m.manipulation for m in visual.values()].count("real") == 2
    assert both["RealVideo-FakeAudio"].manipulation == "rtvc"
    assert [visual[c].subset for c in AV] == ["real-audio", "fake-audio", "real-audio", "fake-audio"]
    fake = visual["FakeVideo-FakeAudio"]
    assert (fake.manipulation, fake.identity_source) == ("faceswap-wav2lip", "id00166")
    assert fake.base_media_id == visual["RealVideo-RealAudio"].media_id
    assert {m.scene_group for m in visual.values()} == {f"fakeavceleb/{RACE}/men/id00076"}
    assert visual["RealVideo-FakeAudio"].base_media_id is None


def test_fakeavceleb_warnings_and_filters(fakeav, cells):
    found = scan("fakeavceleb", fakeav)
    assert any("1 clips with forged sound and real images are labelled real" in w for w in found.warnings)
    assert any("FakeVideo-RealAudio 1 (published 9709)" in w for w in found.warnings)
    assert found.expected == {
        "real-audio": {"test": {"real": {"real": 500}}},
        "fake-audio": {"test": {"real": {"real": 500}}},
    }
    assert cells(scan("fakeavceleb", fakeav, subsets=["real-audio"])) == {
        ("test", 0, "real"): 1,
        ("test", 1, "wav2lip"): 1,
    }
    (fakeav / "meta_data.csv").unlink()
    found = scan("fakeavceleb", fakeav)
    assert {m.manipulation for m in found.media} == {"real", "fake"}
    assert any("no meta_data.csv" in w for w in found.warnings)


def test_fakeavceleb_rows_that_do_not_fit(fakeav):
    file = fakeav / "meta_data.csv"
    text = file.read_text("utf-8").replace(",", ";")
    extra = (
        "id00076;-;-;nan;C;FakeVideo-RealAudio;x;men;other.mp4;\nid1;-;-;fsgan;C;FakeVideo-RealAudio;x;men;gone.mp4;"
    )
    file.write_bytes(f"{text}\n{extra}\n".encode("utf-16"))
    found = scan("fakeavceleb", fakeav)
    assert {m.manipulation for m in found.media} == {"real", "wav2lip", "faceswap-wav2lip"}
    assert any("1 rows of meta_data.csv were not used" in w for w in found.warnings)
    assert any("1 clips of meta_data.csv were not found: FakeVideo-RealAudio/id1/gone.mp4" in w for w in found.warnings)


# DFDM


def test_dfdm_refuses_until_reals_are_named(tmp_path, touch, cells):
    folders = ("faceswap", "LightWeight", "iae", "dfaker", "DFL_H128")
    fakes = [f"DFDM_{crf}/{m}/id0_id16_0003_x.mp4" for crf in ("crf0", "crf10", "crf23") for m in folders]
    touch(tmp_path, [*fakes, "DFDM_crf0/readme.txt"])
    with pytest.raises(DataError, match="has no reals") as caught:
        scan("dfdm", tmp_path)
    assert "Celeb-real" in caught.value.hint
    # Attribution names the models and needs no reals.
    found = scan("dfdm", tmp_path, manipulations=MODELS)
    assert cells(found) == {("test", 1, model): 3 for model in MODELS}
    assert any("there are no reals" in w for w in found.warnings)
    assert len({m.media_id for m in found.media}) == 15  # one name at three compressions of five models
    touch(tmp_path, ["Celeb-real/id0_0003.mp4", "Celeb-real/id1_0000.mp4"])
    found = scan("dfdm", tmp_path)
    assert cells(found)["test", 0, "real"] == 6
    fake = next(m for m in found.media if m.media_id == "dfdm/crf23/IAE/id0_id16_0003_x")
    assert fake.base_media_id == "dfdm/crf23/real/id0_0003"
    assert fake.base_media_id in {m.media_id for m in found.media}
    assert (fake.identity_target, fake.identity_source) == ("id0", "id16")
    assert found.expected["crf10"]["test"]["fake"]["DFL-H128"] == 430
    assert sum(n for s in found.expected.values() for n in s["test"]["fake"].values()) == 6450
    assert found.excluded == {"not the name of a clip": ("DFDM_crf0/readme.txt",)}
    assert cells(scan("dfdm", tmp_path, subsets=["crf0"])) == {
        ("test", 0, "real"): 2,
        **{("test", 1, model): 1 for model in MODELS},
    }


# Deepfake-Eval-2024


@pytest.fixture
def wild(tmp_path, touch):
    touch(tmp_path, [f"video-data/v{n}.mp4" for n in range(6)] + ["audio-data/a.wav"])
    touch(tmp_path, ["image-data/i0.webp", "image-data/i1.JPG", "image-data/unlisted.png", "image-data/x.txt"])
    (tmp_path / "video-metadata-publish.csv").write_text(
        "Filename,Video Ground Truth,Audio Ground Truth\nv0.mp4,Real,Fake\nv1.mp4,Fake,Real\nv2.mp4,Unknown,Fake\n"
        "v3.mp4,,Fake\nv4.mp4,True,Real\nv9.mp4,Fake,Real\n",
        "utf-8",
    )
    (tmp_path / "image-metadata-publish.csv").write_text("Filename;Ground Truth\ni0.webp;Fake\ni1.jpeg;REAL\n", "utf-8")
    return tmp_path


def test_deepfake_eval_values_that_leave_the_label_open_are_never_real(wild, cells):
    found = scan("deepfake-eval-2024", wild)
    assert cells(found) == {("test", 0, "real"): 2, ("test", 1, "fake"): 2}
    assert {(m.subset, m.name): m.label for m in found.media} == {
        ("video", "v0"): 0,  # its sound is fake, its images are not
        ("video", "v1"): 1,
        ("image", "i0"): 1,
        ("image", "i1"): 0,
    }
    assert found.excluded == {
        "without a label in the label file": ("video-data/v2.mp4", "video-data/v3.mp4", "video-data/v4.mp4"),
        "not named in the label file": ("image-data/unlisted.png", "video-data/v5.mp4"),
        "not the name of a clip or image": ("image-data/x.txt",),
        "sound, which is not read": ("audio-data",),
    }
    assert found.warnings == (
        "3 files of video-metadata-publish.csv have no label and are not used: empty 1, True 1, Unknown 1",
        "1 files of video-metadata-publish.csv were not found: v9.mp4",
    )
    assert found.missing == {"video": {"test": {"fake": {"fake": 1}}}}
    assert {m.kind for m in found.media if m.subset == "image"} == {"image"}


def test_deepfake_eval_needs_its_tables(wild):
    (wild / "image-metadata-publish.csv").unlink()
    with pytest.raises(DataError, match=r"no image-metadata-publish\.csv"):
        scan("deepfake-eval-2024", wild)
    (wild / "image-metadata-publish.csv").write_text("Filename,Truth\ni0.webp,Fake\n", "utf-8")
    with pytest.raises(DataError, match="no column 'ground truth'"):
        scan("deepfake-eval-2024", wild)
