"""An archive is inflated once to be listed, and again only after it has changed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dfbench.datasets import archive_cache
from dfbench.datasets.archive_cache import list_archive_once
from dfbench.datasets.archives import list_archive


def written(path: Path, folders: dict[str, int]) -> Path:
    with tarfile.open(path, "w") as out:
        for folder, number in folders.items():
            for n in range(number):
                info = tarfile.TarInfo(f"{folder}/{n}.png")
                info.size = 3
                out.addfile(info, io.BytesIO(b"png"))
        link = tarfile.TarInfo("a/link.png")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        out.addfile(link)
        out.addfile(tarfile.TarInfo("list.txt"))
    return path


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The archives that were inflated."""
    found: list[Path] = []
    monkeypatch.setattr(archive_cache, "list_archive", lambda path: found.append(path) or list_archive(path))
    monkeypatch.setattr(archive_cache, "YOUNGEST", -1.0)
    return found


def test_an_unchanged_archive_is_listed_once(tmp_path: Path, listed: list[Path]) -> None:
    archive = written(tmp_path / "a.tar", {"a": 2, "b/c": 1})
    first = list_archive_once(archive, tmp_path / "cache")
    assert first == list_archive(archive)
    assert first.sequences == {"a": 2, "b/c": 1}
    assert first.unsafe == ("a/link.png (a link)",)
    assert list_archive_once(archive, tmp_path / "cache") == first
    assert listed == [archive]


def test_a_changed_archive_is_listed_again(tmp_path: Path, listed: list[Path]) -> None:
    archive = written(tmp_path / "a.tar", {"a": 2})
    list_archive_once(archive, tmp_path / "cache")
    size, time = archive.stat().st_size, archive.stat().st_mtime_ns
    other = written(tmp_path / "b.tar", {"b": 2})
    assert other.stat().st_size == size  # same length, same time of modification
    os.utime(other, ns=(time, time))
    other.replace(archive)
    assert list_archive_once(archive, tmp_path / "cache").sequences == {"b": 2}
    assert listed == [archive, archive]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 1}', b"[" * 100_000])
def test_a_damaged_cache_is_ignored(tmp_path: Path, listed: list[Path], damage: bytes) -> None:
    archive = written(tmp_path / "a.tar", {"a": 2})
    list_archive_once(archive, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(damage)
    assert list_archive_once(archive, tmp_path / "cache").sequences == {"a": 2}
    assert listed == [archive, archive]


def test_nothing_is_kept_of_an_archive_that_may_still_change(
    tmp_path: Path, listed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_cache, "YOUNGEST", 3600.0)
    archive = written(tmp_path / "a.tar", {"a": 2})
    for _ in range(2):
        list_archive_once(archive, tmp_path / "cache")
    assert listed == [archive, archive]
    assert list_archive_once(tmp_path / "missing.tar", tmp_path / "cache").damage
