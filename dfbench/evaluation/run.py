"""``Run``: a finished evaluation as Python sees it; ``open_run`` reads one from its folder."""

from __future__ import annotations

import contextlib
import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from dfbench.errors import DataError, UndefinedMetric, UsageError, unknown_name
from dfbench.io import file_sha256
from dfbench.metrics import IntervalEstimate, coverage_rows, parse_metric
from dfbench.models.training_method import described_detector
from dfbench.schema.result import RESULT_VERSION, MetricValue, RunResult
from dfbench.schema.scores import SCORES
from dfbench.storage.path import as_path, parquet_source
from dfbench.untrusted import read_json

RESULT_FILE = "result.json"
SCORES_FILE = "scores.parquet"
_RERUN = "rerun the evaluation: dfbench evaluate"
CLEAN = "clean"
_SHOWN = [
    *("name", "dataset", "subset", "manipulation", "condition", "value", "low", "high", "n", "n_media"),
    *("requested_media", "coverage"),
]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One evaluated detector: the files of a run folder, with views for analysis.

    Attributes:
        folder: the run folder.
        result: the content of ``result.json``.
        scores_table: the content of ``scores.parquet``, see :data:`dfbench.schema.scores.SCORES`.
        label: what tables and figures call the run; default: the name of its model, with the training method that was
            added to it: ``grnet + rfm``.

    >>> run = open_run("runs/mini-grnet-0a1b2c3d")  # doctest: +SKIP
    >>> print(run.get("auc.video.mean", subset="c23"))  # doctest: +SKIP
    0.761 [0.702, 0.815]
    """

    folder: Path
    result: RunResult
    scores_table: pa.Table
    label: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", _usual_label(self.result))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All metrics, one row for each metric and slice, with the fields of ``metrics`` in ``result.json``.

        Values and interval ends are fractions; NaN where a metric is undefined, with the reason in ``undefined``.
        """
        frame = pd.DataFrame([m.model_dump() for m in self.result.metrics], columns=list(MetricValue.model_fields))
        return frame.astype({"value": float, "low": float, "high": float})

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row for each sample and condition; the columns of ``scores.parquet``, ``score`` being P(fake)."""
        frame: pd.DataFrame = self.scores_table.to_pandas()
        return frame

    def get(
        self,
        name: str,
        *,
        dataset: str | None = None,
        subset: str | None = None,
        manipulation: str = "all",
        condition: str | None = None,
    ) -> IntervalEstimate:
        """Return one metric with its interval.

        Args:
            name: metric, level and aggregation, for example ``auc.video.mean``.
            dataset: may be omitted where the run has one data set.
            subset: may be omitted where the data set has one subset.
            manipulation: one manipulation against the reals, or ``all``.
            condition: test condition; default: ``clean``, or the only condition of the run.

        Returns:
            The value and both ends of its 95 % interval, as fractions. The ends are None, and ``note`` gives the
            reason, where there is no interval.

        Raises:
            UsageError: no metric of the run matches, or several do.
            UndefinedMetric: the metric has no value on these data.
        """
        found = self._named(name)
        given = {"dataset": dataset, "subset": subset, "manipulation": manipulation, "condition": condition}
        for field, wanted in given.items():
            known = list(dict.fromkeys(str(getattr(value, field)) for value in found))
            if wanted is None and len(known) > 1 and not (field == "condition" and CLEAN in known):
                raise UsageError(
                    f"the run has {name} for {len(known)} values of {field}: {', '.join(known)}",
                    f"choose one, for example {field}={known[0]!r}",
                )
            chosen = wanted or (known[0] if len(known) == 1 else CLEAN)
            if chosen not in known:
                raise unknown_name(f"{field} for {name} in this run:", chosen, known)
            found = [value for value in found if getattr(value, field) == chosen]
        (value,) = found
        if value.value is None:
            raise UndefinedMetric(value.undefined or f"{name} has no value")
        return IntervalEstimate(
            value.value,
            value.low,
            value.high,
            n=value.n,
            n_groups=value.n_clusters,
            note=value.interval_note,
            method=value.interval_method or "",
        )

    def to_json(self) -> str:
        """Return the content of ``result.json``."""
        return self.result.model_dump_json(indent=2) + "\n"

    def _named(self, name: str) -> list[MetricValue]:
        names = dict.fromkeys(value.name for value in self.result.metrics)
        if name not in names:
            with contextlib.suppress(UsageError):  # the names in this run are the better suggestion
                name = str(parse_metric(name))
        if name not in names:
            raise unknown_name("metric in this run:", name, names)
        return [value for value in self.result.metrics if value.name == name]

    def _summary(self) -> str:
        result = self.result
        protocol = f"{result.protocol.name!r} v{result.protocol.version}" if result.protocol else "none"
        data = dict.fromkeys(f"{c.dataset}/{c.subset}" for c in result.coverage)
        return (
            f"model={result.model!r}, protocol={protocol}, data={', '.join(data) or 'none'}, "
            f"{self.scores_table.num_rows} scores, {len(result.metrics)} metrics, folder={str(self.folder)!r}"
        )

    def __repr__(self) -> str:
        return f"Run({self._summary()})"

    def _repr_html_(self) -> str:
        table: str = self.metrics[_SHOWN].to_html(index=False, float_format="{:.3f}".format, na_rep="", max_rows=60)
        return f"<p>Run: {html.escape(self._summary())}</p>\n{table}"


def open_run(path: str | Path) -> Run:
    """Open a run folder and check that its files belong together.

    Args:
        path: a folder that ``evaluate`` or ``import_scores`` wrote, or its URL.

    Raises:
        DataError: no such folder, not a run, a run of another format version, or files that do not belong together.
    """
    folder = as_path(path)
    if not folder.is_dir():
        raise DataError(f"run folder not found: {folder}", "dfbench evaluate prints the folder of its run")
    result = _read_result(folder)
    return Run(folder, result, _read_scores(folder, result))


def open_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Open several run folders; where two runs have one label, their labels include the run id.

    Raises:
        UsageError: no folder, or one run twice.
        DataError: as :func:`open_run`.
    """
    if not paths:
        raise UsageError("no run was given", "name one or more run folders, for example: dfbench report runs/NAME")
    runs = [open_run(path) for path in paths]
    twice = [run_id for run_id, n in Counter(run.result.run_id for run in runs).items() if n > 1]
    if twice:
        raise UsageError(f"the run {twice[0]} was given more than once", "name every run folder once")
    labels = Counter(run.label for run in runs)
    return [run if labels[run.label] == 1 else replace(run, label=f"{run.label} ({run.result.run_id})") for run in runs]


def _usual_label(result: RunResult) -> str:
    return described_detector(result.model, result.weights.card if result.weights else {})


def _read_result(folder: Path) -> RunResult:
    file = folder / RESULT_FILE
    if not file.is_file():
        raise DataError(f"{folder} is not a run folder: it has no {RESULT_FILE}", "dfbench evaluate writes run folders")
    raw = read_json(file, _RERUN)
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != RESULT_VERSION:
        raise DataError(f"{file} has format version {version}; this dfbench reads version {RESULT_VERSION}", _RERUN)
    try:
        return RunResult.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{file} is not a valid result: {where}: {first['msg']}", _RERUN) from error


def _read_scores(folder: Path, result: RunResult) -> pa.Table:
    file = folder / SCORES_FILE
    if not file.is_file():
        raise DataError(f"{folder} is not a complete run: it has no {SCORES_FILE}", _RERUN)
    if result.scores_sha256 and file_sha256(file) != result.scores_sha256:
        raise DataError(f"{file} is not the file that {RESULT_FILE} was computed from: its hash differs", _RERUN)
    try:
        scores = pq.read_table(parquet_source(file))
        scores.validate(full=True)  # texts of a damaged file need not be UTF-8
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a readable Parquet file: {error}", _RERUN) from error
    SCORES.check(scores, str(file))
    foreign = set(scores["run_id"].unique().to_pylist()) - {result.run_id}
    if foreign:
        raise DataError(f"{file} holds rows of the run {min(foreign)}, but {RESULT_FILE} is of {result.run_id}", _RERUN)
    if result.coverage and set(_counts(result.coverage)) != set(_counts(coverage_rows(scores))):
        raise DataError(f"the rows of {file} do not match the counts in {RESULT_FILE}", _RERUN)
    return scores


def _counts(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return [(r.dataset, r.subset, r.condition, r.label, r.manipulation, r.requested, r.scored) for r in rows]
