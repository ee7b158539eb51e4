"""Reading label files, walking folders, and the names of all data sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.datasets.label_lists import json_object, posix, read_label
from dfbench.datasets.layout import extension, find_tree, may_be_media, split_of, stem, walk
from dfbench.datasets.registry import adapter_names, get_adapter
from dfbench.datasets.text_files import csv_rows
from dfbench.errors import DataError
from dfbench.untrusted import is_relative


@given(st.text(alphabet="ab./\\: C", max_size=12))
def test_a_path_that_is_inside_stays_inside(text):
    path = posix(text)
    if is_relative(path):
        root = Path("/data/tree")
        assert Path(os.path.normpath(root / path)).is_relative_to(root)
        assert posix(path) == path


@pytest.mark.parametrize(("value", "label"), [("REAL", 0), ("Fake", 1), (0, 0), (1, 1), ("1", 1), (1.0, 1), (False, 0)])
def test_labels(value, label):
    assert read_label(value, "here") == label


@pytest.mark.parametrize("value", [None, "", "2", -1, "perhaps", [], 0.5, float("nan"), "n/a"])
def test_what_is_no_label(value):
    with pytest.raises(DataError, match="here: not a label"):
        read_label(value, "here")


def test_a_byte_order_mark_and_quotes_are_no_obstacle(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_bytes('\ufefffilename,label\r\n"a, b.mp4",1\r\n\r\n'.encode())
    assert list(csv_rows(file, ["filename"])) == [(2, {"filename": "a, b.mp4", "label": "1"})]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        json_object(tmp_path)
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000, "utf-8")
    with pytest.raises(DataError, match=r"deep.json"):
        json_object(deep)
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(DataError, match="no column 'filename'"):
        list(csv_rows(empty, ["filename"]))


def test_names():
    assert (extension("a.b.MP4"), stem("a.b.MP4"), split_of("Validation")) == ("mp4", "a.b", "val")
    assert [may_be_media(n) for n in ("a.mp4", "a", "a.csv", ".a.mp4", "Thumbs.db")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_neighbour_that_may_not_be_read_does_no_harm(tmp_path, touch, monkeypatch):
    touch(tmp_path, ["closed/a", "open/real/a.mp4"])
    honest = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert get_adapter("folder").scan(tmp_path).root.name == "open"
    with pytest.raises(DataError, match=r"no permission to read the folder .*closed"):
        list(walk(tmp_path))
    with pytest.raises(DataError, match=r"no permission to read the folder .*closed"):
        find_tree(tmp_path, lambda folder: folder != tmp_path and next(walk(folder))[0] == "x", "x")


def test_several_trees_are_not_guessed_among(tmp_path, touch):
    touch(tmp_path, ["one/real/a.mp4", "two/real/a.mp4"])
    with pytest.raises(DataError, match="look like user-defined data set: one, two"):
        get_adapter("folder").scan(tmp_path)


@pytest.mark.parametrize("name", adapter_names())
def test_every_data_set_says_what_it_is(name):
    adapter = get_adapter(name)
    assert adapter.name == name
    assert all((adapter.title, adapter.licence, adapter.access, adapter.citation))
    if name != "mini":
        with pytest.raises(DataError):
            adapter.scan(Path(__file__).parent)


@pytest.mark.parametrize(
    "text", ['{"a": ' + "9" * 5000 + "}", '{"a": "\\ud800"}', '{"\\uDFFF": 1}', '{"a": ' * 100_000]
)
def test_label_files_that_no_parser_likes(tmp_path, text):
    file = tmp_path / "metadata.json"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match=r"metadata\.json"):
        json_object(file)
