"""One process at a time holds a lock; a killed one leaves none, and a link is not followed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dfbench.errors import SetupError
from dfbench.locks import lock

HERE = Path(__file__).resolve().parents[2]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


HOLD = """
import sys
from dfbench.locks import lock
with lock(sys.argv[1], shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Holder:
    """Another process that holds the lock until told to end."""

    def __init__(self, path: Path, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), kind],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0


def test_a_second_holder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    holder = Holder(path, "exclusive")
    with pytest.raises(SetupError) as caught, lock(path, busy="prepare is at work", hint="wait"):
        pass
    assert caught.value.message == f"prepare is at work (process {holder.process.pid})"
    assert caught.value.hint == "wait"
    with pytest.raises(SetupError), lock(path, shared=True):
        pass
    holder.end()
    assert names(path.parent) == []
    with lock(path):
        assert path.read_text("ascii") == str(os.getpid())
    assert names(path.parent) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    holder = Holder(tmp_path / ".lock", "exclusive")
    holder.process.kill()
    holder.process.communicate(timeout=60)
    assert (tmp_path / ".lock").exists()
    with lock(tmp_path / ".lock"):
        pass
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="shared locks need pywin32 there")
def test_shared_holders_coexist_and_keep_an_exclusive_one_out(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = Holder(path, "shared")
    with lock(path, shared=True):
        pass
    assert path.exists()
    with pytest.raises(SetupError), lock(path):
        pass
    holder.end()
    assert names(tmp_path) == []


def test_waiting_for_a_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = Holder(path, "exclusive")
    threading.Timer(0.3, holder.end).start()
    started = time.monotonic()
    with lock(path, wait_s=30):
        assert 0.2 < time.monotonic() - started < 25


def test_the_body_of_a_lock_keeps_its_own_errors(tmp_path: Path) -> None:
    def fail() -> None:
        with lock(tmp_path / ".lock"):
            raise FileNotFoundError("of the body")

    with pytest.raises(FileNotFoundError, match="of the body"):
        fail()
    assert names(tmp_path) == []


def test_a_lock_below_a_file_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(SetupError), lock(tmp_path / "file" / ".lock"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("content", "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(SetupError), lock(tmp_path / "folder" / ".lock"):
        pass
    assert (tmp_path / "victim").read_text("utf-8") == "content"


def test_a_file_system_without_locks_is_no_obstacle_but_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import portalocker

    def refuse(*_: Any) -> None:
        raise portalocker.exceptions.LockException(OSError(errno.ENOLCK, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", refuse)
    with lock(tmp_path / ".lock"):
        assert (tmp_path / ".lock").exists()
    with lock(tmp_path / ".lock"):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"the file system of {tmp_path} has no locks: make sure that no other run writes there"
    ]
