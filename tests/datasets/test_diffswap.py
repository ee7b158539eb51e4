"""DiffSwap images: reals are never guessed; the CSV's columns are found by their header."""

from __future__ import annotations

import pytest

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

FAKES = ["DiffSwap/0_7.png", "DiffSwap/1_8.png", "DiffSwap/2_0.png"]


def scan(root):
    return get_adapter("diffswap").scan(root)


def test_fakes_alone_are_one_class_and_told(tmp_path, touch, cells):
    found = scan(touch(tmp_path, FAKES))
    assert cells(found) == {("test", 1, "DiffSwap"): 3}
    assert "the archive does not contain" in found.warnings[0]
    assert found.expected == {}
    assert sorted(m.path for m in found.media) == FAKES


@pytest.mark.parametrize(
    "text",
    [
        "target,source\n0.jpg,7.jpg\n1.jpg,8.jpg\n2.jpg,0.jpg\n",
        "image,source_id,target_id\n0_7.png,7,0\n1_8.png,8,1\n2_0.png,0,2\n",
        "Source,Filename,Target\nx\\7.png,DiffSwap\\0_7.png,x\\0.png\n8,1_8,1\n0,2_0,2\n",
    ],
)
def test_reals_and_origins_by_the_header(tmp_path, touch, cells, text):
    touch(tmp_path / "DiffusionFace", [*FAKES, "Real/0.jpg", "Real/1.jpg"])
    (tmp_path / "DiffusionFace/DiffSwap/target_source.csv").write_text(text, "utf-8")
    found = scan(tmp_path)
    assert cells(found) == {("test", 1, "DiffSwap"): 3, ("test", 0, "real"): 2}
    assert found.warnings == ()
    by_name = {m.name: m for m in found.media}
    assert (by_name["0"].label, by_name["0_7"].label) == (0, 1)
    assert (by_name["0_7"].identity_target, by_name["0_7"].identity_source) == ("0", "7")
    assert by_name["0_7"].base_media_id == by_name["0"].media_id
    assert by_name["0_7"].scene_group == by_name["0"].scene_group != by_name["1_8"].scene_group
    assert by_name["2_0"].base_media_id is None
    assert {m.kind for m in found.media} == {"image"}


def test_a_header_that_says_nothing_and_rows_without_images(tmp_path, touch):
    touch(tmp_path, [*FAKES, "real/0.jpg", "DiffSwap/readme.txt"])
    file = tmp_path / "DiffSwap/target_source.csv"
    file.write_text("a,b\n0,7\n", "utf-8")
    assert "its header has no columns for target and source: a, b" in scan(tmp_path).warnings[0]
    file.write_text("target,source\n0,7\n5,6\n", "utf-8")
    found = scan(tmp_path)
    assert found.warnings == ("the images of 1 rows of target_source.csv were not found",)
    assert found.excluded == {"not the name of an image": ("DiffSwap/readme.txt",)}


def test_contradictions_and_nothing_there(tmp_path, touch):
    touch(tmp_path, FAKES)
    file = tmp_path / "target_source.csv"
    file.write_text("image,target,source\n0_7,0,7\n0_7,0,8\n", "utf-8")
    with pytest.raises(DataError, match=r"target_source.csv, line 3: 0_7 has other faces in an earlier line"):
        scan(tmp_path)
    file.write_text("image,target,source\n0_7,0\n", "utf-8")
    with pytest.raises(DataError, match="line 2: 2 values"):
        scan(tmp_path)
    with pytest.raises(DataError, match="no DiffSwap images"):
        scan(touch(tmp_path / "empty", ["x/1.png"]) / "x")
