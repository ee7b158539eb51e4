"""Files appear whole or not at all, output locations are checked before the work, hashes keep their values."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench import io
from dfbench.errors import DataError, DfbenchError, SetupError, UsageError

HERE = Path(__file__).resolve().parents[2]


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=HERE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- writing


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.parquet"
    with io.atomic_path(file) as temporary:
        assert temporary.parent == file.parent
        assert temporary.suffix != ".parquet"
        assert io.is_temporary(temporary)
        temporary.write_bytes(b"one")
        assert not file.exists()
    io.write_bytes(file, b"two")
    assert file.read_bytes() == b"two"
    assert names(file.parent) == ["a.parquet"]


def test_the_writers_write_what_they_are_given(tmp_path: Path) -> None:
    io.write_text(tmp_path / "a.txt", "é\n")
    io.write_json(tmp_path / "a.json", {"b": 1, "a": "é"}, sync=False)
    table = pa.table({"x": [1, 2]})
    io.write_table(tmp_path / "a.parquet", table)
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    assert (tmp_path / "a.json").read_bytes() == '{\n  "b": 1,\n  "a": "é"\n}\n'.encode()
    pq.write_table(table, tmp_path / "expected", compression="zstd")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "expected").read_bytes()


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), DataError("no")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException) -> None:
    file = tmp_path / "a.json"
    io.write_text(file, "old")

    def fail() -> None:
        with io.atomic_path(file) as temporary:
            temporary.write_text("half", "utf-8")
            raise failure

    with pytest.raises(type(failure)):
        fail()
    assert file.read_text("utf-8") == "old"
    assert names(tmp_path) == ["a.json"]


def test_names_of_the_greatest_length_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 250)
    io.write_text(file, "x")
    assert file.read_text("utf-8") == "x"


def test_two_threads_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    texts = [str(n) * 50_000 for n in range(4)]
    threads = [threading.Thread(target=lambda t=text: [io.write_text(file, t) for _ in range(5)]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text("utf-8") in texts
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    io.write_text(file, "old")
    code = """
import os, signal, sys
from dfbench import io
with io.atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = python(code, file)
    assert killed.wait(60) == -signal.SIGKILL
    assert file.read_text("utf-8") == "old"
    (left,) = [p for p in tmp_path.iterdir() if p != file]
    assert io.is_temporary(left)
    assert left.read_text("utf-8") == "half"
    io.remove_temporaries(tmp_path)
    assert names(tmp_path) == ["a.parquet"]


# --- errors of the operating system


def test_a_full_disk_is_a_setup_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    io.write_text(file, "old")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SetupError, match="No space left on device") as caught:
        io.write_text(file, "new")
    assert str(file) in caught.value.message
    assert "free some space" in caught.value.hint
    assert file.read_text("utf-8") == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full() -> None:
    def write() -> None:
        with io.translate_os_errors("/dev/full"), open("/dev/full", "wb") as stream:
            stream.write(b"x" * 100_000)

    with pytest.raises(SetupError, match="/dev/full could not be written: No space left"):
        write()


def test_a_full_disk_at_the_flush_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io.write_text(tmp_path / "a", "old")

    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SetupError, match="Disk quota exceeded"):
        io.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text("utf-8") == "old"
    assert names(tmp_path) == ["a"]


def test_an_error_about_another_file_names_both(tmp_path: Path) -> None:
    def write() -> None:
        with io.atomic_path(tmp_path / "a"):
            Path("/nowhere/input").read_bytes()

    with pytest.raises(SetupError, match=r"a could not be written: No such file or directory: .nowhere.input"):
        write()


# --- output locations


def check(kind: str, path: Path) -> Path:
    return io.check_output_file(path) if kind == "file" else io.check_output_folder(path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_new_location_is_accepted_and_not_created(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "new" / "deep" / "x"
    assert check(kind, path) == path
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("below", ["x", "deep/x"])
def test_a_path_below_a_file_is_refused(tmp_path: Path, kind: str, below: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UsageError, match=r"is (a file, )?not a folder"):
        check(kind, tmp_path / "file" / below)


def test_file_and_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert io.check_output_file(tmp_path / "file") == tmp_path / "file"
    with pytest.raises(UsageError, match="is a file, not a folder"):
        io.check_output_folder(tmp_path / "file")
    with pytest.raises(UsageError, match="is a folder"):
        io.check_output_file(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_location_that_refuses_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: int
) -> None:
    def refuse(*arguments: Any, **keywords: Any) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path / "trial"))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(SetupError, match=os.strerror(code)) as caught:
        check(kind, tmp_path / "new" / "x")
    assert str(tmp_path) in caught.value.hint


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_permissions_are_respected(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SetupError):
        io.check_output_folder(tmp_path / "x")


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", ["a\0b", "n" * 400])
def test_impossible_names_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(DfbenchError):
        check(kind, tmp_path / name)


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("where", ["new/{}", "{}/new"])
def test_impossible_names_below_missing_folders_are_refused(tmp_path: Path, kind: str, where: str) -> None:
    """The system looks at no name below a folder that does not exist."""
    with pytest.raises(DfbenchError, match="File name too long"):
        check(kind, tmp_path / "missing" / where.format("n" * 256))
    assert check(kind, tmp_path / "missing" / where.format("n" * 255))


@pytest.mark.parametrize("name", ["n" * 255, "名" * 85, "😀" * 63, os.fsdecode(b"\xc4" * 255)])
def test_names_as_long_as_the_system_allows_are_written(tmp_path: Path, name: str) -> None:
    path = io.check_output_file(tmp_path / name)
    io.write_text(path, "x")
    assert names(tmp_path) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UsageError, match="device, pipe or socket"):
            io.check_output_file(path)


def test_halves_of_surrogate_pairs_do_not_lose_a_file(tmp_path: Path) -> None:
    io.write_json(tmp_path / "x.json", {"file": os.fsdecode(b"\xc4.mp4")})
    assert json.loads((tmp_path / "x.json").read_bytes()) == {"file": os.fsdecode(b"\xc4.mp4")}


def test_a_broken_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError):
        io.check_output_folder(tmp_path / "link")
    with pytest.raises(UsageError):
        io.check_output_file(tmp_path / "link" / "x")


def test_a_relative_location_is_checked_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert io.check_output_folder("new") == Path("new")
    assert io.check_output_file("new.txt") == Path("new.txt")
    assert names(tmp_path) == []


# --- hashes


def test_hashes_are_those_of_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some bytes")
    assert io.file_sha256(tmp_path / "a") == hashlib.sha256(b"some bytes").hexdigest() == io.data_sha256("some bytes")
    with pytest.raises(DataError, match="cannot be read"):
        io.file_sha256(tmp_path / "b")


def test_canonical_hashes_keep_the_values_of_earlier_versions() -> None:
    """The left sides are how recipes and protocols, and how runs, trainings and the mini set were hashed in 0.1.0."""
    value = {"b": [1, 2.5, None, True], "a": {"z": "é", "y": []}}
    compact = json.dumps(value, sort_keys=True, separators=(",", ":"))
    spaced = json.dumps(value, sort_keys=True)
    assert compact != spaced
    assert hashlib.sha256(compact.encode()).hexdigest() == io.canonical_hash(value)
    assert hashlib.sha256(spaced.encode()).hexdigest() == io.canonical_hash(value, compact=False)
    assert io.canonical_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_folder_whose_name_begins_like_that_of_a_home_is_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = io.check_output_folder(Path("~nobody of this name"), "--out DIR")
    io.write_text(folder / "a.txt", "a")
    assert (tmp_path / "~nobody of this name" / "a.txt").read_text("utf-8") == "a"
