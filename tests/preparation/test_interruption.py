"""Kills, interrupts, dead workers and full disks: the next run goes on and ends with the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfbench.errors import DataError
from dfbench.manifest.manifest import open_manifest
from dfbench.preparation.execution.engine import worker_count
from dfbench.preparation.execution.shard_progress import (
    PROGRESS,
    ProgressReader,
    ShardProgress,
    current_clip,
    has_begun,
    watched,
)
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

# The slower face detector and large crops leave time to interrupt.
OPTIONS = {"frames": 12, "sizes": [64, 384], "face_detector": "centerface-full", "quiet": True}


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


def command(tree: Path, out: Path, jobs: int) -> list[str]:
    """What :data:`OPTIONS` are when typed."""
    words = [
        "prepare",
        "ff++",
        "--root",
        str(tree),
        "--out",
        str(out),
        "--frames",
        "12",
        "--size",
        "64",
        "--size",
        "384",
    ]
    return [*words, "--face-detector", "centerface-full", "--workers", str(jobs)]


def start(tree: Path, out: Path, jobs: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dfbench", *command(tree, out, jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so do its children: these tests must not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_work(out: Path, process: subprocess.Popen[str], clips: int) -> None:
    end = time.monotonic() + 60
    while ProgressReader(out / PROGRESS).read()[0] < clips and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()


def group_ends(group: int) -> bool:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """The undisturbed run."""
    return prepare("ff++", tree, tmp_path_factory.mktemp("whole") / "m", workers=1, **OPTIONS)


@pytest.mark.parametrize(("jobs", "seed"), [(1, 1), (2, 2)])
def test_sigkill_at_a_random_moment_then_resume(tree, whole, tmp_path, jobs, seed):
    out = tmp_path / "m"
    rng = random.Random(seed)
    process = start(tree, out, jobs)
    wait_for_work(out, process, rng.randint(1, 12))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(DataError, match="not finished") as error:
        open_manifest(out)
    assert "dfbench prepare ff++" in error.value.hint
    resumed = prepare("ff++", tree, out, workers=3 - jobs, **OPTIONS)
    assert shard_bytes(out) == shard_bytes(whole.path)
    assert resumed.info.hash == whole.info.hash
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_five_sigkills_at_random_moments_then_resume(tree, whole, tmp_path):
    out = tmp_path / "m"
    rng = random.Random(5)
    for _ in range(5):
        process = start(tree, out, 2)
        # Anywhere from the first clip on, whatever the start of Python takes here.
        while not list(out.glob(".tmp-progress/*")) and process.poll() is None:
            time.sleep(0.01)
        moment = time.monotonic() + rng.uniform(0.0, 2.0)
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert set(shard_bytes(out) if out.is_dir() else ()) <= set(shard_bytes(whole.path))
    resumed = prepare("ff++", tree, out, workers=2, **OPTIONS)
    assert shard_bytes(out) == shard_bytes(whole.path)
    assert resumed.info == whole.info
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_a_worker_outlives_its_command_by_no_more_than_a_clip(tree, tmp_path):
    out = tmp_path / "m"
    process = start(tree, out, 2)
    wait_for_work(out, process, 2)
    os.kill(process.pid, signal.SIGKILL)  # the command alone, not its group
    process.wait()
    assert group_ends(process.pid)


def test_ctrl_c_ends_the_workers_and_leaves_no_litter(tree, tmp_path):
    out = tmp_path / "m"
    process = start(tree, out, 2)
    wait_for_work(out, process, 1)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert group_ends(process.pid)
    assert not list(out.glob(".*"))
    assert prepare("ff++", tree, out, workers=1, **OPTIONS).verify() == []


def test_full_disk(tree, tmp_path):
    resource = pytest.importorskip("resource")
    out = tmp_path / "m"
    # A limit on the size of files stands in for a full disk: the write fails half-way.
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "from dfbench.cli.main import run_command; sys.exit(run_command(sys.argv[1:]))"
    )
    assert resource.RLIM_INFINITY is not None
    done = subprocess.run(
        [sys.executable, "-c", program, *command(tree, out, 1)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "could not be written" in done.stderr
    assert "hint: free some space" in done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "media-state.parquet", "prepare-log.jsonl"]
    assert prepare("ff++", tree, out, workers=1, **OPTIONS).info.complete


def test_journals_feed_the_bar(tmp_path):
    calls = []
    folder = tmp_path / PROGRESS
    assert not has_begun(folder / "a", 0)
    assert current_clip(folder / "a") is None
    with watched(folder, lambda steps=1, note="": calls.append((steps, note)), interval=0.02):
        one, two = ShardProgress(folder / "a", 0), ShardProgress(folder / "b", 1)
        assert has_begun(folder / "a", 0)
        assert not has_begun(folder / "a", 1)
        one.clip_begun("ff++/c23/real/\n000")
        one.beat()
        assert current_clip(folder / "a") == "ff++/c23/real/\n000"
        assert current_clip(folder / "b") is None
        one.clip_done(3)
        assert current_clip(folder / "a") is None
        one.clip_done(0)
        time.sleep(0.1)
        two.clip_done(4)
    assert sum(steps for steps, _ in calls) == 3
    assert calls[-1][1] == "7 faces"
    assert ProgressReader(folder).read() == (3, 7)


def test_a_shard_that_is_begun_again_counts_once_and_nothing_is_read_twice(tmp_path):
    folder = tmp_path / PROGRESS
    reader = ProgressReader(folder)
    assert reader.read() == (0, 0)
    first = ShardProgress(folder / "a", 7)
    for _ in range(5):
        first.clip_done(1)
    assert reader.read() == (5, 5)
    (folder / "a").write_bytes((folder / "a").read_bytes() + b"D 1")  # cut off by a crash
    again = ShardProgress(folder / "a", 7)
    again.clip_done(2)
    assert reader.read() == (1, 2)
    other = ShardProgress(folder / "b", 7)  # by another worker, alone
    for _ in range(3):
        other.clip_done(1)
    assert reader.read() == (3, 3)
    for name in ("a", "b"):
        (folder / name).write_bytes(b"")  # a reader that starts over would find nothing
    assert reader.read() == (3, 3)


def test_a_look_at_the_progress_opens_a_file_a_worker_however_many_shards_are_made(tmp_path, monkeypatch):
    folder = tmp_path / PROGRESS
    workers = [ShardProgress(folder / name, 0) for name in "ab"]
    for number in range(1, 2000):
        worker = ShardProgress(folder / "ab"[number % 2], number)
        worker.clip_done(1)
        worker.close()
    opened, taken = [], []
    honest = Path.open

    def counting(path, *arguments, **options):
        opened.append(path.name)
        stream = honest(path, *arguments, **options)
        read = stream.read

        class Counting:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                stream.close()

            def seek(self, place):
                return stream.seek(place)

            def read(self):
                data = read()
                taken.append(len(data))
                return data

        return Counting()

    reader = ProgressReader(folder)
    monkeypatch.setattr(Path, "open", counting)
    assert reader.read() == (1999, 1999)
    opened.clear()
    taken.clear()
    workers[1].clip_done(3)
    assert reader.read() == (2000, 2002)
    assert sorted(opened) == ["a", "b"]
    assert sum(taken) < 20


def test_worker_count():
    assert worker_count(None) >= 1
    assert worker_count(3) == 3
    with pytest.raises(Exception, match="--workers"):
        worker_count(0)
