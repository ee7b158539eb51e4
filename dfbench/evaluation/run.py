"""``evaluate``: a detector on a protocol's test samples, to a run folder of scores, metrics and examples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfbench.errors import UsageError
from dfbench.evaluation.data import as_protocol, crop_profile, manifest_ref, open_manifests, role_data
from dfbench.evaluation.detector import load_detector
from dfbench.evaluation.store import make_run_id, published_rows, run_folder, write_run
from dfbench.metrics import compute_metrics, coverage_rows
from dfbench.models.card import Intended, WeightCard, crop_mismatch
from dfbench.models.files import file_sha256
from dfbench.models.registry import get_spec
from dfbench.models.versions import library_versions
from dfbench.progress import progress
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import MetricValue, ProtocolRef, RunResult, WeightsRef

UNSELECTED = {"split": "none", "note": "the weights come with the user's own model"}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its folder, its ``result.json`` and its scores (see :data:`dfbench.schema.scores.SCORES`)."""

    folder: Path
    result: RunResult
    scores: pa.Table


def evaluate(
    model: str,
    protocol: Protocol | str | Path = "mini",
    manifests: Sequence[str | Path] = (),
    weights: str | Path | None = None,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    batch_size: int = 64,
    workers: int = 0,
    precision: str = "fp32",
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Run:
    """Score a protocol's test samples and compute its metrics.

    Args:
        model: a registered name, or a user's own ``file.py:attr``, which without ``weights`` is taken as it comes.
        protocol: a protocol, its name or its file.
        manifests: manifest folders; default: those of the workspace.
        weights: a safetensors file with its card; default: those of the workspace for this model and protocol.
        out: the run's folder; default: a folder of the workspace named after protocol, model and run.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: images a step; it does not change a score beyond rounding.
        workers: processes that read images.
        precision: ``fp32`` or ``bf16``.
        allow_crop_mismatch: use weights trained on other crops.
        allow_mini_weights: use weights trained on invented faces on real data.
        overwrite: replace another run in ``out``.
        quiet: no progress bar.

    Returns:
        The run. In its folder: ``scores.parquet``, ``examples.parquet``, and last ``result.json``.

    Raises:
        UsageError: an unknown name, option or device, a condition that is not implemented, a folder in use.
        DataError: a manifest is missing or can not serve the protocol.
        ModelError: the weights are missing, damaged or belong elsewhere.
    """
    import torch

    from dfbench.evaluation.examples import examples_table
    from dfbench.evaluation.scoring import score_images
    from dfbench.evaluation.table import scores_table
    from dfbench.models.device import device_label, resolve_device

    started, clock = datetime.now(UTC), time.monotonic()
    rules = as_protocol(protocol)
    _only_clean(rules)
    spec = get_spec(model)
    where = resolve_device(device)
    opened = open_manifests(rules, manifests, ("test",))
    profile = crop_profile(rules, opened)
    intended = Intended(
        model=model,
        num_classes=rules.num_classes,
        classes=rules.classes,
        profile=profile,
        size=rules.crops.size,
        protocol=rules.name,
        allow_crop_mismatch=allow_crop_mismatch,
        allow_mini_weights=allow_mini_weights,
    )
    ready = load_detector(model, rules, weights, intended)
    options: dict[str, Any] = {
        "precision": precision,
        "allow_crop_mismatch": allow_crop_mismatch,
        "allow_mini_weights": allow_mini_weights,
    }
    if spec.provenance == "user" and Path(spec.target.rpartition(":")[0]).is_file():
        options["code_sha256"] = file_sha256(Path(spec.target.rpartition(":")[0]))
    run_id = make_run_id(spec.name, ready.sha256, rules, [m.info.hash for m in opened], options)
    folder = run_folder(out, rules, spec.name, run_id, overwrite)
    data = role_data(rules, opened, "test")
    network = ready.model.to(device=where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with progress(f"evaluate {spec.name}", len(data.ok), "img", quiet=quiet) as advance:
        logits = score_images(
            network,
            data.images,
            where,
            batch_size=batch_size,
            workers=workers,
            precision=precision,
            advance=advance,
        )
    scores = scores_table(data, logits, spec.name, run_id)
    result = RunResult(
        run_id=run_id,
        model=spec.name,
        protocol=ProtocolRef(name=rules.name, version=rules.version, hash=rules.hash),
        manifests=tuple(manifest_ref(m) for m in opened),
        weights=WeightsRef(sha256=ready.sha256, card=ready.card.model_dump(mode="json") if ready.card else {}),
        versions=library_versions(),
        device=device_label(where),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        selection=ready.card.selection.model_dump() if ready.card else UNSELECTED,
        failure_policy=rules.failure_policy,
        published_comparisons=published_rows(rules),
        options=options,
        coverage=tuple(coverage_rows(scores)),
        metrics=tuple(protocol_metrics(scores, rules, ready.card, profile)),
        mini="mini" in rules.datasets() or bool(ready.card and ready.card.mini),
        crop_mismatch=crop_mismatch(ready.card, profile, rules.crops.size) if ready.card else "",
    )
    written = write_run(folder, result, scores, examples_table(network, data, scores, where))
    return Run(folder, written, scores)


def protocol_metrics(scores: pa.Table, rules: Protocol, card: WeightCard | None, profile: str) -> list[MetricValue]:
    """The metrics that a protocol asks for; beside them the crops and the card's training condition and seed."""
    return compute_metrics(
        scores,
        rules.metrics.names,
        threshold=rules.metrics.threshold,
        resamples=rules.metrics.resamples,
        seed=rules.metrics.seed,
        per_manipulation=rules.metrics.per_manipulation,
        failure_policy=rules.failure_policy,
        profile=profile,
        size=rules.crops.size,
        train_condition=card.train_condition if card else "clean",
        train_seed=card.seed if card else None,
    )


def _only_clean(protocol: Protocol) -> None:
    strange = [c for c in protocol.conditions.test if c != "clean"]
    if strange:
        raise UsageError(
            f"protocol {protocol.name!r} tests under {strange[0]!r}; this version scores clean samples alone",
            'set test = ["clean"] under [conditions]',
        )
