"""``import scores``: a file of scores that any other program made becomes a run like ours."""

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
from dfbench.io import file_sha256
from dfbench.manifest.manifest import open_manifest
from dfbench.metrics import compute_metrics, coverage_rows, parse_metric, score_warnings
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.schema.result import RunResult
from dfbench.schema.scores import SCORES
from dfbench.versions import library_versions

DEFAULT_METRICS = tuple(
    f"{metric}.{level}" for level in ("frame", "video.mean") for metric in ("acc", "bacc", "auc", "eer", "ap")
)
"""What is computed where no protocol says what."""


@dataclass(frozen=True)
class ImportRules:
    """How imported scores are judged where no protocol says it.

    Attributes:
        names: of metrics.
        threshold: fake from this score on.
        failure_policy: what a sample without a score counts as.
        face_aggregation: how several faces of a frame become one.
        resamples: of the bootstrap.
        seed: of its draws.
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
    """Make a run of a foreign file of scores.

    Args:
        file: CSV or Parquet; see ``docs/import-scores.md`` for its columns.
        out: folder of the run.
        manifests: what the samples are matched to, by ``sample_id`` or by ``media_id`` and ``frame_index``; none: the
            file holds labels itself.
        protocol: whose test samples the file must hold, and whose rules it is judged by; needs manifests.
        kind: ``probability`` or ``logit``.
        model: what the detector is called; default: the file's name.
        rules: how the scores are judged; not together with a protocol, which says that itself.
        overwrite: replace another run in ``out``.

    Returns:
        The run, with ``scores.parquet`` and ``result.json`` in its folder.

    Raises:
        UsageError: options that do not go together, an unknown name, a folder in use.
        DataError: the file is not what it should be; the rows are named.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    path, loaded = Path(file), as_protocol(protocol) if protocol is not None else None
    judged = _rules(loaded, rules)
    if loaded is not None and not manifests:
        raise UsageError(
            f"protocol {loaded.name!r} needs the manifest that its samples stand in",
            f"dfbench import scores {path} --protocol {loaded.name} --manifest DIR --out RUN",
        )
    opened = [open_manifest(Path(place)) for place in manifests]
    name = model or path.stem
    rows = read_score_file(path, kind)
    rows["condition"] = rows["condition"].mask(rows["condition"] == "", "clean") if "condition" in rows else "clean"
    frames_given = "frame_index" in rows or "sample_id" in rows
    groups_given = bool(opened) or "scene_group" in rows
    found = matched(rows, opened, loaded) if opened else self_contained(rows)
    digest = file_sha256(path)
    options: dict[str, Any] = {
        "imported": path.name,
        "file_sha256": digest,
        "kind": kind,
        "matched": "manifest" if opened else "self-contained",
        "metrics": list(judged.names),
        "threshold": judged.threshold,
        "failure_policy": judged.failure_policy,
        "faces": judged.face_aggregation,
        "resamples": judged.resamples,
        "seed": judged.seed,
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
        selection={"split": "none", "note": "imported scores do not say how the weights were chosen"},
        failure_policy=judged.failure_policy,
        faces=judged.face_aggregation,
        published_comparisons=published_rows(loaded) if loaded else (),
        options=options,
        coverage=tuple(coverage_rows(scores)),
        metrics=tuple(
            compute_metrics(
                scores,
                judged.names,
                threshold=judged.threshold,
                resamples=judged.resamples,
                seed=judged.seed,
                failure_policy=judged.failure_policy,
                face_aggregation=judged.face_aggregation,
                train_condition="unknown",
            )
        ),
        warnings=(*score_warnings(scores), *_remarks(frames_given, groups_given), *_doubts_of_logits(rows)),
        mini="mini" in set(scores["dataset"].to_pylist()),
    )
    return Run(folder, write_run(folder, result, scores), scores)


def _rules(protocol: Protocol | None, given: ImportRules | None) -> ImportRules:
    if protocol is None:
        judged = given or ImportRules()
        for name in judged.names:
            parse_metric(name)
        return judged
    if given is not None:
        raise UsageError(
            f"protocol {protocol.name!r} says itself how scores are judged", "leave the protocol or the rules out"
        )
    if protocol.task != "binary":
        raise UsageError(
            f"protocol {protocol.name!r} tells several classes apart; one score a sample does not",
            "import scores for a protocol of reals and fakes",
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


def _doubts_of_logits(rows: pd.DataFrame) -> list[str]:
    """What looks wrong about log-odds of a file, before they became probabilities."""
    if "logit" not in rows:
        return []
    found = []
    logits, scores = (rows.loc[rows["status"] == "ok", name] for name in ("logit", "score"))
    if len(logits) and (logits.min() >= 0 or logits.max() <= 0):
        side = "below" if logits.min() >= 0 else "above"
        found.append(f"no logit lies {side} 0: percent or probabilities are no logits")
    merged = logits.nunique() - scores.nunique()
    if merged:
        found.append(
            f"{merged} logits have become equal to others as probabilities: AUC, EER and AP count them as ties; "
            "the largest that stay apart are about 36"
        )
    return found


def _remarks(frames_given: bool, groups_given: bool) -> list[str]:
    found = []
    if not frames_given:
        found.append("one score a medium was given: numbers at frame and at video level are the same")
    if not groups_given:
        found.append("no scene groups were given: intervals take media as independent")
    return found
