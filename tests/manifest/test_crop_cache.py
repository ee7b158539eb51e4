"""The cache of crops: one entry per manifest, condition and size, which grows by what is missing."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dfbench.cli.main import run_command
from dfbench.errors import SetupError
from dfbench.manifest import crop_cache
from dfbench.manifest.crop_cache import EntryInfo, Rows, cache_entries, cached, crops_home, remove_entry
from dfbench.manifest.manifest import Manifest

INFO = EntryInfo("/data/m", "hash", "JP60@source", 64, "png", "1")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_cache, "cache_home", lambda: tmp_path / "cache")
    monkeypatch.setattr("dfbench.config.cache_home", lambda: tmp_path / "cache")


class Maker:
    """Makes crops that tell their row, and counts them; fails after a number of them."""

    def __init__(self, rows: Rows, fail_after: int = 1 << 30, pause: float = 0.0) -> None:
        self.rows, self.fail_after, self.pause = rows, fail_after, pause
        self.made: list[int] = []

    def __call__(self, missing: Rows) -> Iterator[bytes]:
        for row in self.rows[missing].tolist():
            if len(self.made) == self.fail_after:
                raise KeyboardInterrupt
            time.sleep(self.pause)
            self.made.append(row)
            yield b"crop %d" % row


def fetch(rows: list[int], info: EntryInfo = INFO, **options: float) -> tuple[list[bytes], list[int]]:
    wanted = np.array(rows, np.int64)
    make = Maker(wanted, **options)  # type: ignore[arg-type]
    crops = cached(info, wanted, make)
    return [crops[i] for i in range(len(crops))], make.made


def test_an_entry_grows_by_what_is_missing() -> None:
    crops, made = fetch([3, 5, 9])
    assert (crops, made) == ([b"crop 3", b"crop 5", b"crop 9"], [3, 5, 9])
    crops, made = fetch([1, 5, 9, 20])
    assert (crops, made) == ([b"crop 1", b"crop 5", b"crop 9", b"crop 20"], [1, 20])
    assert fetch([9, 1])[1] == []
    assert fetch([9], replace(INFO, manifest="/elsewhere"))[1] == [], "the same manifest in another folder"
    for change in ({"condition": "JP50@source"}, {"size": 128}, {"hash": "other"}, {"versions": "2"}):
        assert fetch([9], replace(INFO, **change))[1] == [9]
    assert [entry.crops for entry in cache_entries() if entry.key == INFO.key] == [5]


def test_an_interrupted_entry_keeps_its_finished_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_cache, "PART", 4)
    with pytest.raises(KeyboardInterrupt):
        fetch(list(range(10)), fail_after=6)
    crops, made = fetch(list(range(10)))
    assert made == list(range(4, 10))
    assert crops == [b"crop %d" % row for row in range(10)]
    names = sorted(path.name for path in (crops_home() / INFO.key).iterdir())
    assert names == ["entry.json", *(f"part-0000{n}.{kind}" for n in range(3) for kind in ("bin", "npy"))]


def test_processes_that_want_the_same_make_it_once() -> None:
    results: list[tuple[list[bytes], list[int]]] = []
    threads = [threading.Thread(target=lambda: results.append(fetch([1, 2, 3], pause=0.05))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(made) for _, made in results) == [0, 0, 3]
    assert all(crops == [b"crop 1", b"crop 2", b"crop 3"] for crops, _ in results)


def test_too_little_space_is_reported_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    assert fetch([1, 2])[1] == [1, 2], "2 crops of 7,400 bytes"
    with pytest.raises(SetupError, match=r"0\.0 GB free; 3 crops under JP60@source at 64 pixels"):
        fetch([1, 2, 3, 4, 5])
    assert [entry.crops for entry in cache_entries()] == [2]


def test_decoded_crops_are_stored_once(
    manifest: Manifest, image_of: Callable[[str, int], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    samples = manifest.samples("mini", "val").ok()
    data = manifest.torch_dataset(samples, 64, decoded=True)
    plain = manifest.torch_dataset(samples, 64)
    assert len(cache_entries()) == 1
    assert all(torch.equal(data[i][0], plain[i][0]) and data[i][1] == plain[i][1] for i in range(len(data)))

    def no_more(data: bytes, size: int) -> None:
        raise AssertionError("decoded again although it is stored")

    monkeypatch.setattr("dfbench.manifest.torch_dataset.decode_crop", no_more)
    again = manifest.torch_dataset(samples.take(np.arange(5)), 64, decoded=True)
    ids = samples.table["sample_id"].to_pylist()
    assert np.array_equal(again[4][0].permute(1, 2, 0).numpy(), image_of(ids[4], 64))
    assert [(e.crops, e.info.storage if e.info else "") for e in cache_entries()] == [(len(data), "raw")]


def test_the_command_lists_measures_and_clears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        assert run_command(["cache", *words]) == 0
        return capsys.readouterr().out

    assert run("list") == "no crops are cached\n"
    fetch([1, 2, 3])
    other = replace(INFO, condition="blur@clip")
    fetch([1], other)
    (tmp_path / "cache" / "face-detectors").mkdir()
    (tmp_path / "cache" / "face-detectors" / "x.onnx").write_bytes(b"0" * 2000)
    (crops_home() / "old.bin").write_bytes(b"0" * 500)
    listed = run("list")
    assert INFO.key in listed
    assert "JP60@source" in listed
    assert "/data/m" in listed
    assert "other: face-detectors, 2.0 kB" in listed
    assert run("size").splitlines()[1:] == ["other: 2.5 kB", str(tmp_path / "cache")]
    assert run("clear", "--unused-days", "1").startswith("0 entries deleted")
    assert run("clear", other.key).startswith("1 entries deleted")
    assert [entry.key for entry in cache_entries()] == [INFO.key]
    assert run("clear").startswith("1 entries deleted")
    assert (tmp_path / "cache" / "face-detectors" / "x.onnx").exists()
    assert run("clear", "--all") == "0 entries deleted, 2.5 kB freed\n"
    assert not list((tmp_path / "cache").rglob("*.*"))
    assert run_command(["cache", "clear", "nosuch"]) == 2
    assert run_command(["cache", "clear", "--all", "--unused-days", "1"]) == 2


def test_an_entry_that_is_being_made_is_not_deleted() -> None:
    fetch([1])
    (entry,) = cache_entries()
    with crop_cache.lock(crops_home() / f"{entry.key}.lock"), pytest.raises(SetupError, match="another process adds"):
        remove_entry(entry)
    remove_entry(entry)
    assert cache_entries() == []
