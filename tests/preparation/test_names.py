"""Names that are no text: what becomes of them in rows, in manifest.json and on a terminal."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from dfbench import prepare
from dfbench.errors import UsageError
from dfbench.manifest.manifest import open_manifest
from dfbench.media.images import encode_png

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")

NAMES = [b"0.png", b"1\xff.png", b"2\x1b[31m.png", "3é.png".encode()]
BROKEN = {b"4\xc4\xe3.png": b"\x89PNG\r\n\x1a\n broken", b"5\x1b[2J\n.png": b"no image"}


def path_of(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.path.join(os.fsencode(folder), name)))


def crops(root: Path, part: str = "real_test/1/real/5") -> Path:
    noise = np.random.default_rng(0)
    place = root / part
    place.mkdir(parents=True)
    for name in NAMES:
        path_of(place, name).write_bytes(encode_png(noise.integers(0, 256, (32, 32, 3), np.uint8)))
    for name, data in BROKEN.items():
        path_of(place, name).write_bytes(data)
    return root


def test_names_of_frames_and_of_the_root_may_hold_any_bytes(tmp_path: Path) -> None:
    root = crops(path_of(tmp_path, b"\xc4\xe3\xba\xc3"))
    manifest = prepare("wilddeepfake", root, tmp_path / "m", frames=8, sizes=[32], workers=1, quiet=True)
    rows = manifest.table().to_pandas()
    assert sorted(rows["status"]) == ["decode_error"] * 2 + ["ok"] * 4
    reasons = sorted(rows["reason"])[4:]
    assert [reason.partition(": ")[0] for reason in reasons] == ["4\\xc4\\xe3.png", "5\\x1b[2J\\n.png"]
    assert open_manifest(tmp_path / "m").verify() == []
    text = (tmp_path / "m" / "manifest.json").read_text("utf-8")
    assert "\\udc" not in text.casefold()
    assert os.fsencode(root).decode("utf-8", "surrogateescape") not in text


def test_media_whose_names_are_no_text_are_counted_and_named(tmp_path: Path) -> None:
    root = crops(tmp_path / "data")
    for name in (b"\xba\xc3", b"a\xffb"):
        crops(path_of(root, b"fake_test/1/fake/" + name), ".")
    manifest = prepare("wilddeepfake", root, tmp_path / "m", frames=1, sizes=[32], workers=1, quiet=True)
    assert len(manifest.table()) == 1
    (left_out,) = json.loads((tmp_path / "m" / "manifest.json").read_text("utf-8"))["left_out"].items()
    assert "not UTF-8" in left_out[0]
    assert sorted(left_out[1]) == ["fake_test/1/fake/\\xba\\xc3", "fake_test/1/fake/a\\xffb"]
    assert any("UTF-8" in warning for warning in manifest.info.warnings)


def test_the_normal_form_of_the_disk_is_that_of_paths_and_not_of_ids(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "jürgen")
    root = crops(tmp_path / apart, f"real_test/1/real/{apart}")
    manifest = prepare("wilddeepfake", root, tmp_path / apart / "m", frames=1, sizes=[32], workers=1, quiet=True)
    (row,) = manifest.table().to_pylist()
    assert row["status"] == "ok"
    assert row["media_id"] == unicodedata.normalize("NFC", row["media_id"])
    assert row["media_path"].endswith(apart)
    assert (root / row["media_path"]).is_dir()


def test_an_output_folder_whose_name_is_no_text_is_refused_before_the_work(tmp_path: Path) -> None:
    root = crops(tmp_path / "data")
    out = path_of(tmp_path, b"\xe9out")
    with pytest.raises(UsageError, match="UTF-8"):
        prepare("wilddeepfake", root, out, frames=1, sizes=[32], workers=1, quiet=True)
    assert not out.exists()
