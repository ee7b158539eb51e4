"""Paths that are URLs, and staging: what works as on disk, what is refused, what is removed."""

from __future__ import annotations

import os
import pickle
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.io import file_sha256, write_json, write_text
from dfbench.locks import lock
from dfbench.storage import StagedFiles, StoredPath, StoredTree, as_path
from dfbench.untrusted import read_json

pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DFBENCH_STAGING", str(tmp_path / "staging"))
    return as_path(f"memory://{secrets.token_hex(4)}/sets")


def test_files_are_written_read_renamed_and_deleted(folder: Path, tmp_path: Path) -> None:
    assert not folder.exists()
    write_json(folder / "a" / "one.json", {"x": 1})
    write_text(folder / "two.txt", "zwei")
    assert [path.name for path in folder.iterdir()] == ["a", "two.txt"]
    assert (folder / "a").is_dir()
    assert read_json(folder / "a" / "one.json") == {"x": 1}
    write_text(tmp_path / "two.txt", "zwei")
    assert file_sha256(folder / "two.txt") == file_sha256(tmp_path / "two.txt")
    (folder / "two.txt").replace(folder / "three.txt")
    assert (folder / "three.txt").read_text() == "zwei"
    (folder / "three.txt").unlink()
    (folder / "three.txt").unlink(missing_ok=True)
    assert [path.name for path in folder.glob("*.txt")] == []
    assert pickle.loads(pickle.dumps(folder)) == folder
    assert str(folder.parent / "x").startswith("memory://")
    assert not list((tmp_path / "staging" / "uploads").iterdir())


@pytest.mark.parametrize("use", [os.listdir, open, Path.touch, Path.rmdir, os.fspath])
def test_what_needs_a_local_path_says_so(folder: Path, use: Callable[[Path], object]) -> None:
    with pytest.raises(UsageError, match="a local path is needed"):
        use(folder)


def test_locks_of_a_url_hold_on_this_machine(folder: Path) -> None:
    with lock(folder / ".lock"), pytest.raises(SetupError, match="busy"), lock(folder / ".lock", busy="busy"):
        pass
    assert not folder.exists()


@pytest.mark.parametrize("text", ["a:b/c", "s3:/b/c", "C:/data", "folder:phones", "./s3://b"])
def test_a_path_with_a_colon_is_local(text: str) -> None:
    assert not isinstance(as_path(text), StoredPath)


def test_a_tree_has_names_and_sizes_and_media_are_staged(folder: Path, tmp_path: Path) -> None:
    files = {f"videos/{n}.mp4": bytes([n]) * (100 + n) for n in range(6)} | {"labels.csv": b"path,label\n"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert isinstance(folder, StoredPath)
    tree = StoredTree(folder, lambda name: name.endswith(".csv"))
    assert (tree.folder / "labels.csv").read_bytes() == files["labels.csv"]
    assert {p.name: p.stat().st_size for p in (tree.folder / "videos").iterdir()} == {
        f"{n}.mp4": 100 + n for n in range(6)
    }
    groups = [[f"{n}.mp4", f"{n + 1}.mp4"] for n in (0, 2, 4)]
    part = tree.part(tree.folder / "videos", {name: [name] for group in groups for name in group})
    home = tmp_path / "staging"
    with StagedFiles(part, home, limit=150) as staged:
        for number in staged.each(groups):
            for name in groups[number]:
                assert (staged.root / name).read_bytes() == files[f"videos/{name}"]
        held = [p.stat().st_size for p in (home / "objects").iterdir()]
        assert sum(held) <= 150
        (folder / "videos" / "0.mp4").unlink()  # gone since it was listed: left out, as on a disk
        staged.fetch(["0.mp4", "5.mp4"])
        assert [p.name for p in staged.root.iterdir()] == ["5.mp4"]
    assert not staged.root.exists()
    place = tree.folder
    del tree
    assert not place.exists()
    with pytest.raises(DataError, match="there is nothing at memory://"):
        StoredTree(folder / "nothing", lambda _: False)


def test_fsspec_is_not_imported_before_a_url_is_used() -> None:
    code = "import sys, dfbench.cli.main, dfbench.io, dfbench.storage; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
