"""Make one shard in a process of its own: a clip that kills the process twice is given up, the shard is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dfbench.errors import SetupError
from dfbench.preparation.execution.shard_progress import clip_under_work, has_begun
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import Child, WorkerDied
from dfbench.schema.manifest import ShardInfo

Work = Callable[[ShardTask], ShardInfo]

TRIES = 2
# Beyond this share of a shard's clips the machine is to blame rather than the files.
MOST_GIVEN_UP = 0.25
LEAST_ALLOWED = 3


@dataclass(frozen=True)
class Death:
    """A worker process that died.

    Attributes:
        shard: file name of the shard that it was at.
        media_id: the clip that it was reading; None between clips.
        code: its exit status; the negated number of the signal that ended it, where there was one.
    """

    shard: str
    media_id: str | None
    code: int


@dataclass(frozen=True)
class Done:
    """A finished shard.

    Attributes:
        info: its description.
        at: when it was finished.
        deaths: the deaths on the way.
    """

    info: ShardInfo
    at: datetime
    deaths: tuple[Death, ...] = ()


def inline(work: Work, task: ShardTask) -> Done:
    """Make a shard in this process."""
    return Done(work(task), datetime.now(UTC))


def guarded(child: Child, work: Work, task: ShardTask) -> Done:
    """Make a shard in another process, over its deaths.

    Args:
        child: the process.
        work: makes the shard.
        task: the shard. The clips that are given up are added to it.

    Raises:
        SetupError: the process dies between clips, or on so many that the machine must be to blame.
    """
    deaths: list[Death] = []
    while True:
        fatal = _fatal(deaths)
        try:
            info: ShardInfo = child.run(work, replace(task, given_up=task.given_up | fatal))
            return Done(info, datetime.now(UTC), tuple(deaths))
        except WorkerDied as death:
            if child.closed:
                raise SetupError("the run was ended", "run the same command again, it goes on from there") from death
            clip = clip_under_work(task.out, task.shard.number)
            deaths.append(Death(task.shard.file, clip, death.code))
            _check(task, deaths)


def _fatal(deaths: list[Death]) -> frozenset[str]:
    counted = Counter(d.media_id for d in deaths if d.media_id is not None)
    return frozenset(media_id for media_id, n in counted.items() if n >= TRIES)


def _check(task: ShardTask, deaths: list[Death]) -> None:
    hint = "it ran out of memory (try fewer --workers), or was ended from outside; finished shards are kept"
    between = sum(d.media_id is None for d in deaths)
    if between >= TRIES:
        where = f"writing {task.shard.file}" if has_begun(task.out, task.shard.number) else "starting"
        raise SetupError(f"a worker died {between} times {where} (exit status {deaths[-1].code})", hint)
    given_up = sorted(_fatal(deaths))
    allowed = max(LEAST_ALLOWED, int(MOST_GIVEN_UP * len(task.shard.media)))
    if len(given_up) > allowed:
        raise SetupError(
            f"workers died on {len(given_up)} clips of {task.shard.file}, on each of them twice: "
            f"{', '.join(given_up[:LEAST_ALLOWED])}, ... (exit status {deaths[-1].code})",
            hint,
        )
