"""A full disk, folders that cannot be written or read: a clear error, no partial files, and a rerun resumes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dfbench.cli.main import run_command
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.preparation.derived.merge import merge
from dfbench.preparation.execution.event_log import EventLog
from dfbench.preparation.execution.output_folder import check_folder
from dfbench.preparation.planning.job_array import PartInfo, write_part
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

OPTIONS = {"frames": 4, "sizes": [64], "quiet": True, "workers": 1}

# A small disk of its own for one command, in a mount namespace that ends with it.
SMALL_DISK = """
set -e
mount -t tmpfs -o size={size}k tmpfs "$1"
shift
status=0
"$@" || status=$?
ls -A "$DISK/m" | tr '\\n' ' '
exit $status
"""


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_is_really_full(tree, tmp_path, jobs):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("no small file system can be mounted here (needs unshare and the right to mount)")
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(disk / "m"), "--frames", "4", "--size", "64"]
    command = [sys.executable, "-m", "dfbench", *words, "--workers", str(jobs)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SMALL_DISK.format(size=200), "sh", str(disk), *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DISK": str(disk)},
    )
    assert done.returncode == 5, done.stderr
    assert "could not be written: " in done.stderr
    assert "No space left on device" in done.stderr
    assert "hint: free some space" in done.stderr
    assert "Traceback" not in done.stderr
    left = done.stdout.split()
    assert "manifest.json" in left
    assert not [name for name in left if name.startswith(".")]


@pytest.mark.parametrize(
    ("out", "said"), [("disk", "cannot be used for output"), ("disk/m", "cannot be used for output")]
)
def test_a_read_only_disk(tree, tmp_path, out, said):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("no small file system can be mounted here (needs unshare and the right to mount)")
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(tmp_path / out), "--frames", "4", "--size", "64"]
    mounted = 'mount -t tmpfs -o ro tmpfs "$1" && shift && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, "sh", str(disk), sys.executable, "-m", "dfbench", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert f"error: {tmp_path / out}" in done.stderr
    assert said in done.stderr
    assert "Read-only file system" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_out_below_a_file(tree, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is not a folder") as error:
        prepare("ff++", tree, tmp_path / "file" / "m", **OPTIONS)
    assert "choose another location" in error.value.hint


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no file system here refuses everybody")
def test_out_where_nothing_can_be_made(tree, capsys):
    words = ["prepare", "ff++", "--root", str(tree), "--out", "/proc/dfbench", "--frames", "4", "--size", "64"]
    assert run_command(words) == 5
    errors = capsys.readouterr().err
    assert "error: /proc/dfbench cannot be used for output" in errors
    assert "choose another location" in errors


needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)


@needs_permissions
def test_a_read_only_folder(tree, tmp_path):
    out = tmp_path / "m"
    out.mkdir(mode=0o555)
    with pytest.raises(SetupError, match="cannot be used for output"):
        prepare("ff++", tree, out, **OPTIONS)


def refusing(path: Path, call):
    """The call of the operating system, as it is for a user who may not look into this folder."""

    def scandir(folder="."):
        if Path(folder) == path:
            raise PermissionError(13, "Permission denied", str(folder))
        return call(folder)

    return scandir


def test_a_folder_of_the_data_set_that_may_not_be_read(tree, tmp_path, monkeypatch):
    closed = tree / "manipulated_sequences" / "FaceSwap" / "c23" / "videos"
    monkeypatch.setattr(os, "scandir", refusing(closed, os.scandir))
    with pytest.raises(DataError, match="no permission to read the folder") as error:
        prepare("ff++", tree, tmp_path / "m", **OPTIONS)
    assert str(closed) in error.value.message
    assert not (tmp_path / "m").exists()


def test_an_out_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SetupError, match="cannot be read: Permission denied"):
        check_folder(tmp_path, make_recipe(PreparationRequest("ff++")).to_json())


def test_descriptions_and_log_on_a_full_disk(tree, tmp_path, monkeypatch):
    made = prepare("ff++", tree, tmp_path / "m", array="1/1", **OPTIONS)
    info = PartInfo(number=1, of=1, plan="x", plan_shards=1, manifest=made.info)
    before = (made.path / "part-1-of-1.json").read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SetupError, match=r"part-1-of-1\.json could not be written: No space left"):
        write_part(made.path, info)
    with pytest.raises(SetupError, match=r"shard-00000\.parquet could not be written: No space left"):
        merge([made.path], tmp_path / "n", quiet=True)
    assert (made.path / "part-1-of-1.json").read_bytes() == before
    assert not [p for folder in (made.path, tmp_path / "n") for p in folder.iterdir() if p.name.startswith(".")]
    with pytest.raises(SetupError, match="could not be written"):
        EventLog(tmp_path / "nosuch" / "log.jsonl").write("start")
