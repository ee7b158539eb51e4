"""Extract the rows of files in worker processes, so that what one file does to its process costs no other file.

A crash or a hang of the decoder is the fault of the file; a process that is killed from outside or runs out of memory
says nothing about it. The rules are those of ``prepare`` (:mod:`dfbench.preparation.execution.retry`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from joblib import Parallel, delayed

from dfbench.errors import SetupError
from dfbench.media.limits import is_machine_fault, listening
from dfbench.preparation.execution.decoder_messages import name_messages, naming_messages
from dfbench.preparation.execution.engine import DEFAULT_TIME_LIMIT
from dfbench.preparation.execution.retry import CRASHES, KILLED, OUT_OF_MEMORY, TRIES
from dfbench.preparation.execution.shard_progress import ShardProgress, mark_start
from dfbench.preparation.execution.subprocess_worker import WorkerDied, WorkerProcess, process_pool
from dfbench.preparation.execution.watchdog import interrupting, watching
from dfbench.preparation.extraction.rows import Row, unreadable_rows
from dfbench.preparation.extraction.scene_reader import GIVEN_UP, TIME_LIMIT, TimeLimitError
from dfbench.scoring import face_crops
from dfbench.scoring.face_crops import CropSettings, media_of
from dfbench.text import path_text

UNFINISHED = "unfinished"
"""Status of a file whose worker was killed or ran out of memory twice, the second time with no other at work."""


def extract_all(
    files: Sequence[Path], settings: CropSettings, workers: int | None = 1, time_limit: float = DEFAULT_TIME_LIMIT
) -> Iterator[tuple[int, list[Row]]]:
    """Yield the number and the rows of each file, in the order of ``files`` but for those that are tried again.

    Args:
        files: the files.
        settings: what determines the crops.
        workers: number of worker processes; None: this process, which a crash of a decoder ends, and in which a file
            is interrupted only if its decoder returns.
        time_limit: seconds without a frame after which a file is interrupted.
    """
    if workers is None:
        yield from enumerate(_in_this_process(path, settings, time_limit) for path in files)
        return
    with process_pool(workers) as borrow, _journals() as folder:

        def run(path: Path) -> list[Row] | str:
            with borrow() as process:
                return _until_done(process, path, settings, folder, time_limit)

        pool = Parallel(n_jobs=workers, backend="threading", batch_size=1, return_as="generator")
        again: list[int] = []
        for index, rows in enumerate(pool(delayed(run)(path) for path in files)):
            if isinstance(rows, str):
                again.append(index)
            else:
                yield index, rows
        for index in again:  # now with no other worker at work
            rows = run(files[index])
            yield index, rows if not isinstance(rows, str) else _without_rows(files[index], settings, rows)


@contextmanager
def _journals() -> Iterator[Path]:
    """Make a folder in which the workers report progress."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dfbench-score-"))
        except OSError as error:
            raise SetupError(
                f"no temporary folder can be made: {error.strerror or error}",
                "set the environment variable TMPDIR to a folder that can be written to",
            ) from error
        yield Path(folder)


def _until_done(
    process: WorkerProcess, path: Path, settings: CropSettings, folder: Path, time_limit: float
) -> list[Row] | str:
    """Return the rows of a file, or the reason to try it again alone."""
    for _ in range(TRIES):
        result = _attempt(process, path, settings, folder / process.name, time_limit)
        if result != "":
            return result
    return _rows_without_frames(path, settings, "decode_error", GIVEN_UP)


def _attempt(
    process: WorkerProcess, path: Path, settings: CropSettings, journal: Path, time_limit: float
) -> list[Row] | str:
    """Return the rows of a file, or why there are none; empty: its process crashed."""
    mark_start(journal)
    try:
        with watching(process, journal, time_limit) as dog:
            rows: list[Row] = process.run(_reporting, face_crops.extract_rows, path, settings, journal)
        return rows
    except WorkerDied as error:
        if process.closed:
            raise
        if dog.expired is not None:
            return TIME_LIMIT
        return "" if error.code in CRASHES else KILLED
    except Exception as error:
        if not is_machine_fault(error):
            raise
        return OUT_OF_MEMORY


def _reporting(
    work: Callable[[Path, CropSettings], list[Row]], path: Path, settings: CropSettings, journal: Path
) -> list[Row]:
    """Run in the worker: extract the rows, and report progress to the journal."""
    name_messages(path_text(path))
    with closing(ShardProgress(journal, 0)) as progress, listening(progress.beat):
        progress.clip_begun(path.name)
        return work(path, settings)


def _in_this_process(path: Path, settings: CropSettings, time_limit: float) -> list[Row]:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    for _ in range(TRIES):
        try:
            with naming_messages(path_text(path)), interrupting(lambda: beats, time_limit), listening(beat):
                return face_crops.extract_rows(path, settings)
        except TimeLimitError:  # raised outside of what handles the errors of a clip
            return _without_rows(path, settings, TIME_LIMIT)
        except Exception as error:
            if not is_machine_fault(error):
                raise
    return _without_rows(path, settings, OUT_OF_MEMORY)


def _without_rows(path: Path, settings: CropSettings, reason: str) -> list[Row]:
    status = "decode_error" if reason == TIME_LIMIT else UNFINISHED
    return _rows_without_frames(path, settings, status, reason)


def _rows_without_frames(path: Path, settings: CropSettings, status: str, reason: str) -> list[Row]:
    return unreadable_rows(media_of(path), settings.sampling.rows_if_unreadable, status, reason)
