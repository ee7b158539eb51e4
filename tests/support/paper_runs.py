"""Run folders as an evaluation by a paper's protocol would leave them, with synthetic scores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.metrics import compute_metrics, coverage_rows
from dfbench.protocols.files import load_protocol
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.result import ProtocolRef, RunResult, WeightsRef
from dfbench.schema.scores import SCORES


def scores_table(
    dataset: str, subset: str, condition: str, model: str, run_id: str, gaps: Mapping[str, float], seed: int
) -> pa.Table:
    """Thirty real clips and forty fake ones of each method, of two frames, each a scene group of its own.

    ``gaps`` has the distance of the logits of each method from those of the reals.
    """
    rng = np.random.default_rng(seed)
    rows = []
    clips = [("real", 0.0, n) for n in range(30)]
    clips += [(method, gap, n) for method, gap in gaps.items() for n in range(30, 70)]
    real = fmean(gaps.values()) / 2
    for method, gap, number in clips:
        fake = method != "real"
        clip = media_id(dataset, subset, method, f"{number:03d}")
        for frame in range(2):
            logit = rng.normal() + gap - real
            rows.append(
                {
                    "sample_id": sample_id(clip, frame),
                    "media_id": clip,
                    "dataset": dataset,
                    "subset": subset,
                    "manipulation": method,
                    "split": "test",
                    "scene_group": clip,
                    "label": int(fake),
                    "class": method,
                    "condition": condition,
                    "model": model,
                    "run_id": run_id,
                    "status": "ok",
                    "score": float(1 / (1 + np.exp(-logit))),
                    "logits": [0.0, float(logit)],
                }
            )
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def write_paper_run(
    folder: Path,
    protocol: str,
    model: str = "grnet",
    dataset: str = "hff",
    *,
    subset: str = "all",
    condition: str | None = None,
    gap: float | Mapping[str, float] = 2.0,
    metrics: Sequence[str] = (),
    seed: int = 7,
    scores_seed: int | None = None,
    options: dict[str, Any] | None = None,
    trained_by: str | None = None,
    card: bool | dict[str, Any] = True,
    rule: dict[str, Any] | None = None,
    protocol_ref: ProtocolRef | str | None = "",
    **changes: Any,
) -> Path:
    """Write a run of a detector that was trained and tested by a protocol.

    ``gap`` is how well it separates reals from fakes, or from those of each method; ``metrics`` which of the protocol's
    are computed (default: all). ``rule`` changes what its numbers say, ``card`` what its weights' card says,
    ``protocol_ref`` what the run says it followed.
    """
    rules = load_protocol(protocol)
    run_id = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    under = condition or rules.conditions.test[0]
    gaps = {"forged": gap} if isinstance(gap, float) else gap
    table = scores_table(dataset, subset, under, model, run_id, gaps, seed if scores_seed is None else scores_seed)
    beside: dict[str, Any] = {
        "profile": rules.crops.profile,
        "size": rules.crops.size,
        "train_condition": rules.conditions.train,
        "seed": seed,
    }
    update = beside | (rule or {})
    values = [
        v.model_copy(update=update) for v in compute_metrics(table, metrics or rules.metrics.names, resamples=200)
    ]
    trained = load_protocol(trained_by or protocol)
    content = {
        "protocol": {"name": trained.name, "version": trained.version, "hash": trained.hash},
        "options": options or {},
        "train_condition": trained.conditions.train,
        "seed": seed,
    }
    content |= card if isinstance(card, dict) else {}
    fields: dict[str, Any] = {
        "run_id": run_id,
        "model": model,
        "protocol": ProtocolRef(name=rules.name, version=rules.version, hash=rules.hash)
        if protocol_ref == ""
        else protocol_ref,
        "manifests": (),
        "weights": WeightsRef(sha256="ef" * 32, card=content if card else {}),
        "versions": {},
        "device": "cpu",
        "started": "2026-01-01T00:00:00",
        "seconds": 1.0,
        "selection": {"split": "val", "metric": rules.selection.metric},
        "failure_policy": "exclude",
        "coverage": tuple(coverage_rows(table)),
        "metrics": tuple(values),
        "mini": False,
    }
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "scores.parquet")
    digest = hashlib.sha256((folder / "scores.parquet").read_bytes()).hexdigest()
    result = RunResult(**(fields | {"scores_sha256": digest} | changes))
    (folder / "result.json").write_text(result.model_dump_json(), "utf-8")
    return folder
