"""``import scores``: convert a file of scores of another program to a run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dfbench.errors import UsageError
from dfbench.evaluation.dataset import as_protocol, manifest_ref
from dfbench.evaluation.run import Run
from dfbench.evaluation.run_store import free_folder, make_run_id, published_rows, write_run
from dfbench.interchange.matching import matched, self_contained
from dfbench.interchange.score_file import read_score_file
from dfbench.io import check_output_folder, file_sha256
from dfbench.manifest.manifest import open_manifest
from dfbench.metrics import compute_metrics, coverage_rows, parse_metric, score_warnings
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.schema.result import RunResult
from dfbench.schema.scores import SCORES
from dfbench.text import path_text
from dfbench.versions import library_versions

DEFAULT_METRICS = tuple(
    f"{metric}.{level}" for level in ("frame", "video.mean") for metric in ("acc", "bacc", "auc", "eer", "ap")
)
"""Metrics that are computed without a protocol."""


@dataclass(frozen=True)
class ImportRules:
    """Rules of the metrics of imported scores without a protocol.

    Attributes:
        names: metric names.
        threshold: decision threshold; ``score >= threshold`` is fake.
        failure_policy: how a sample without a score counts.
        face_aggregation: how several faces of a frame become one.
        resamples: number of bootstrap resamples.
        seed: bootstrap seed.
    """

    names: tuple[str, ...] = DEFAULT_METRICS
    threshold: float = 0.5
    failure_policy: str = "exclude"
    face_aggregation: str | None = None
    resamples: int = 2000
    seed: int = 0


def import_scores(
    file: str | Path,
    out: str | Path,
    manifests: Sequence[str | Path] = (),
    *,
    protocol: Protocol | str | Path | None = None,
    kind: str = "probability",
    model: str | None = None,
    rules: ImportRules | None = None,
    overwrite: bool = False,
) -> Run:
    """Convert a file of scores of another program to a run.

    Args:
        file: CSV, JSON, Parquet, Feather or NumPy; see ``docs/import-scores.md`` for its columns.
        out: folder of the run.
        manifests: manifests to match the samples to, by ``sample_id`` or by ``media_id`` and ``frame_index``; none:
            the file has the labels.
        protocol: protocol whose test samples the file must have, and whose rules are used; requires manifests.
        kind: ``probability`` or ``logit``.
        model: name of the detector; default: the name of the file.
        rules: rules of the metrics; not together with a protocol, which has its own.
        overwrite: whether to replace another run in ``out``.

    Returns:
        The run, with ``scores.parquet`` and ``result.json`` in its folder.

    Raises:
        UsageError: incompatible options, an unknown name, or a folder that holds something else.
        DataError: the file is invalid; the message names the rows.
        SetupError: the run cannot be written to ``out``.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    check_output_folder(out, "--out DIR")
    path, loaded = Path(file), as_protocol(protocol) if protocol is not None else None
    rules_used = _rules(loaded, rules)
    if loaded is not None and not manifests:
        raise UsageError(
            f"protocol {loaded.name!r} requires the manifest of its samples",
            f"dfbench import scores {path} --protocol {loaded.name} --manifest DIR --out RUN",
        )
    opened = [open_manifest(Path(place)) for place in manifests]
    name = model or path_text(path.stem)
    rows = read_score_file(path, kind)
    rows["condition"] = rows["condition"].mask(rows["condition"] == "", "clean") if "condition" in rows else "clean"
    frames_given = "frame_index" in rows or "sample_id" in rows
    groups_given = bool(opened) or "scene_group" in rows
    found = matched(rows, opened, loaded) if opened else self_contained(rows)
    digest = file_sha256(path)
    options: dict[str, Any] = {
        "imported": path_text(path.name),
        "file_sha256": digest,
        "kind": kind,
        "matched": "manifest" if opened else "self-contained",
        "metrics": list(rules_used.names),
        "threshold": rules_used.threshold,
        "failure_policy": rules_used.failure_policy,
        "faces": rules_used.face_aggregation,
        "resamples": rules_used.resamples,
        "seed": rules_used.seed,
    }
    run_id = make_run_id(name, digest, loaded, [m.info.hash for m in opened], options)
    folder = free_folder(Path(out), run_id, overwrite)
    scores = _table(found, name, run_id)
    result = RunResult(
        run_id=run_id,
        model=name,
        protocol=protocol_ref(loaded) if loaded else None,
        manifests=tuple(manifest_ref(m) for m in opened),
        weights=None,
        versions=library_versions(),
        device="unknown",
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        selection={"split": "none", "note": "the selection of the weights is not known for imported scores"},
        failure_policy=rules_used.failure_policy,
        faces=rules_used.face_aggregation,
        published_comparisons=published_rows(loaded) if loaded else (),
        options=options,
        coverage=tuple(coverage_rows(scores)),
        metrics=tuple(
            value.model_copy(update={"train_condition": "unknown", "training_method": "unknown"})
            for value in compute_metrics(
                scores,
                rules_used.names,
                threshold=rules_used.threshold,
                resamples=rules_used.resamples,
                seed=rules_used.seed,
                failure_policy=rules_used.failure_policy,
                face_aggregation=rules_used.face_aggregation,
            )
        ),
        warnings=(*score_warnings(scores), *_remarks(frames_given, groups_given), *_logit_warnings(rows)),
        mini="mini" in set(scores["dataset"].to_pylist()),
    )
    return Run(folder, write_run(folder, result, scores), scores)


def _rules(protocol: Protocol | None, given: ImportRules | None) -> ImportRules:
    if protocol is None:
        rules_used = given or ImportRules()
        for name in rules_used.names:
            parse_metric(name)
        return rules_used
    if given is not None:
        raise UsageError(f"protocol {protocol.name!r} has its own rules for metrics", "omit the protocol or the rules")
    if protocol.task != "binary":
        raise UsageError(
            f"protocol {protocol.name!r} has several classes, but the file has one score per sample",
            "import the scores with a binary protocol",
        )
    m = protocol.metrics
    return ImportRules(m.names, m.threshold, protocol.failure_policy, m.faces, m.resamples, m.seed)


def _table(rows: pd.DataFrame, model: str, run_id: str) -> pa.Table:
    logits = [None if np.isnan(value) else [float(value)] for value in rows["logit"]]
    columns = rows.assign(model=model, run_id=run_id)
    schema = SCORES.schema()
    arrays = [pa.array(logits if f.name == "logits" else columns[f.name], f.type, from_pandas=True) for f in schema]
    table = pa.table(arrays, schema=schema)
    SCORES.check(table, "the file")
    return table


def _logit_warnings(rows: pd.DataFrame) -> list[str]:
    """Return warnings about the logits of a file."""
    if "logit" not in rows:
        return []
    found = []
    logits, scores = (rows.loc[rows["status"] == "ok", name] for name in ("logit", "score"))
    if len(logits) and (logits.min() >= 0 or logits.max() <= 0):
        side = "below" if logits.min() >= 0 else "above"
        found.append(f"no logit is {side} 0: the scores may be percent or probabilities instead of logits")
    merged = logits.nunique() - scores.nunique()
    if merged:
        found.append(
            f"{merged} logits are equal to others as probabilities: AUC, EER and AP count them as ties; "
            "logits above about 36 cannot be distinguished"
        )
    return found


def _remarks(frames_given: bool, groups_given: bool) -> list[str]:
    found = []
    if not frames_given:
        found.append("the file has one score per video or image: results at frame and at video level are the same")
    if not groups_given:
        found.append("the file has no scene groups: intervals assume independent videos or images")
    return found
