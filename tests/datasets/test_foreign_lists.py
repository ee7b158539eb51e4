"""Lists as spreadsheets, other libraries and other file systems write them, through the adapters that read them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from dfbench.config import configured_roots
from dfbench.datasets import text_files
from dfbench.datasets.label_lists import given, read_label
from dfbench.datasets.registry import get_adapter
from dfbench.datasets.text_files import csv_rows
from dfbench.errors import DataError, UsageError
from dfbench.manifest.source_media import read_medium
from dfbench.media.images import encode_png
from dfbench.protocols.files import load_protocol

ROWS = [
    ["path", "label", "split", "group"],
    ["clips/a.mp4", "real", "test", "g1"],
    ["clips/b.mp4", "fake", "test", "g2"],
]


def table(separator: str, rows: list[list[str]] = ROWS, end: str = "\r\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


@pytest.mark.parametrize(
    "content",
    [
        table(",").encode("utf-8-sig"),
        table(";").encode(),
        table("\t").encode(),
        table("|", end="\n").encode(),
        ("sep=;\r\n" + table(";")).encode(),
        ('"sep=,"\n' + table(",")).encode(),
        ("sep=\t\r\n" + table("\t")).encode("utf-16"),
        table("\t").encode("utf-16"),
        table(",").encode("utf-16-le"),
        table(";").encode("utf-16-be"),
        table(",").encode("utf-32"),
        table(";", [[f'"{value}"' for value in row] for row in ROWS]).encode(),
        table(";", [[*row, "", ""] if n else row for n, row in enumerate(ROWS)]).encode(),
        table(",", [[f" {value} ".replace("path", "PATH") for value in row] for row in ROWS]).encode(),
    ],
)
def test_dialects_of_spreadsheets(tmp_path, touch, content):
    touch(tmp_path, ["clips/a.mp4", "clips/b.mp4"])
    (tmp_path / "media.csv").write_bytes(content)
    found = get_adapter("folder").scan(tmp_path)
    assert {(m.path, m.label, m.split, m.scene_group) for m in found.media} == {
        ("clips/a.mp4", 0, "test", "folder/group/g1"),
        ("clips/b.mp4", 1, "test", "folder/group/g2"),
    }
    assert found.warnings == ()
    # The same reader serves the other adapters.
    names = {"path": "filename", "clips/a.mp4": "a.mp4", "clips/b.mp4": "b.mp4"}
    for encoding in ("utf-8", "utf-16"):
        if not content.startswith((b"\xff\xfe", b"\xfe\xff", b"p\x00", b"\x00p")):
            text = content.decode("utf-8-sig")
            for old, new in (*names.items(), ("PATH", "filename")):
                text = text.replace(old, new)
            touch(tmp_path / "test", ["a.mp4", "b.mp4"])
            (tmp_path / "test" / "labels.csv").write_bytes(text.encode(encoding))
            labels = {m.name: m.label for m in get_adapter("dfdc").scan(tmp_path).media}
            assert labels == {"a": 0, "b": 1}


@pytest.mark.parametrize("encoding", ["windows-1252", "gbk"])
def test_other_encodings_are_named_with_the_remedy(tmp_path, touch, encoding):
    touch(tmp_path, ["a.mp4"])
    (tmp_path / "media.csv").write_bytes("path,label\nü.mp4,real\n".encode(encoding))
    with pytest.raises(DataError, match=r"is not text in UTF-8: .*, line 2") as caught:
        get_adapter("folder").scan(tmp_path)
    assert "CSV UTF-8" in caught.value.hint


def test_a_comma_in_the_values_does_not_make_the_commas_separators(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("path;label;note, remark, more\na.mp4;1;x, y\n", "utf-8")
    assert next(csv_rows(file, ("path", "label")))[1]["label"] == "1"
    file.write_text("path,label,label\na.mp4,1,0\n", "utf-8")
    with pytest.raises(DataError, match="column 'label' occurs twice"):
        next(csv_rows(file, ("path", "label")))


@pytest.mark.parametrize(
    ("word", "label"),
    [("Original", 0), ("pristine", 0), ("Genuine ", 0), ("FALSE", 0), ("deepfake", 1), ("Synthetic", 1), ("True", 1)],
)
def test_words_for_the_labels(word, label):
    assert read_label(word, "here") == label


def test_what_stands_for_nothing():
    assert [given(v) for v in (float("nan"), None, "", " ", "NaN", "NULL", "#N/A", "NA")] == [None] * 8
    assert [given(v) for v in (0, "Na", "na", "nano", False)] == ["0", "Na", "na", "nano", "False"]


NAMES = ["jürgen.mp4", "zoé.mp4", "한국.mp4", "plain.mp4"]


@pytest.mark.parametrize(("in_list", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_in_another_normal_form_are_the_same_names(tmp_path, touch, in_list, on_disk):
    listed = [unicodedata.normalize(in_list, n) for n in NAMES]
    files = [unicodedata.normalize(on_disk, n) for n in NAMES]
    touch(tmp_path / "own", [f"clips/{n}" for n in files])
    text = "path,label,split\n" + "".join(f"clips/{n},{i % 2},test\n" for i, n in enumerate(listed))
    (tmp_path / "own" / "media.csv").write_text(text, "utf-8")
    found = get_adapter("folder").scan(tmp_path / "own")
    assert {Path(m.path).name: m.label for m in found.media} == dict(zip(files, (0, 1, 0, 1), strict=True))
    assert (found.excluded, found.warnings) == ({}, ())
    # Ids are the same whatever the file system makes of the names; paths are those on disk.
    assert {m.media_id.rpartition("/")[2] for m in found.media} == {n.removesuffix(".mp4") for n in NAMES}

    part = tmp_path / "dfdc" / "dfdc_train_part_0"
    touch(part, files)
    labels = {n: {"label": "FAKE" if i else "REAL", "original": listed[0]} for i, n in enumerate(listed)}
    (part / "metadata.json").write_text(json.dumps(labels), "utf-8")
    found = get_adapter("dfdc").scan(tmp_path / "dfdc")
    assert len(found.media) == 4
    assert {m.scene_group for m in found.media} == {"dfdc/train/jürgen"}
    assert found.excluded == {}

    images = [f"{n}.png" for n in files]
    touch(tmp_path / "hff", [f"mixed/{n}" for n in images])
    text = "# fake=1\n" + "".join(f"/home/x/mixed/{n}.png {i % 2}\n" for i, n in enumerate(listed))
    (tmp_path / "hff" / "test.txt").write_text(text, "utf-8")
    assert len(get_adapter("hff").scan(tmp_path / "hff").media) == 4


def test_two_files_whose_names_differ_in_the_normal_form_alone(tmp_path, touch):
    names = [f"real/{unicodedata.normalize(form, 'é.mp4')}" for form in ("NFC", "NFD")]
    touch(tmp_path, [*names, "fake/b.mp4"])
    if len(list((tmp_path / "real").iterdir())) == 1:
        pytest.skip("this file system takes them for one name")
    found = get_adapter("folder").scan(tmp_path)
    assert len(found.media) == 2
    assert list(found.excluded) == ["a second file of the same clip"]


def kaggle(root: Path, touch, **fields: object) -> Path:
    labels = {
        "r0.mp4": {"label": "REAL", "split": "train"},
        "f0.mp4": {"label": "FAKE", "split": "train", "original": "r0.mp4"},
        "f1.mp4": {"label": "FAKE", "split": "train", "original": "elsewhere.mp4"},
        "f2.mp4": {"label": "FAKE", "split": "train", **fields},
        "f3.mp4": {"label": "FAKE", "split": "train", **fields},
    }
    touch(root / "train_sample_videos", labels)
    touch(root / "test_videos", ["zz.mp4"])
    touch(root, ["sample_submission.csv"])
    (root / "train_sample_videos" / "metadata.json").write_text(json.dumps(labels), "utf-8")
    return root


@pytest.mark.parametrize("below", ["", "train_sample_videos"])
def test_the_sample_of_the_competition(tmp_path, touch, cells, below):
    found = get_adapter("dfdc").scan(kaggle(tmp_path, touch) / below)
    assert cells(found) == {("train", 0, "real"): 1, ("train", 1, "fake"): 4}
    assert {m.path for m in found.media} >= {"r0.mp4" if below else "train_sample_videos/r0.mp4"}
    groups = {m.name: m.scene_group for m in found.media}
    assert groups["f0"] == groups["r0"]
    assert (found.expected, found.missing) == ({}, {})
    if not below:
        assert found.excluded["a folder without metadata.json or labels.csv"] == ("test_videos/zz.mp4",)


@pytest.mark.parametrize("name", ["fb_dfd_release_0.1_final", "part 12", "mirror/of/train/x"])
def test_any_folder_of_labelled_clips_is_a_sample_of_the_train_part(tmp_path, touch, cells, name):
    folder = kaggle(tmp_path / "k", touch) / "train_sample_videos"
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    for root in (place, place.parent):
        assert cells(get_adapter("dfdc").scan(root)) == {("train", 0, "real"): 1, ("train", 1, "fake"): 4}


@pytest.mark.parametrize("fields", [{"original": float("nan")}, {"original": ""}, {"original": None}, {}])
def test_an_absent_original_is_no_name(tmp_path, touch, fields):
    by_name = {m.name: m for m in get_adapter("dfdc").scan(kaggle(tmp_path, touch, **fields)).media}
    assert by_name["f2"].base_media_id is None
    assert by_name["f2"].scene_group != by_name["f3"].scene_group


def test_clips_whose_label_is_left_open_are_counted_and_not_real(tmp_path, touch, cells):
    root = kaggle(tmp_path, touch, label=float("nan"))
    found = get_adapter("dfdc").scan(root)
    assert cells(found) == {("train", 0, "real"): 1, ("train", 1, "fake"): 2}
    assert len(found.excluded["without a label in the label file"]) == 2
    # Tables of train and test parts joined by a library have both fields.
    kaggle(tmp_path, touch, label=float("nan"), is_fake=1.0)
    assert cells(get_adapter("dfdc").scan(root))["train", 1, "fake"] == 4


def test_a_preview_entry_without_its_people(tmp_path, touch):
    entry = {
        "label": "fake",
        "set": "test",
        "target_id": float("nan"),
        "swapped_id": None,
        "source_video": float("nan"),
    }
    paths = ["method_A/1/1_A/1_2_A_001.mp4", "method_A/1/1_A/1_2_A_002.mp4"]
    touch(tmp_path, paths)
    (tmp_path / "dataset.json").write_text(json.dumps(dict.fromkeys(paths, entry)), "utf-8")
    media = get_adapter("dfdcp").scan(tmp_path).media
    assert {(m.identity_target, m.identity_source, m.base_media_id) for m in media} == {(None, None, None)}
    assert len({m.scene_group for m in media}) == 2


def test_an_unknown_layout_is_described(tmp_path, touch):
    touch(tmp_path, ["videos/x/1.mp4", "videos/y/1.mp4", *(f"z{n}.txt" for n in range(9))])
    with pytest.raises(DataError) as caught:
        get_adapter("celeb-df-v2").scan(tmp_path)
    assert "which contains videos/, z0.txt, z1.txt, z2.txt, z3.txt and 5 more (videos/ contains x/, y/)" in str(
        caught.value
    )
    assert "Celeb-synthesis" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="which contains nothing"):
        get_adapter("dfd").scan(tmp_path / "empty")
    with pytest.raises(DataError, match="it is a file, not a folder"):
        get_adapter("dfd").scan(tmp_path / "z0.txt")


def test_names_that_are_not_utf8_are_counted_and_told(tmp_path, touch):
    touch(tmp_path, ["real/a.mp4", "fake/b.mp4"])
    try:
        (tmp_path / "real/\udcc4\udce3.mp4").touch()
        (tmp_path / "fake/\udcba\udcc3").mkdir()
        (tmp_path / "fake/\udcba\udcc3/c.mp4").touch()
    except OSError:
        pytest.skip("this file system takes text names only")
    found = get_adapter("folder").scan(tmp_path)
    assert [m.name for m in found.media] == ["fake/b", "real/a"]
    (warning,) = found.warnings
    assert warning.startswith("2 files are not used")
    json.dumps([found.warnings, found.excluded], ensure_ascii=False).encode()
    with pytest.raises(DataError) as caught:
        get_adapter("celeb-df-v2").scan(tmp_path / "fake")
    str(caught.value).encode()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_toml_as_editors_of_windows_save_it(tmp_path, monkeypatch, encoding):
    (tmp_path / "dfbench.toml").write_bytes('[roots]\r\n"ff++" = "/data/FF"\r\n'.encode(encoding))
    monkeypatch.chdir(tmp_path)
    assert configured_roots()["ff++"] == "/data/FF"
    plain = load_protocol("mini")
    shipped = Path(__file__).parents[2] / "protocols" / "mini.toml"
    (tmp_path / "own.toml").write_bytes(shipped.read_text("utf-8").replace("\n", "\r\n").encode(encoding))
    assert load_protocol(str(tmp_path / "own.toml")).hash == plain.hash


def test_toml_in_another_encoding_is_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "dfbench.toml").write_bytes('[roots]\n"ff++" = "/Bücher"\n'.encode("windows-1252"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"not text in UTF-8 \(byte 20, line 2\)") as caught:
        configured_roots()
    assert "save it as UTF-8" in caught.value.hint


@pytest.mark.parametrize(("stored", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_media_of_a_manifest_from_a_machine_with_another_normal_form(tmp_path, stored, on_disk):
    folder, name = "Größe", "é 한국.png"
    file = tmp_path / unicodedata.normalize(on_disk, folder) / unicodedata.normalize(on_disk, name)
    file.parent.mkdir()
    file.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    path = unicodedata.normalize(stored, f"{folder}/{name}")
    for medium in (path, path.rpartition("/")[0]):  # an image, and a folder of images
        assert read_medium(tmp_path, medium, lambda count: [0], "pyav").frame_count == 1
    with pytest.raises(DataError):
        read_medium(tmp_path, "Grösse/é.png", lambda count: [0], "pyav")


@pytest.mark.parametrize(("separator", "quote"), [(" ", ""), (",", ""), (";", '"'), ("\t", ""), (", ", '"')])
def test_lists_of_path_and_flag_saved_by_a_spreadsheet(tmp_path, touch, separator, quote):
    touch(tmp_path / "celeb", ["Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4", "YouTube-real/00001.mp4"])
    lines = [f"{quote}1{quote}{separator}{quote}YouTube-real/00170.mp4{quote}\r\n"]
    (tmp_path / "celeb" / "List_of_testing_videos.txt").write_bytes("".join(lines).encode("utf-16"))
    splits = {m.name: m.split for m in get_adapter("celeb-df-v2").scan(tmp_path / "celeb").media}
    assert splits == {"id0_0000": "train", "00170": "test", "00001": "train"}
    touch(tmp_path / "hff", ["test/real/CelebA/a b.png", "test/fake/Glow/c.png"])
    lines = [
        f"{quote}test/{path}{quote}{separator}{flag}\n"
        for path, flag in (("real/CelebA/a b.png", 1), ("fake/Glow/c.png", 0))
    ]
    (tmp_path / "hff" / "test.txt").write_text("".join(lines), "utf-8")
    assert {m.path: m.label for m in get_adapter("hff").scan(tmp_path / "hff").media} == {
        "test/real/CelebA/a b.png": 0,
        "test/fake/Glow/c.png": 1,
    }


def test_a_label_file_without_end_is_refused(tmp_path, touch, monkeypatch):
    touch(tmp_path, ["a.mp4"])
    monkeypatch.setattr(text_files, "LARGEST_TEXT", 1000)
    (tmp_path / "media.csv").write_text("path,label\na.mp4,1\n" + "\n" * 1000, "utf-8")
    with pytest.raises(DataError, match=r"media\.csv is larger than 1000 bytes"):
        get_adapter("folder").scan(tmp_path)
