"""Folders of staged files: those of processes that were killed are removed, those of running ones stay."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfbench.storage.staging import own_folder


def folder_of(process: int, home: Path) -> Path:
    host = "".join(c if c.isalnum() else "-" for c in platform.node())[:40]
    path = home / "work" / f"{host}.{process}.00112233"
    (path / "inner").mkdir(parents=True)
    return path


@pytest.mark.skipif(os.name == "nt", reason="process numbers are not tested on Windows")
def test_folders_of_processes_that_ended_are_removed(tmp_path: Path) -> None:
    running = folder_of(os.getpid(), tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = folder_of(ended.pid, tmp_path)
    own = own_folder(tmp_path)
    assert {path.name for path in (tmp_path / "work").iterdir()} == {running.name, own.name}
    assert not left.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc")
def test_a_killed_process_that_nobody_waited_for_does_not_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as killed:
        left = folder_of(killed.pid, tmp_path)
        own_folder(tmp_path)
        assert left.is_dir(), "it runs"
        killed.kill()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{killed.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        own_folder(tmp_path)
        assert not left.exists()
