"""Make one shard in a separate process, and decide what to do when the process ends or lacks memory.

A crash (of the decoder, say) is the fault of the clip that was being read: twice, and the clip is given up. A process
that is killed from outside or runs out of memory says nothing about the clip: its shard is tried once more when no
other worker is at work, and left unfinished if that fails as well.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from dfbench.errors import SetupError
from dfbench.media.limits import is_machine_fault
from dfbench.preparation.execution.shard_progress import current_clip, has_begun, mark_start
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import WorkerDied, WorkerProcess
from dfbench.preparation.execution.watchdog import interrupting, journal_progress, watching
from dfbench.preparation.extraction.scene_reader import GIVEN_UP, TIME_LIMIT
from dfbench.schema.manifest import ShardInfo

Work = Callable[[ShardTask], ShardInfo]

TRIES = 2
# Beyond this fraction of a shard's clips the cause is the machine rather than the files.
MOST_GIVEN_UP = 0.25
LEAST_ALLOWED = 3

OUT_OF_MEMORY = "out of memory"
KILLED = "killed"

_SIGNALS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")
# Access violation, illegal instruction, division by zero, stack overflow, corrupted heap, abort.
_WINDOWS = (0xC0000005, 0xC000001D, 0xC0000094, 0xC00000FD, 0xC0000374, 0xC0000409)
CRASHES = frozenset({*(-getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)), *_WINDOWS})
"""Exit statuses of a process that crashed by itself."""


@dataclass(frozen=True)
class WorkerCrash:
    """The unexpected end of a worker process, or of its work.

    Attributes:
        shard: file name of the shard that it was making.
        media_id: the clip that it was reading; None between clips.
        code: its exit status; the negated signal number if a signal ended it; 0 if it raised an error.
        reason: ``time limit``, ``out of memory`` or ``killed``; empty for a crash.
    """

    shard: str
    media_id: str | None
    code: int
    reason: str = ""


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


@dataclass(frozen=True)
class Postponed:
    """A shard that is to be tried again alone, or that failed even so.

    Attributes:
        task: the shard.
        crashes: what happened.
    """

    task: ShardTask
    crashes: tuple[WorkerCrash, ...]


def make_inline(work: Work, task: ShardTask, time_limit: float) -> ShardResult | Postponed:
    """Make a shard in this process, where it is alone; try once more if memory runs out.

    A clip over the time limit is interrupted if its decoder returns to Python; see
    :func:`dfbench.preparation.execution.watchdog.interrupting`.
    """
    crashes: list[WorkerCrash] = []
    while len(crashes) < TRIES:
        try:
            with interrupting(partial(journal_progress, task.journal), time_limit):
                info = work(task)
            return ShardResult(info, datetime.now(UTC), tuple(crashes))
        except Exception as error:
            if not is_machine_fault(error):
                raise
            crashes.append(WorkerCrash(task.shard.file, current_clip(task.journal), 0, OUT_OF_MEMORY))
    return Postponed(task, tuple(crashes))


def make_with_retries(
    process: WorkerProcess,
    work: Work,
    task: ShardTask,
    time_limit: float,
    earlier: Sequence[WorkerCrash] = (),
    alone: bool = False,
) -> ShardResult | Postponed:
    """Make a shard in another process, and start again after a crash.

    Args:
        process: the process.
        work: makes the shard.
        task: the shard. The clips that are given up are added to it.
        time_limit: seconds without a frame after which a clip is interrupted.
        earlier: what happened when the shard was tried before.
        alone: whether no other worker is at work.

    Raises:
        SetupError: the process crashes between clips, or on so many clips that the machine must be the cause.
    """
    task = replace(task, worker=process.name)
    crashes = list(earlier)
    while True:
        mark_start(task.journal)
        try:
            with watching(process, task.journal, time_limit) as dog:
                info: ShardInfo = process.run(work, replace(task, given_up=dict(task.given_up) | _given_up(crashes)))
            return ShardResult(info, datetime.now(UTC), tuple(crashes))
        except WorkerDied as error:
            if process.closed:
                raise SetupError("the run was ended", "rerun the same command to resume") from error
            clip = dog.expired if dog.expired is not None else current_clip(task.journal)
            reason = TIME_LIMIT if dog.expired is not None else "" if error.code in CRASHES else KILLED
            crash = WorkerCrash(task.shard.file, clip, error.code, reason)
        except Exception as error:
            if not is_machine_fault(error):
                raise
            crash = WorkerCrash(task.shard.file, current_clip(task.journal), 0, OUT_OF_MEMORY)
        crashes.append(crash)
        if not crash.reason:
            _check(task, crashes)
        elif not alone or crash.reason != TIME_LIMIT:
            return Postponed(task, tuple(crashes))


def unfinished(failed: Sequence[Postponed]) -> SetupError:
    """Return the error for shards that could not be made even alone."""
    texts = []
    for shard in failed[:LEAST_ALLOWED]:
        last = shard.crashes[-1]
        what = OUT_OF_MEMORY if last.reason == OUT_OF_MEMORY else f"exit status {last.code}"
        where = f" while it read {last.media_id}" if last.media_id is not None else ""
        texts.append(f"{shard.task.shard.file} ({what}{where})")
    more = ", ..." if len(failed) > LEAST_ALLOWED else ""
    return SetupError(
        f"{len(failed)} shards were left unfinished because their worker processes were ended from outside or ran out "
        f"of memory, the last time with no other at work: {', '.join(texts)}{more}",
        "free memory or raise its limit, then rerun the same command: finished shards are kept",
    )


def _given_up(crashes: Sequence[WorkerCrash]) -> dict[str, str]:
    out: dict[str, str] = {}
    for reason, text in (("", GIVEN_UP), (TIME_LIMIT, TIME_LIMIT)):
        counted = Counter(c.media_id for c in crashes if c.media_id is not None and c.reason == reason)
        out |= {media_id: text for media_id, n in counted.items() if n >= TRIES}
    return out


def _check(task: ShardTask, crashes: Sequence[WorkerCrash]) -> None:
    hint = "the cause is this machine or its libraries rather than the files; finished shards are kept"
    crashed = [c for c in crashes if not c.reason]
    between = sum(c.media_id is None for c in crashed)
    if between >= TRIES:
        where = f"writing {task.shard.file}" if has_begun(task.journal, task.shard.number) else "starting"
        raise SetupError(f"a worker process crashed {between} times {where} (exit status {crashed[-1].code})", hint)
    given_up = sorted(_given_up(crashed))
    allowed = max(LEAST_ALLOWED, int(MOST_GIVEN_UP * len(task.shard.media)))
    if len(given_up) > allowed:
        raise SetupError(
            f"worker processes crashed on {len(given_up)} clips of {task.shard.file}, twice on each: "
            f"{', '.join(given_up[:LEAST_ALLOWED])}, ... (exit status {crashed[-1].code})",
            hint,
        )
