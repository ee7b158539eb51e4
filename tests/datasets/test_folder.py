"""A user's own tree: by its folders, or by media.csv."""

from __future__ import annotations

import pytest

from dfbench.config import find_root, manifest_home
from dfbench.datasets.folder_labels import label_of, parse_folders
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, UsageError

CLIPS = ["real/a.mp4", "real/talks/b.avi", "fake/a.mp4", "fake/Deepfakes/a.mp4", "fake/Deepfakes/x/c.webm"]


def scan(root, **filters):
    return get_adapter("folder").scan(root, **filters)


def write(root, text):
    (root / "media.csv").write_text(text, "utf-8")
    return root


def test_folders_give_label_and_manipulation(tmp_path, touch, cells):
    found = scan(touch(tmp_path, CLIPS))
    assert cells(found) == {("test", 0, "real"): 2, ("test", 1, "fake"): 1, ("test", 1, "Deepfakes"): 2}
    assert {m.path: m.label for m in found.media}["real/a.mp4"] == 0
    assert "folder/all/Deepfakes/fake/Deepfakes/x/c" in {m.media_id for m in found.media}
    assert len({m.scene_group for m in found.media}) == 5
    assert {m.kind for m in found.media} == {"clip"}


@pytest.mark.parametrize("path", ["{split}/{label}", "{label}/{split}"])
def test_split_folders_above_or_below(tmp_path, touch, cells, path):
    for split, count in (("Train", 3), ("valid", 1), ("testing", 2)):
        for label in ("REAL", "Fake/M" if path.startswith("{split}") else "Fake"):
            place = path.format(split=split, label=label)
            touch(tmp_path / "set", [f"{place}/{n}.mp4" for n in range(count)])
    method = "M" if path.startswith("{split}") else "fake"
    assert cells(scan(tmp_path)) == {
        (split, label, name): count
        for split, count in (("train", 3), ("val", 1), ("test", 2))
        for label, name in ((0, "real"), (1, method))
    }


def test_images_are_stills_and_folders_below_frames_are_clips(tmp_path, touch, cells):
    touch(tmp_path, [f"real/stills/{n:03d}.png" for n in range(4)])
    touch(tmp_path, [f"fake/GAN/frames/{c}/{n:04d}.png" for c in ("000_003", "003_000") for n in range(5)])
    found = scan(tmp_path)
    assert cells(found) == {("test", 0, "real"): 4, ("test", 1, "GAN"): 2}
    assert {(m.label, m.kind) for m in found.media} == {(0, "image"), (1, "sequence")}
    assert found.warnings == ()
    touch(tmp_path, [f"real/{c}/{n:04d}.png" for c in ("000", "003") for n in range(30)])
    assert "real/000, real/003" in scan(tmp_path).warnings[0]


def test_other_files_are_named(tmp_path, touch):
    touch(tmp_path, [*CLIPS, "readme.md", "real/.DS_Store", "misc/a.mp4", "real/a.png"])
    assert scan(tmp_path).excluded == {
        "a second file of the same clip": ("real/a.png",),
        "neither below real/ nor below fake/": ("misc/a.mp4",),
        "not the name of a clip or image": ("readme.md",),
    }


def test_below_both_is_refused(tmp_path, touch):
    with pytest.raises(DataError, match=r"fake/real/a.mp4 is below both real/ and fake/"):
        scan(touch(tmp_path, [*CLIPS, "fake/real/a.mp4"]))


def test_a_list_decides(tmp_path, touch, cells):
    touch(tmp_path, ["c/a.mp4", "c/b.mp4", "c/d.mp4", "s/1/01.png", "s/1/02.png", "e.mp4"])
    write(
        tmp_path,
        "Path,label,split,group,manipulation\nc\\a.mp4,REAL,train,p1,\n./c/b.mp4,1,train,p1,Swap\ns/1,fake,val,p2,\n"
        "gone.mp4,0,test,,\n",
    )
    found = scan(tmp_path)
    assert cells(found) == {("train", 0, "real"): 1, ("train", 1, "Swap"): 1, ("val", 1, "fake"): 1}
    by_path = {m.path: m for m in found.media}
    assert by_path["s/1"].kind == "sequence"
    assert by_path["c/a.mp4"].scene_group == by_path["c/b.mp4"].scene_group
    assert found.excluded == {"not named in the label file": ("c/d.mp4", "e.mp4")}
    assert found.missing == {"all": {"test": {"real": {"real": 1}}}}
    assert found.warnings == ("1 paths of media.csv were not found: gone.mp4",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("real/a.mp4,1,,", "real/a.mp4 is labelled '1', which contradicts its folder"),
        ("fake/a.mp4,real,,", "which contradicts its folder"),
        ("real/a.mp4,2,,", "not a label: '2'"),
        ("real/a.mp4,0,dev,", "not a split: 'dev'"),
        ("../a.mp4,0,,", "is not a path below"),
        ("/etc/a.mp4,0,,", "is not a path below"),
        ("C:\\a.mp4,0,,", "is not a path below"),
        ("fake/Deepfakes/a.mp4,1,train,g", "group 'g' is train, but test in line 2"),
        ("real/talks/b.avi,0,test,g", "is a duplicate of line 2"),
        ("real/a.mp4,0", "2 values, the header has 4"),
    ],
)
def test_contradictions_in_the_list_name_its_line(tmp_path, touch, row, words):
    write(touch(tmp_path, CLIPS), f"path,label,split,group\nreal/talks/b.avi,0,test,g\n{row}\n")
    with pytest.raises(DataError, match=words) as caught:
        scan(tmp_path)
    assert "media.csv, line 3" in caught.value.message


def test_two_lists_no_columns_and_unknown_columns(tmp_path, touch):
    touch(tmp_path, CLIPS)
    write(tmp_path, "file,label\nreal/a.mp4,0\n")
    with pytest.raises(DataError, match="line 1: no column 'path'; it has: file, label"):
        scan(tmp_path)
    write(tmp_path, "path,label,mood\nreal/a.mp4,0,good\n")
    assert scan(tmp_path).warnings == ("unknown columns of media.csv were ignored: mood",)
    (tmp_path / "labels.csv").write_text("path,label\n", "utf-8")
    with pytest.raises(DataError, match=r"has both media.csv and labels.csv"):
        scan(tmp_path)


def test_filters_on_what_is_there(tmp_path, touch, cells):
    touch(tmp_path, CLIPS)
    assert cells(scan(tmp_path, manipulations=["Deepfakes"])) == {("test", 0, "real"): 2, ("test", 1, "Deepfakes"): 2}
    with pytest.raises(UsageError, match="unknown manipulation"):
        scan(tmp_path, manipulations=["Deepfake"])
    with pytest.raises(DataError, match=r"no media of user-defined data set found in .* for train"):
        scan(tmp_path, splits=["train"])
    with pytest.raises(DataError, match="no folder "):
        scan(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no user-defined data set tree"):
        scan(touch(tmp_path / "other", ["x/y.mp4"]))


def test_names_that_are_no_text_are_left_out(tmp_path, touch):
    touch(tmp_path, CLIPS)
    try:
        (tmp_path / "real/b\udcff.mp4").touch()
    except OSError:
        pytest.skip("this file system takes text names alone")
    found = scan(tmp_path)
    assert len(found.media) == len(CLIPS)
    assert [p for paths in found.excluded.values() for p in paths] == ["real/b\\xff.mp4"]


def test_places():
    assert parse_folders("fake/train/GAN/x/1.png").manipulation == "GAN"
    assert parse_folders("fake/frames/000/1.png").manipulation is None
    assert parse_folders("train/x/1.png").split == "train"


def test_a_folder_with_a_name_of_its_own(tmp_path, touch, monkeypatch):
    root = touch(tmp_path, ["real/a.mp4", "fake/Swap/a.mp4"])
    named, plain = (get_adapter(name).scan(root) for name in ("folder:phones-2", "folder"))
    assert "folder:phones-2/all/real/real/a" in {m.media_id for m in named.media}
    assert {m.dataset for m in named.media} == {"folder:phones-2"}
    assert not {m.scene_group for m in named.media} & {m.scene_group for m in plain.media}
    assert {m.path for m in named.media} == {m.path for m in plain.media}
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("DFBENCH_ROOTS", f"folder:phones-2={root}")
    assert manifest_home("folder:phones-2") == tmp_path / "manifests" / "folder-phones-2"
    assert find_root("folder:phones-2") == root


@pytest.mark.parametrize("name", ["folder:", "folder:a/b", "folder:../x", "folder:a b", "folder:#", "folder:-a"])
def test_names_that_ids_cannot_hold(name):
    with pytest.raises(UsageError, match="not a valid data set name") as error:
        get_adapter(name)
    assert "folder:NAME" in error.value.hint


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("0_real", "1_fake"),
        ("1_fake_not", "x"),  # no label follows from these
        ("Reals", "FAKES"),
        ("training_real", "training_fake"),
        ("real_images", "fake-images"),
        ("original", "manipulated"),
        ("original_sequences", "DeepFakes_manipulated"),
        ("DiFF_real", "DiFF_fake"),
        ("pristine", "Deepfakes"),
        ("0 - authentic faces", "1 - synthetic faces"),
    ],
)
def test_spellings_of_the_label_folders(tmp_path, touch, cells, real, fake):
    touch(tmp_path, [f"{real}/a.jpg", f"{real}/b.jpg", f"{fake}/c.jpg"])
    if fake == "x":
        with pytest.raises(DataError, match="no user-defined data set tree"):
            scan(tmp_path)
        return
    found = scan(tmp_path)
    split = "train" if real.startswith("training") else "test"
    assert cells(found) == {(split, 0, "real"): 2, (split, 1, "fake"): 1}
    assert any(f"{real} is real" in w and f"{fake} is fake" in w for w in found.warnings)
    assert cells(scan(tmp_path.parent / tmp_path.name)) == cells(found)


def test_polarity_follows_from_the_words_and_not_from_their_order(tmp_path, touch):
    # Loaders that number folders alphabetically take the first for real.
    touch(tmp_path, ["DiFF_real/a.jpg", "fake/b.jpg", "real/c.jpg", "z_original/d.jpg"])
    assert {m.path: m.label for m in scan(tmp_path).media} == {
        "DiFF_real/a.jpg": 0,
        "fake/b.jpg": 1,
        "real/c.jpg": 0,
        "z_original/d.jpg": 0,
    }


def test_label_folders_in_those_of_several_generators(tmp_path, touch, cells):
    touch(tmp_path / "cnn", ["progan/0_real/0.jpg", "progan/1_fake/1.jpg", "stylegan/cat/0_real/2.jpg"])
    touch(tmp_path / "cnn", ["stylegan/cat/1_fake/3.jpg", "test/biggan/1_fake/4.jpg"])
    for root in (tmp_path, tmp_path / "cnn"):
        found = scan(root)
        assert found.root == tmp_path / "cnn"
        assert cells(found) == {
            ("test", 0, "real"): 2,
            ("test", 1, "progan"): 1,
            ("test", 1, "stylegan"): 1,
            ("test", 1, "biggan"): 1,
        }


def test_names_that_tell_no_label_or_both(tmp_path, touch):
    assert [label_of(n) for n in ("real_vs_fake", "not_real", "realistic", "Real-ESRGAN", "fake_news_corpus")] == [
        None
    ] * 5
    # A sure name outweighs those above and below.
    assert parse_folders("deepfake_set/real/Deepfakes/a.jpg").label == 0
    assert parse_folders("originals/fake/original/a.jpg") == parse_folders("fake/original/a.jpg")
    touch(tmp_path, ["deepfake_set/originals/a.jpg", "deepfake_set/forged/b.jpg"])
    with pytest.raises(DataError, match="below both originals/ and deepfake_set/") as caught:
        scan(tmp_path)
    assert "give the lower folder as root" in caught.value.hint
    assert [m.label for m in scan(tmp_path / "deepfake_set").media] == [1, 0]


def test_a_list_with_bases_and_people(tmp_path, touch):
    touch(tmp_path, ["c/a.mp4", "c/b.mp4", "c/d.mp4", "e.mp4", "deepfake_set/f.mp4"])
    write(
        tmp_path,
        "path;label;split;base;identity_target;identity_source;group\n"
        "c\\b.mp4;fake;train;.\\c\\a.mp4;anna;bea;\nc/a.mp4;original;train;;anna;nan;\n"
        "c/d.mp4;fake;train;c/a.mp4;;#N/A;own\ne.mp4;;test;;;;\ndeepfake_set/f.mp4;real;test;NULL;;;\n",
    )
    found = scan(tmp_path)
    by_path = {m.path: m for m in found.media}
    fake, real = by_path["c/b.mp4"], by_path["c/a.mp4"]
    assert (fake.base_media_id, fake.scene_group) == (real.media_id, real.scene_group)
    assert (fake.identity_target, fake.identity_source) == ("anna", "bea")
    assert (real.identity_target, real.identity_source) == ("anna", None)
    assert by_path["c/d.mp4"].scene_group == "folder/group/own"
    assert by_path["c/d.mp4"].base_media_id == real.media_id
    assert by_path["deepfake_set/f.mp4"].base_media_id is None
    assert found.excluded == {"without a label in the label file": ("e.mp4",)}
    assert found.warnings == ("1 rows of media.csv have no label and are not used: e.mp4",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("fake/a.mp4,1,test,real/a.mp4,x.mp4", "the source 'x.mp4' is not a row of the list"),
        ("real/talks/b.avi,0,test,,real/a.mp4", "is real, but names a source"),
        ("fake/a.mp4,1,test,nowhere.mp4", "the base 'nowhere.mp4' is not a row of the list"),
        ("fake/a.mp4,1,test,fake/Deepfakes/a.mp4", "the base 'fake/Deepfakes/a.mp4' is fake in line 3"),
        ("fake/a.mp4,1,train,real/a.mp4", "is train, but its base in line 2 is test"),
        ("fake/a.mp4,1,test,../../x.mp4", "is not a path below"),
        ("real/talks/b.avi,0,test,real/a.mp4", "is real, but names a base"),
    ],
)
def test_bases_that_cannot_be(tmp_path, touch, row, words):
    rows = "path,label,split,base,source\nreal/a.mp4,0,test,,\nfake/Deepfakes/a.mp4,1,test,,\n"
    write(touch(tmp_path, CLIPS), f"{rows}{row}{',' * (4 - row.count(','))}\n")
    with pytest.raises(DataError, match=words) as caught:
        scan(tmp_path)
    assert "media.csv, line 4" in caught.value.message


def test_a_list_with_sources_and_masks(tmp_path, touch):
    touch(tmp_path, ["a.mp4", "b.mp4", "f.mp4", "g.mp4", "masks/e\u0301.mp4"])
    write(
        tmp_path,
        "path,label,base,source,mask\na.mp4,0,,,\nb.mp4,0,,,\nf.mp4,1,a.mp4,b.mp4,masks/\u00e9.mp4\n"
        "g.mp4,1,,,masks/gone.mp4\n",
    )
    found = scan(tmp_path)
    by_path = {m.path: m for m in found.media}
    assert by_path["f.mp4"].source_media_id == by_path["b.mp4"].media_id
    assert by_path["f.mp4"].base_media_id == by_path["a.mp4"].media_id
    assert (tmp_path / str(by_path["f.mp4"].mask_path)).is_file()
    assert by_path["g.mp4"].mask_path is None
    assert found.warnings == ("1 masks of media.csv were not found: masks/gone.mp4",)
    assert found.excluded == {}


def test_a_listed_folder_of_images_in_another_normal_form(tmp_path, touch):
    touch(tmp_path, ["s/e\u0301/1.png", "s/e\u0301/2.png"])
    write(tmp_path, "path,label\ns/\u00e9,fake\n")
    (media,) = scan(tmp_path).media
    assert media.kind == "sequence"
    assert (tmp_path / media.path).is_dir()
    assert media.name == "s/\u00e9"
