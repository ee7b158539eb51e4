"""Worker processes, their deaths, and clusters: who does the work changes no byte, and a crash costs one clip."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfbench.errors import SetupError, UsageError
from dfbench.manifest.shards import Stamp
from dfbench.media.encode import write_clip
from dfbench.preparation.execution import cluster, run
from dfbench.preparation.execution.engine import Workers, check_engine, check_time_limit, run_tasks
from dfbench.preparation.execution.retry import WorkerCrash
from dfbench.preparation.execution.shard_progress import ShardProgress
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import WorkerDied, WorkerProcess
from dfbench.preparation.extraction.scene_reader import TimeLimitError
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.preparation.prepare import prepare
from dfbench.schema.manifest import ShardInfo
from dfbench.schema.media import Media
from dfbench.startup import TELEMETRY

pytestmark = pytest.mark.slow

OPTIONS = {"frames": 3, "sizes": [64], "quiet": True}
DEADLY = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
DEADLY_ID = "ff++/c23/Deepfakes/000_003"


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


def log_lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "prepare-log.jsonl").read_text("utf-8").splitlines()]


def task(out: Path, number: int, clips: int = 1) -> ShardTask:
    media = tuple(
        Media("ff++", "c23", "real", f"{number:03d}-{n}", 0, "train", f"ff++/{number}", "x.mp4") for n in range(clips)
    )
    return ShardTask(
        Shard(number, media),
        out,
        out,
        make_recipe(PreparationRequest("ff++")),
        Stamp(recipe_hash="r", plan_hash="p", versions={}),
    )


TWO = Workers(2)


def work_that_dies(deaths: int, number: int, by: signal.Signals = signal.SIGSEGV):
    """Work on the shard ``number`` dies so many times at every clip that it is not told to leave alone."""

    def work(given: ShardTask) -> ShardInfo:
        tally = ShardProgress(given.journal, given.shard.number)
        marks = given.out / f"deaths-{given.shard.number}"
        for media in given.shard.media:
            tally.clip_begun(media.media_id)
            seen = len(marks.read_bytes()) if marks.exists() else 0
            if given.shard.number == number and media.media_id not in given.given_up and seen < deaths:
                marks.write_bytes(b"x" * (seen + 1))
                os.kill(os.getpid(), by)
            tally.clip_done(0)
        return ShardInfo(file=given.shard.file, sha256="0" * 64, rows=len(given.given_up))

    return work


@pytest.mark.parametrize(("by", "reason"), [(signal.SIGSEGV, ""), (signal.SIGKILL, "killed")])
def test_a_worker_that_dies_once_is_replaced_and_nothing_is_lost(tmp_path, by, reason):
    results = run_tasks(work_that_dies(1, 2, by), [task(tmp_path, n) for n in range(5)], TWO)
    assert {r.info.file: r.info.rows for r in results} == {f"shard-{n:05d}.parquet": 0 for n in range(5)}
    deaths = [death for r in results for death in r.crashes]
    assert deaths == [WorkerCrash("shard-00002.parquet", "ff++/c23/real/002-0", -by, reason)]


def test_a_clip_that_keeps_killing_its_worker_is_given_up(tmp_path):
    results = run_tasks(work_that_dies(99, 3), [task(tmp_path, n, clips=2) for n in range(4)], TWO)
    assert {r.info.file: r.info.rows for r in results} == {f"shard-{n:05d}.parquet": 2 * (n == 3) for n in range(4)}


def test_deaths_on_clip_after_clip_are_blamed_on_the_machine(tmp_path):
    with pytest.raises(SetupError, match=r"shard-00003\.parquet.*003-0") as error:
        run_tasks(work_that_dies(99, 3), [task(tmp_path, n, clips=6) for n in range(4)], TWO)
    assert "this machine" in error.value.hint
    assert error.value.exit_code == 5


def test_a_worker_killed_again_leaves_its_shard_unfinished_and_no_clip_is_blamed(tmp_path):
    finished = []
    where = r"shard-00001\.parquet \(exit status -9 while it read ff\+\+/c23/real/001-0\)"
    with pytest.raises(SetupError, match=rf"1 shards were left unfinished.*{where}") as error:
        run_tasks(
            work_that_dies(99, 1, signal.SIGKILL), [task(tmp_path, n) for n in range(4)], TWO,
            lambda made: finished.append(made.info.file),
        )  # fmt: skip
    assert error.value.exit_code == 5
    assert sorted(finished) == [f"shard-{n:05d}.parquet" for n in (0, 2, 3)]
    assert len((tmp_path / "deaths-1").read_bytes()) == 2  # twice, the second time alone


def work_without_memory(given: ShardTask) -> ShardInfo:
    if given.shard.number == 1:
        (given.out / "tries").open("ab").write(b"x")
        raise MemoryError("no more")
    return ShardInfo(file=given.shard.file, sha256="0" * 64, rows=0)


@pytest.mark.parametrize("workers", [TWO, Workers(1, "inline")])
def test_lack_of_memory_leaves_a_shard_unfinished_after_a_second_try(tmp_path, workers):
    finished = []
    with pytest.raises(SetupError, match=r"shard-00001\.parquet \(out of memory\)"):
        run_tasks(work_without_memory, [task(tmp_path, n) for n in range(3)], workers, finished.append)
    assert len(finished) == 2
    assert (tmp_path / "tries").read_bytes() == b"xx"


def work_that_hangs(times: int, stop: bool):
    """The second clip of shard 0 hangs, or the process is stopped, so many times."""

    def work(given: ShardTask) -> ShardInfo:
        tally = ShardProgress(given.journal, given.shard.number)
        marks = given.out / "hung"
        for number, media in enumerate(given.shard.media):
            tally.clip_begun(media.media_id)
            seen = len(marks.read_bytes()) if marks.exists() else 0
            if given.shard.number == 0 and number == 1 and media.media_id not in given.given_up and seen < times:
                marks.write_bytes(b"x" * (seen + 1))
                if stop:
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(60)
            tally.clip_done(0)
        assert set(given.given_up.values()) <= {"time limit"}
        return ShardInfo(file=given.shard.file, sha256="0" * 64, rows=len(given.given_up))

    return work


@pytest.mark.parametrize(("times", "stop"), [(1, True), (99, False)])
def test_a_clip_without_progress_is_tried_again_alone_and_then_given_up(tmp_path, times, stop):
    begun = time.monotonic()
    workers = Workers(2, time_limit=1.0)
    results = run_tasks(work_that_hangs(times, stop), [task(tmp_path, n, clips=3) for n in range(3)], workers)
    assert time.monotonic() - begun < 50
    (hung,) = [r for r in results if r.crashes]
    assert [(c.media_id, c.reason) for c in hung.crashes] == [("ff++/c23/real/000-1", "time limit")] * min(times, 2)
    assert hung.info.rows == int(times > 1)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")
def test_a_clip_without_progress_is_interrupted_in_this_process(tmp_path):
    """Between clips there is no limit."""
    journal = task(tmp_path, 0).journal
    journal.parent.mkdir()

    def hangs(given: ShardTask) -> ShardInfo:
        with closing(ShardProgress(journal, 0)) as progress:
            time.sleep(0.8)
            progress.clip_begun("a")
            with pytest.raises(TimeLimitError):
                time.sleep(60)
            progress.clip_done(0)
            time.sleep(0.8)
        return ShardInfo(file=given.shard.file, sha256="0" * 64, rows=1)

    before = signal.getsignal(signal.SIGALRM)
    (made,) = run_tasks(hangs, [task(tmp_path, 0)], Workers(1, "inline", time_limit=0.4))
    assert made.info.rows == 1
    assert signal.getsignal(signal.SIGALRM) is before


def slow_work(given: ShardTask) -> ShardInfo:
    """A clip that takes longer than the limit, and makes progress."""
    tally = ShardProgress(given.journal, given.shard.number)
    tally.clip_begun("a")
    for _ in range(10):
        time.sleep(0.3)
        tally.beat()
    tally.clip_done(0)
    time.sleep(2.7)  # writing is no clip
    return ShardInfo(file=given.shard.file, sha256="0" * 64, rows=0)


def test_a_long_clip_that_makes_progress_is_left_alone(tmp_path):
    (result,) = run_tasks(slow_work, [task(tmp_path, 0)], Workers(1, time_limit=2.5))
    assert result.crashes == ()
    with pytest.raises(UsageError, match="--time-limit"):
        check_time_limit(0)


def death_between_clips(given: ShardTask) -> ShardInfo:
    ShardProgress(given.journal, given.shard.number)
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def test_deaths_outside_of_clips_end_the_run(tmp_path):
    with pytest.raises(SetupError, match=rf"writing shard-00000\.parquet \(exit status {-signal.SIGSEGV}\)"):
        run_tasks(death_between_clips, [task(tmp_path, 0)], TWO)


def failing_work(given: ShardTask) -> ShardInfo:
    raise SetupError(f"cannot write {given.shard.file}", "free some")


def test_errors_of_workers_keep_their_class_and_hint(tmp_path):
    with pytest.raises(SetupError, match="cannot write") as error:
        run_tasks(failing_work, [task(tmp_path, n) for n in range(3)], TWO)
    assert error.value.hint == "free some"


def test_a_child_carries_errors_survives_prints_and_starts_again():
    with WorkerProcess() as child:
        assert child.run(divmod, 7, 2) == (3, 1)
        assert child.run(print, "a library that prints") is None
        first = child.run(os.getpid)
        assert first == child.run(os.getpid) != os.getpid()
        with pytest.raises(ZeroDivisionError) as error:
            child.run(divmod, 1, 0)
        assert any("Traceback" in note for note in error.value.__notes__)
        with pytest.raises(WorkerDied) as died:
            child.run(os._exit, 7)
        assert died.value.code == 7
        assert child.run(os.getpid) != first
        assert child.run(os.environ.get, "OMP_NUM_THREADS") == "1"
    with pytest.raises(WorkerDied):
        child.run(os.getpid)


def kills_on(clip: str):
    """Work of a worker whose decoder crashes on this clip."""

    def work(given: ShardTask) -> ShardInfo:
        from dfbench.media import pyav_decoder
        from dfbench.preparation.execution.shard_worker import run_shard

        read_clip = pyav_decoder.read_clip

        def deadly(path, *arguments, **options):
            if Path(path).as_posix().endswith(clip):
                os.kill(os.getpid(), signal.SIGSEGV)
            return read_clip(path, *arguments, **options)

        pyav_decoder.read_clip = deadly
        return run_shard(given)

    return work


def test_a_clip_that_crashes_the_decoder_costs_its_rows_alone(tree, tmp_path, monkeypatch):
    whole = prepare("ff++", tree, tmp_path / "whole", workers=1, **OPTIONS).to_pandas()
    monkeypatch.setattr(run, "run_shard", kills_on(DEADLY))
    made = prepare("ff++", tree, tmp_path / "m", workers=2, **OPTIONS)
    table = made.to_pandas()
    bad = table[table["media_id"] == DEADLY_ID]
    assert bad["status"].tolist() == ["decode_error"] * 3
    assert bad["frame_index"].tolist() == [-1, -2, -3]
    assert bad["reason"].str.contains("ended the worker process").all()
    rest = table[table["media_id"] != DEADLY_ID].reset_index(drop=True)
    expected = whole[whole["media_id"] != DEADLY_ID].reset_index(drop=True)
    assert rest["sha256_64"].tolist() == expected["sha256_64"].tolist()
    assert made.verify() == []
    events = log_lines(made.path)
    deaths = [e for e in events if e["event"] == "death"]
    assert [(e["media_id"], e["exit_status"]) for e in deaths] == [(DEADLY_ID, -signal.SIGSEGV)] * 2
    (clip,) = [e for e in events if e["event"] == "clip"]
    assert (clip["media_id"], clip["status"], clip["rows"]) == (DEADLY_ID, "decode_error", 3)


def killed_on(clip: str, times: int, marks: Path):
    """Work of a worker that is ended while it reads the clip with this path, so many times."""

    def work(given: ShardTask) -> ShardInfo:
        from dfbench.preparation.execution.shard_worker import run_shard
        from dfbench.preparation.extraction import scene_reader

        ordinary = scene_reader.read

        def deadly(path: Path, *rest: Any) -> Any:
            if path.as_posix().endswith(clip) and (marks.stat().st_size if marks.exists() else 0) < times:
                with marks.open("ab") as stream:
                    stream.write(b"x")
                os.kill(os.getpid(), signal.SIGKILL)
            return ordinary(path, *rest)

        scene_reader.read = deadly
        try:
            return run_shard(given)
        finally:
            scene_reader.read = ordinary

    return work


def test_a_worker_killed_from_outside_is_tried_again(tree, tmp_path, monkeypatch):
    """As the kernel does when memory runs out: SIGKILL to the process that reads a clip, once, then twice."""
    whole = prepare("ff++", tree, tmp_path / "whole", workers=1, **OPTIONS)
    out, killed = tmp_path / "m", tmp_path / "killed"
    monkeypatch.setattr(run, "run_shard", killed_on(DEADLY, 1, killed))
    made = prepare("ff++", tree, out, workers=2, **OPTIONS)
    assert killed.exists()
    assert shard_bytes(out) == shard_bytes(whole.path)
    assert made.info.hash == whole.info.hash
    assert [e["reason"] for e in log_lines(out) if e["event"] == "death"] == ["killed"]
    again = tmp_path / "again"
    monkeypatch.setattr(run, "run_shard", killed_on(DEADLY, 3, killed))  # two more times
    with pytest.raises(SetupError, match=f"unfinished.*exit status -9 while it read {re.escape(DEADLY_ID)}") as error:
        prepare("ff++", tree, again, workers=2, **OPTIONS)
    assert error.value.exit_code == 5
    assert len(shard_bytes(again)) == len(shard_bytes(whole.path)) - 1
    prepare("ff++", tree, again, workers=2, **OPTIONS)
    assert shard_bytes(again) == shard_bytes(whole.path)


def test_the_log_tells_the_run(pair_tree, tmp_path):
    root = pair_tree()
    write_clip(root / DEADLY, [np.full((240, 320, 3), 60 + n, np.uint8) for n in range(5)], 25, 23)
    made = prepare("ff++", root, tmp_path / "m", workers=1, **OPTIONS)
    events = log_lines(made.path)
    assert [e["event"] for e in events] == ["start", "clip", "shard", "end"]
    start, clip, shard, end = events
    assert (start["clips"], start["shards"], start["recipe_hash"]) == (6, 1, made.info.recipe_hash)
    assert clip == clip | {"media_id": DEADLY_ID, "status": "no_face", "rows": 3, "shard": "shard-00000.parquet"}
    assert (shard["clips"], shard["rows"]) == (6, 18)
    assert end["rows"] == made.info.counts
    assert all(a["time"] <= b["time"] for a, b in itertools.pairwise(events))
    before = (made.path / "prepare-log.jsonl").read_bytes()
    prepare("ff++", root, made.path, workers=1, **OPTIONS)
    assert (made.path / "prepare-log.jsonl").read_bytes() == before  # nothing to do, nothing to tell


def test_names_of_engines():
    assert check_engine(None, None, 1) == "inline"
    assert check_engine(None, None, None) == check_engine(None, None, 4) == "local"
    assert check_engine("local", None, 1) == "local"
    with pytest.raises(UsageError, match="dsak") as error:
        check_engine("dsak", None, 2)
    assert "dask" in error.value.hint
    with pytest.raises(UsageError, match="--address"):
        check_engine("local", "tcp://x:1", 2)
    with pytest.raises(UsageError, match="inline"):
        check_engine("inline", None, 2)


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_an_engine_that_is_not_installed(monkeypatch, engine):
    monkeypatch.setattr("dfbench.preparation.execution.cluster.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=f"--engine {engine} needs") as error:
        check_engine(engine, None, 2)
    assert f"deepfake-dfbench[{engine}]" in error.value.hint


@pytest.fixture(scope="module")
def alone(tree, tmp_path_factory):
    """Made by one process."""
    return prepare("ff++", tree, tmp_path_factory.mktemp("alone") / "m", workers=1, **OPTIONS)


def tells(folder: Path):
    """Make shards, and write down how the process that reads the media was started."""

    def work(task):
        import json
        import os
        import signal

        from dfbench.preparation.execution.shard_worker import run_shard
        from dfbench.startup import TELEMETRY

        ignored = [signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
        facts = {
            "ignored": [handler == signal.SIG_IGN for handler in ignored],
            "telemetry": {name: os.environ.get(name) for name in TELEMETRY},
        }
        (folder / str(os.getpid())).write_text(json.dumps(facts))
        return run_shard(task)

    return work


def check_processes(folder: Path) -> None:
    """The processes that read media are not this one, send nothing, and leave signals to the one that started them."""
    told = {path.name: json.loads(path.read_text()) for path in folder.iterdir()}
    assert told
    assert str(os.getpid()) not in told
    for facts in told.values():
        assert facts["ignored"] == [True, True, True]
        assert facts["telemetry"] == dict(TELEMETRY)


@pytest.fixture
def told(tmp_path, monkeypatch):
    folder = tmp_path / "told"
    folder.mkdir()
    for name in TELEMETRY:
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(run, "run_shard", tells(folder))
        yield folder


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="dask and distributed are not installed")
def test_dask_gives_the_same_bytes(tree, alone, tmp_path, monkeypatch, told):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as local:
        address = local.scheduler_address
        made = prepare("ff++", tree, tmp_path / "m", engine="dask", address=address, **OPTIONS)
        assert shard_bytes(made.path) == shard_bytes(alone.path)
        assert made.info.hash == alone.info.hash
        check_processes(told)
        assert [e["engine"] for e in log_lines(made.path) if e["event"] == "start"] == ["dask"]
        # A crash costs its clip there too, and the versions of a worker must be the command's.
        monkeypatch.setattr(run, "run_shard", kills_on(DEADLY))
        table = prepare("ff++", tree, tmp_path / "n", engine="dask", address=address, **OPTIONS).to_pandas()
        assert table[table["status"] != "ok"]["media_id"].unique().tolist() == [DEADLY_ID]
        monkeypatch.setattr(run, "pixel_versions", lambda: {"av": "0.1"})
        with pytest.raises(SetupError, match=r"other versions.*av .* instead of 0\.1"):
            prepare("ff++", tree, tmp_path / "o", engine="dask", address=address, **OPTIONS)


@pytest.mark.skipif(find_spec("distributed") is None, reason="dask and distributed are not installed")
def test_a_scheduler_that_does_not_answer(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("dfbench.preparation.execution.cluster.SECONDS_TO_CONNECT", 1)
    with pytest.raises(SetupError, match=r"no Dask scheduler found at tcp://127\.0\.0\.1:9") as error:
        prepare("ff++", tree, tmp_path / "m", engine="dask", address="tcp://127.0.0.1:9", **OPTIONS)
    assert "--address" in error.value.hint


def test_a_ray_that_does_not_start(monkeypatch):
    class Ray:
        @staticmethod
        def is_initialized():
            return False

        @staticmethod
        def init(**_):
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(cluster, "_imported", lambda *_: Ray)
    monkeypatch.setattr(cluster, "import_module", lambda _: SimpleNamespace(register_ray=lambda: None))
    with pytest.raises(SetupError, match="no Ray cluster found at this machine"), cluster.ray_backend(None, 1):
        pass


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_ray_gives_the_same_bytes(tree, alone, tmp_path, told):
    made = prepare("ff++", tree, tmp_path / "m", engine="ray", workers=2, **OPTIONS)
    check_processes(told)
    assert shard_bytes(made.path) == shard_bytes(alone.path)
    assert made.info.hash == alone.info.hash
