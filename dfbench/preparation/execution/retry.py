"""Make one shard in a separate process: a clip that crashes the process twice is given up, its shard is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dfbench.errors import SetupError
from dfbench.preparation.execution.shard_progress import current_clip, has_begun
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import WorkerDied, WorkerProcess
from dfbench.schema.manifest import ShardInfo

Work = Callable[[ShardTask], ShardInfo]

TRIES = 2
# Beyond this fraction of a shard's clips the cause is the machine rather than the files.
MOST_GIVEN_UP = 0.25
LEAST_ALLOWED = 3


@dataclass(frozen=True)
class WorkerCrash:
    """The unexpected end of a worker process.

    Attributes:
        shard: file name of the shard that it was making.
        media_id: the clip that it was reading; None between clips.
        code: its exit status; the negated signal number if a signal ended it.
    """

    shard: str
    media_id: str | None
    code: int


@dataclass(frozen=True)
class ShardResult:
    """A finished shard.

    Attributes:
        info: its description.
        at: when it was finished.
        crashes: the worker crashes while it was made.
    """

    info: ShardInfo
    at: datetime
    crashes: tuple[WorkerCrash, ...] = ()


def make_inline(work: Work, task: ShardTask) -> ShardResult:
    """Make a shard in this process."""
    return ShardResult(work(task), datetime.now(UTC))


def make_with_retries(process: WorkerProcess, work: Work, task: ShardTask) -> ShardResult:
    """Make a shard in another process, and start again after a crash.

    Args:
        process: the process.
        work: makes the shard.
        task: the shard. The clips that are given up are added to it.

    Raises:
        SetupError: the process crashes between clips, or on so many clips that the machine must be the cause.
    """
    crashes: list[WorkerCrash] = []
    while True:
        fatal = _fatal(crashes)
        try:
            info: ShardInfo = process.run(work, replace(task, given_up=task.given_up | fatal))
            return ShardResult(info, datetime.now(UTC), tuple(crashes))
        except WorkerDied as error:
            if process.closed:
                raise SetupError("the run was ended", "rerun the same command to resume") from error
            clip = current_clip(task.out, task.shard.number)
            crashes.append(WorkerCrash(task.shard.file, clip, error.code))
            _check(task, crashes)


def _fatal(crashes: list[WorkerCrash]) -> frozenset[str]:
    counted = Counter(d.media_id for d in crashes if d.media_id is not None)
    return frozenset(media_id for media_id, n in counted.items() if n >= TRIES)


def _check(task: ShardTask, crashes: list[WorkerCrash]) -> None:
    hint = "it ran out of memory (use fewer --workers), or another process ended it; finished shards are kept"
    between = sum(d.media_id is None for d in crashes)
    if between >= TRIES:
        where = f"writing {task.shard.file}" if has_begun(task.out, task.shard.number) else "starting"
        raise SetupError(f"a worker process crashed {between} times {where} (exit status {crashes[-1].code})", hint)
    given_up = sorted(_fatal(crashes))
    allowed = max(LEAST_ALLOWED, int(MOST_GIVEN_UP * len(task.shard.media)))
    if len(given_up) > allowed:
        raise SetupError(
            f"worker processes crashed on {len(given_up)} clips of {task.shard.file}, twice on each: "
            f"{', '.join(given_up[:LEAST_ALLOWED])}, ... (exit status {crashes[-1].code})",
            hint,
        )
