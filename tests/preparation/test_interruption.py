"""Kills, interrupts, dead workers and full disks: the next run goes on and ends with the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dfbench.errors import DataError, SetupError
from dfbench.manifest.manifest import open_manifest
from dfbench.manifest.shards import Stamp
from dfbench.preparation.engine import job_count, run_tasks
from dfbench.preparation.plan import Shard
from dfbench.preparation.prepare import prepare
from dfbench.preparation.resolve import Request, resolve
from dfbench.preparation.tally import Tally, read_tallies, tally_path, watched
from dfbench.preparation.worker import ShardTask
from dfbench.schema.manifest import ShardInfo
from dfbench.schema.media import Media

OPTIONS = {"frames": 5, "sizes": [64], "quiet": True}


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


def start(tree: Path, out: Path, jobs: int) -> subprocess.Popen[str]:
    command = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "5", "--size", "64"]
    return subprocess.Popen(
        [sys.executable, "-m", "dfbench", *command, "--jobs", str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_work(out: Path, process: subprocess.Popen[str], clips: int) -> None:
    end = time.monotonic() + 60
    while read_tallies(out)[0] < clips and process.poll() is None and time.monotonic() < end:
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


@pytest.mark.parametrize(("jobs", "seed"), [(1, 1), (2, 2)])
def test_sigkill_at_a_random_moment_then_resume(tree, tmp_path, jobs, seed):
    whole = prepare("ff++", tree, tmp_path / "whole", jobs=1, **OPTIONS)
    out = tmp_path / "m"
    rng = random.Random(seed)
    process = start(tree, out, jobs)
    wait_for_work(out, process, rng.randint(1, 12))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(DataError, match="not finished") as error:
        open_manifest(out)
    assert "dfbench prepare ff++" in error.value.hint
    resumed = prepare("ff++", tree, out, jobs=3 - jobs, **OPTIONS)
    assert shard_bytes(out) == shard_bytes(whole.path)
    assert resumed.info.hash == whole.info.hash
    assert not [p for p in out.iterdir() if p.name.startswith(".")]


def test_ctrl_c_ends_the_workers_and_leaves_no_litter(tree, tmp_path):
    out = tmp_path / "m"
    process = start(tree, out, 2)
    wait_for_work(out, process, 2)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert group_ends(process.pid)
    assert not list(out.glob(".*"))
    assert prepare("ff++", tree, out, jobs=1, **OPTIONS).verify() == []


def task(out: Path, number: int) -> ShardTask:
    media = Media("ff++", "c23", "real", f"{number:03d}", 0, "train", f"ff++/{number}", "x.mp4")
    stamp = Stamp(recipe_hash="r", plan_hash="p", versions={})
    return ShardTask(Shard(number, (media,)), out, out, resolve(Request("ff++")), stamp)


def work_that_dies(deaths: int, number: int):
    def work(given: ShardTask) -> ShardInfo:
        Tally(tally_path(given.out, given.shard.number))
        marks = given.out / f"deaths-{given.shard.number}"
        seen = len(marks.read_bytes()) if marks.exists() else 0
        if given.shard.number == number and seen < deaths:
            marks.write_bytes(b"x" * (seen + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return ShardInfo(file=given.shard.file, sha256="0", rows=seen)

    return work


def test_a_worker_that_dies_once_is_replaced(tmp_path):
    results = run_tasks(work_that_dies(1, 2), [task(tmp_path, n) for n in range(5)], 2, tmp_path)
    assert {r.file: r.rows for r in results} == {f"shard-{n:05d}.parquet": int(n == 2) for n in range(5)}


def test_a_worker_that_keeps_dying_names_its_shard(tmp_path):
    with pytest.raises(SetupError, match=r"shard-00003\.parquet") as error:
        run_tasks(work_that_dies(9, 3), [task(tmp_path, n) for n in range(5)], 2, tmp_path)
    assert "ff++/c23/real/003" in error.value.message
    assert error.value.exit_code == 5


def failing_work(given: ShardTask) -> ShardInfo:
    raise SetupError(f"no room for {given.shard.file}", "free some")


def test_errors_of_workers_keep_their_class_and_hint(tmp_path):
    with pytest.raises(SetupError, match="no room") as error:
        run_tasks(failing_work, [task(tmp_path, n) for n in range(3)], 2, tmp_path)
    assert error.value.hint == "free some"


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
    command = [
        "prepare",
        "ff++",
        "--root",
        str(tree),
        "--out",
        str(out),
        "--frames",
        "5",
        "--size",
        "64",
        "--jobs",
        "1",
    ]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "could not be written" in done.stderr
    assert "hint: free some space" in done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json"]
    assert prepare("ff++", tree, out, jobs=1, **OPTIONS).info.complete


def test_tallies_feed_the_bar(tmp_path):
    calls = []
    one, two = Tally(tally_path(tmp_path, 0)), Tally(tally_path(tmp_path, 1))
    with watched(tmp_path, lambda steps=1, note="": calls.append((steps, note)), interval=0.02):
        one.clip_done(3)
        one.clip_done(0)
        time.sleep(0.1)
        two.clip_done(4)
    assert sum(steps for steps, _ in calls) == 3
    assert calls[-1][1] == "7 faces"
    assert read_tallies(tmp_path) == (3, 7)


def test_job_count():
    assert job_count(None) >= 1
    assert job_count(3) == 3
    with pytest.raises(Exception, match="--jobs"):
        job_count(0)
