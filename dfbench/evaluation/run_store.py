"""The run folder: its name, which files it may hold, and how they are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfbench.config import runs_home
from dfbench.errors import DataError, UsageError
from dfbench.evaluation.partial_results import PARTIAL
from dfbench.evaluation.run import RESULT_FILE, SCORES_FILE
from dfbench.io import atomic_path, canonical_hash, file_sha256, is_temporary, write_table, write_text
from dfbench.protocols.protocol import Protocol
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published, rows_where
from dfbench.schema.result import RunResult
from dfbench.untrusted import read_json

PROTOCOL_FILE = "protocol.toml"
"""The protocol of an evaluated folder, so that the run can be repeated."""

EXAMPLES_FILE = "examples.parquet"
RUN_FILES = {SCORES_FILE, EXAMPLES_FILE, RESULT_FILE, PROTOCOL_FILE, PARTIAL}


def make_run_id(
    model: str, weights: str, protocol: Protocol | None, manifests: Sequence[str], options: dict[str, Any]
) -> str:
    """Return the id of a run: the same inputs give the same id, hence the same folder."""
    inputs = [model, weights, protocol.hash if protocol else None, list(manifests), options]
    return canonical_hash(inputs, compact=False)[:16]


def run_folder(out: Path | None, protocol: Protocol, model: str, run_id: str, overwrite: bool) -> Path:
    """Return the folder of a run: the given one, see :func:`free_folder`, or one of the workspace.

    Raises:
        UsageError: ``out`` holds another run, or files that are not a run.
    """
    if out is None:
        return runs_home() / f"{protocol.name.replace('/', '-')}-{model}-{run_id[:8]}"
    return free_folder(out, run_id, overwrite)


def free_folder(
    folder: Path,
    run_id: str,
    overwrite: bool,
    *,
    result: str = RESULT_FILE,
    files: Collection[str] = RUN_FILES,
    what: str = "run",
) -> Path:
    """Return the folder, which may already hold the same run but no other.

    Args:
        folder: the folder.
        run_id: of the run that is to be written.
        overwrite: replace another run.
        result: name of the JSON file with the ``run_id`` of the run in the folder.
        files: names that an unfinished run may have left.
        what: what a run is called in the message.

    Raises:
        UsageError: it holds another run, or files that are not a run.
    """
    if overwrite or not folder.is_dir() or not any(folder.iterdir()):
        return folder
    path = folder / result
    try:
        raw = read_json(path) if path.is_file() else None
    except DataError:
        raw = None
    found = raw.get("run_id") if isinstance(raw, dict) else None
    names = {p.name for p in folder.iterdir() if not is_temporary(p)}
    if found == run_id or (found is None and names <= set(files)):
        return folder
    article = "an" if what[0] in "aeio" else "a"
    held = f"another {what} ({found})" if found else f"files that are not {article} {what}"
    raise UsageError(f"the folder {folder} holds {held}", "choose another --out, or remove the folder")


def write_run(
    folder: Path,
    result: RunResult,
    scores: pa.Table,
    examples: pa.Table | None = None,
    files: Mapping[str, str] | None = None,
) -> RunResult:
    """Write a run. An earlier run in the folder is replaced once all of the new one has been written.

    All files are written under temporary names; then each replaces its predecessor, ``result.json`` last, so that it
    exists only when everything else does. A process that is killed, or a full disk, leaves the earlier run as it was.

    Args:
        folder: of the run; created if necessary.
        result: without the hash of the scores.
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
        examples: crops to show; None: there are none, and those of an earlier run are removed.
        files: name -> text of further files.

    Returns:
        The result as written, with the hash of ``scores.parquet``.

    Raises:
        SetupError: a file cannot be written.
    """
    texts = dict(files or {})
    tables = {SCORES_FILE: scores} | ({EXAMPLES_FILE: examples} if examples is not None else {})
    stale = RUN_FILES - {PARTIAL, RESULT_FILE, *texts, *tables}
    with ExitStack() as stack:  # closed from the last entry to the first
        new = stack.enter_context(atomic_path(folder / RESULT_FILE))

        def remove_stale(failure: type[BaseException] | None, *_: object) -> None:
            for name in stale if failure is None else ():
                (folder / name).unlink(missing_ok=True)

        stack.push(remove_stale)
        for name, text in texts.items():
            write_text(stack.enter_context(atomic_path(folder / name)), text, sync=False)
        written = {name: stack.enter_context(atomic_path(folder / name)) for name in tables}
        for name, table in tables.items():
            write_table(written[name], table, sync=False)
        complete = result.model_copy(update={"scores_sha256": file_sha256(written[SCORES_FILE])})
        write_text(new, complete.model_dump_json(indent=2) + "\n", sync=False)
    return complete


def published_rows(protocol: Protocol) -> tuple[dict[str, Any], ...]:
    """Return the published numbers that a protocol compares with."""
    where = protocol.published.where
    if not where:
        return ()
    return tuple(
        row.model_dump() for row in rows_where(load_published(facts_folder() / "published_results.csv"), where)
    )
