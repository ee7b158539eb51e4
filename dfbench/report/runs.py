"""Open run folders: ``result.json`` and ``scores.parquet``, checked against each other."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from dfbench.errors import DataError, UsageError
from dfbench.metrics import coverage_rows
from dfbench.schema.result import RESULT_VERSION, RunResult
from dfbench.schema.scores import SCORES

RESULT_FILE = "result.json"
SCORES_FILE = "scores.parquet"
_AGAIN = "make the run again: dfbench evaluate"


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluated detector.

    Attributes:
        folder: the run folder.
        label: what tables and figures call it: the model's name, with the run's id where a name stands twice.
        result: the content of ``result.json``.
        scores: the table of ``scores.parquet``.
    """

    folder: Path
    label: str
    result: RunResult
    scores: pa.Table


def load_run(folder: Path) -> Run:
    """Open one run folder.

    Raises:
        DataError: no such folder, not a run, a run of another version, or files that do not belong together.
    """
    if not folder.is_dir():
        raise DataError(f"there is no run folder {folder}", "dfbench evaluate prints where it puts its run")
    result = _read_result(folder)
    scores = _read_scores(folder, result)
    return Run(folder, result.model, result, scores)


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Open several run folders and give each a label of its own.

    Raises:
        UsageError: no folder, or one run twice.
        DataError: as :func:`load_run`.
    """
    if not folders:
        raise UsageError(
            "no run was given", "name one or more run folders, for example: dfbench report runs/NAME --out report"
        )
    runs = [load_run(Path(folder)) for folder in folders]
    twice = [run_id for run_id, n in Counter(run.result.run_id for run in runs).items() if n > 1]
    if twice:
        raise UsageError(f"the run {twice[0]} was given more than once", "name every run folder once")
    models = Counter(run.result.model for run in runs)
    return [
        Run(r.folder, r.label if models[r.label] == 1 else f"{r.label} ({r.result.run_id})", r.result, r.scores)
        for r in runs
    ]


def _read_result(folder: Path) -> RunResult:
    file = folder / RESULT_FILE
    if not file.is_file():
        raise DataError(f"{folder} is not a run folder: it has no {RESULT_FILE}", "dfbench evaluate makes run folders")
    try:
        raw: Any = json.loads(file.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not valid JSON: {error}", _AGAIN) from error
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != RESULT_VERSION:
        raise DataError(f"{file} has the format version {version}; this dfbench reads version {RESULT_VERSION}", _AGAIN)
    try:
        return RunResult.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{file} is not a valid result: {where}: {first['msg']}", _AGAIN) from error


def _read_scores(folder: Path, result: RunResult) -> pa.Table:
    file = folder / SCORES_FILE
    if not file.is_file():
        raise DataError(f"{folder} is not a whole run: it has no {SCORES_FILE}", _AGAIN)
    if result.scores_sha256 and hashlib.sha256(file.read_bytes()).hexdigest() != result.scores_sha256:
        raise DataError(f"{file} is not the file that {RESULT_FILE} was computed from: its hash differs", _AGAIN)
    try:
        scores = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a readable Parquet file: {error}", _AGAIN) from error
    SCORES.check(scores, str(file))
    foreign = set(scores["run_id"].unique().to_pylist()) - {result.run_id}
    if foreign:
        raise DataError(f"{file} holds rows of the run {min(foreign)}, but {RESULT_FILE} is of {result.run_id}", _AGAIN)
    if result.coverage and set(_counts(result.coverage)) != set(_counts(coverage_rows(scores))):
        raise DataError(f"the rows of {file} do not fit the counts in {RESULT_FILE}", _AGAIN)
    return scores


def _counts(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [(r.dataset, r.subset, r.condition, r.label, r.manipulation, r.requested, r.scored) for r in rows]
