"""``evaluate``: a detector on a protocol's test samples, to a run folder of scores, metrics and examples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.degrade import Condition
from dfbench.evaluation.conditions import ConditionPlan, plan_conditions
from dfbench.evaluation.dataset import as_protocol, crop_profile, manifest_ref, open_manifests, role_data
from dfbench.evaluation.detector import NO_WEIGHTS, load_detector
from dfbench.evaluation.partial_results import Cells, cell_key
from dfbench.evaluation.run import Run
from dfbench.evaluation.run_store import make_run_id, published_rows, run_folder, write_run
from dfbench.evaluation.trivial_baselines import cheap_baselines, media_facts
from dfbench.io import file_sha256
from dfbench.metrics import compute_metrics, coverage_rows, parse_metric, score_warnings
from dfbench.metrics.robustness import robustness
from dfbench.models.card import Intended, WeightCard, crop_mismatch
from dfbench.models.registry import get_spec
from dfbench.progress import progress
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.schema.result import MetricValue, Robustness, RunResult, WeightsRef
from dfbench.versions import library_versions

UNSELECTED = {"split": "none", "note": "the weights come with the user's own model"}


def evaluate(
    model: str,
    protocol: Protocol | str | Path = "mini",
    manifests: Sequence[str | Path] = (),
    weights: str | Path | None = None,
    out: str | Path | None = None,
    *,
    conditions: Sequence[str] = (),
    roots: Mapping[str, str | Path] | None = None,
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

    An interrupted run of several conditions goes on with the missing ones when the same call is made again.

    Args:
        model: a registered name, or a user's own ``file.py:attr``, which without ``weights`` is taken as it comes.
        protocol: a protocol, its name or its file.
        manifests: manifest folders; default: those of the workspace.
        weights: a safetensors file with its card; default: those of the workspace for this model and protocol.
        out: the run's folder; default: a folder of the workspace named after protocol, model and run.
        conditions: degradations to evaluate under beside the protocol's, for example ``JP60``,
            ``h264:crf=40@clip``, or ``suite:robustness/v1``; what of a suite can not run here is left out and named in
            the result.
        roots: data set -> root of its media, for conditions that act before cropping; default: the configuration.
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
        UsageError: an unknown name, option or device, a condition that is not well formed, a folder in use.
        DataError: a manifest is missing or can not serve the protocol, or a condition's media are not at hand.
        SetupError: a condition that was named itself needs an encoder that is missing.
        ModelError: the weights are missing, damaged or belong elsewhere.
    """
    from dfbench.evaluation.examples import examples_table
    from dfbench.evaluation.inference import score_images
    from dfbench.evaluation.pictures import put_on
    from dfbench.evaluation.scores_table import scores_table
    from dfbench.models.device import device_label, resolve_device

    started, clock = datetime.now(UTC), time.monotonic()
    rules = as_protocol(protocol)
    for name in rules.metrics.names:
        parse_metric(name)
    plan = plan_conditions(rules, conditions)
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
    if conditions:
        options["conditions"] = list(conditions)
    run_id = make_run_id(spec.name, ready.sha256, rules, [m.info.hash for m in opened], options)
    folder = run_folder(out, rules, spec.name, run_id, overwrite)
    data = role_data(rules, opened, "test", roots=roots)
    for condition in plan.conditions:  # what is missing is said before anything is scored
        data.degraders(condition)
    network = put_on(ready.model, where)
    several = len(plan.conditions) > 1

    def score(condition: Condition) -> pa.Table:
        title = f"evaluate {spec.name}" + (f" under {condition.name}" if several else "")
        images = data.images_under(condition, hold=several, quiet=quiet)
        with progress(title, len(data.ok), "img", quiet=quiet) as advance:
            logits = score_images(
                network,
                images,
                where,
                batch_size=batch_size,
                workers=workers,
                precision=precision,
                advance=advance,
            )
        return scores_table(data, logits, spec.name, run_id, condition)

    cells = Cells(folder, cell_key(run_id, library_versions()))
    parts = list(cells.each(plan.conditions, score))
    scores = pa.concat_tables(parts).combine_chunks()
    # What is the same under every condition of a suite is said once.
    looked_into = scores.filter(_in_detail(scores, plan))
    shown = data.images_under(plan.conditions[0], hold=several)
    result = RunResult(
        run_id=run_id,
        model=spec.name,
        protocol=protocol_ref(rules),
        manifests=tuple(manifest_ref(m) for m in opened),
        weights=WeightsRef(sha256=ready.sha256, card=ready.card.model_dump(mode="json") if ready.card else {}),
        versions=library_versions(),
        device=device_label(where),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        selection=ready.card.selection.model_dump() if ready.card else UNSELECTED,
        failure_policy=rules.failure_policy,
        caution=rules.caution,
        faces=rules.metrics.faces,
        classes=rules.classes,
        published_comparisons=published_rows(rules),
        options=options,
        coverage=tuple(coverage_rows(scores)),
        metrics=tuple(protocol_metrics(scores, rules, ready.card, profile, plan)),
        baselines=cheap_baselines(
            looked_into,
            media_facts(data),
            lambda table, names: protocol_metrics(table, rules, None, profile, plan, names),
            rules.metrics.names,
            rules.classes,
        ),
        warnings=(*score_warnings(looked_into), *([] if ready.card else [NO_WEIGHTS])),
        robustness=tuple(protocol_robustness(scores, rules, plan)),
        unavailable=dict(plan.unavailable),
        mini="mini" in rules.datasets() or bool(ready.card and ready.card.mini),
        crop_mismatch=crop_mismatch(ready.card, profile, rules.crops.size) if ready.card else "",
    )
    written = write_run(folder, result, scores, examples_table(network, data, parts[0], where, shown))
    cells.clear()
    return Run(folder, written, scores)


def protocol_metrics(
    scores: pa.Table,
    rules: Protocol,
    card: WeightCard | None,
    profile: str,
    plan: ConditionPlan,
    names: Sequence[str] | None = None,
) -> list[MetricValue]:
    """The metrics that a protocol asks for, with its crops and the card's training condition and seed beside them.

    Each manipulation apart is computed for conditions that were named themselves, not for all of a suite.

    Args:
        scores: of a run.
        rules: the protocol.
        card: of the weights.
        profile: crop profile of the manifests.
        plan: the run's conditions.
        names: other metrics than the protocol's.
    """
    values: list[MetricValue] = []
    detailed = _in_detail(scores, plan)
    for part, per_manipulation in ((detailed, rules.metrics.per_manipulation), (pc.invert(detailed), False)):
        if pc.any(part).as_py():
            values += compute_metrics(
                scores.filter(part),
                rules.metrics.names if names is None else names,
                threshold=rules.metrics.threshold,
                resamples=rules.metrics.resamples,
                seed=rules.metrics.seed,
                per_manipulation=per_manipulation,
                failure_policy=rules.failure_policy,
                face_aggregation=rules.metrics.faces,
                classes=rules.classes,
                profile=profile,
                size=rules.crops.size,
                train_condition=card.train_condition if card else "clean",
                train_seed=card.seed if card else None,
            )
    return values


def _in_detail(scores: pa.Table, plan: ConditionPlan) -> pa.ChunkedArray:
    """Which rows are of conditions that were named themselves, not only as a part of a suite."""
    briefly = set(plan.names) - plan.in_detail
    return pc.invert(pc.is_in(scores["condition"], value_set=pa.array(sorted(briefly), pa.string())))


def protocol_robustness(scores: pa.Table, rules: Protocol, plan: ConditionPlan) -> list[Robustness]:
    """Drops, means over families and worst conditions of the protocol's AUC and ACC."""
    return robustness(
        scores,
        [name for name in rules.metrics.names if parse_metric(name).metric in ("auc", "acc")],
        plan.origins,
        threshold=rules.metrics.threshold,
        resamples=rules.metrics.resamples,
        seed=rules.metrics.seed,
        failure_policy=rules.failure_policy,
        face_aggregation=rules.metrics.faces,
        classes=rules.classes,
    )
