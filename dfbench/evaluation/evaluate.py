"""Execute an evaluation plan: a detector on a protocol's test samples, to a run folder of scores, metrics, examples."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.config import runs_home
from dfbench.degrade import Condition
from dfbench.errors import UsageError
from dfbench.evaluation.dataset import RoleData, manifest_ref
from dfbench.evaluation.decision import decision_of
from dfbench.evaluation.detector import NO_WEIGHTS, LoadedDetector, doubt_of, load_detector
from dfbench.evaluation.partial_results import ConditionScores, LogitParts, partial_key
from dfbench.evaluation.plan import EvaluationPlan
from dfbench.evaluation.run import Run
from dfbench.evaluation.run_metrics import in_detail, run_baselines, run_metrics, run_robustness
from dfbench.evaluation.run_store import published_rows, write_run
from dfbench.io import check_output_folder
from dfbench.metrics import coverage_rows, score_warnings
from dfbench.models.card import crop_mismatch
from dfbench.models.options import cautions
from dfbench.progress import progress
from dfbench.protocols.reference import protocol_ref
from dfbench.schema.result import RunResult, WeightsRef
from dfbench.versions import library_versions

if TYPE_CHECKING:
    import torch
    from torch import nn

UNSELECTED = {"split": "none", "note": "the weights come with the user's own model"}


def run_evaluation(plan: EvaluationPlan) -> Run:
    """Score the test samples, compute the metrics and write the run folder.

    An interrupted or killed run continues where it was when the same plan is executed again: finished conditions are
    kept, and of an unfinished one all but the last few batches.

    Args:
        plan: with its manifests prepared, and weights unless the detector brings its own.

    Returns:
        The run. Its folder holds ``scores.parquet``, ``examples.parquet``, and last ``result.json``.

    Raises:
        UsageError: the folder holds another run.
        ModelError: the weights do not fit, or the logits are not finite.
        SetupError: the device is not available, the network cannot be compiled, or a file cannot be written; what is
            finished is kept.
    """
    from dfbench.evaluation.examples import examples_table
    from dfbench.evaluation.inference import compile_network, move_to_device
    from dfbench.models.device import device_label, resolve_device

    check_output_folder(plan.out or runs_home(), "--out DIR")
    started, clock = datetime.now(UTC), time.monotonic()
    device = resolve_device(plan.compute.device)
    data = _samples(plan)
    detector = load_detector(
        plan.source,
        plan.protocol.num_classes,
        plan.protocol.crops.size,
        plan.weights,
        plan.card,
        options=plan.options,
        built=plan.built,
    )
    run_id = plan.run_id(detector.sha256)
    folder = plan.folder(run_id)
    network = move_to_device(detector.network, device)
    if plan.compute.compiled:
        compile_network(network, device, plan.protocol.crops.size)
    kept = ConditionScores(folder, partial_key(run_id, library_versions()))
    scored = [device.type, str(plan.batch_size), *data.sample_ids]
    tables = list(kept.each(plan.conditions.conditions, _scorer(plan, data, network, device, run_id), scored))
    scores = pa.concat_tables(tables, promote_options="default").combine_chunks()
    result = _result(plan, data, detector, run_id, scores).model_copy(
        update={
            "device": device_label(device),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 3),
        }
    )
    shown = data.images_under(plan.conditions.conditions[0], hold=len(tables) > 1)
    written = write_run(folder, result, scores, examples_table(network, data, tables[0], device, shown), plan.files)
    kept.clear()
    return Run(folder, written, scores)


def _samples(plan: EvaluationPlan) -> RoleData:
    if plan.data is None:
        plan.opened()
        raise UsageError("the plan has no samples", "add its manifests: plan.with_manifests")
    return plan.data


def _scorer(
    plan: EvaluationPlan, data: RoleData, network: nn.Module, device: torch.device, run_id: str
) -> Callable[[Condition, LogitParts], pa.Table]:
    """Return a function that scores all samples under one condition but for those whose logits are stored."""
    from torch.utils.data import Subset

    from dfbench.evaluation.inference import score_images
    from dfbench.evaluation.loader import worker_count
    from dfbench.evaluation.scores_table import scores_table

    name, compute, decision = plan.source.name, plan.compute, decision_of(plan.protocol, plan.card)
    several = len(plan.conditions.conditions) > 1

    def score(condition: Condition, parts: LogitParts) -> pa.Table:
        title = f"evaluate {name}" + (f" under {condition.name}" if several else "")
        images = data.images_under(condition, hold=several, quiet=compute.quiet)
        stored = parts.load()
        done, total = len(stored), len(data.ok)
        with progress(title, total, "img", done=done, quiet=compute.quiet) as advance:
            logits = score_images(
                network,
                Subset(images, range(done, total)),
                device,
                batch_size=plan.batch_size,
                workers=worker_count(compute.workers, device),
                precision=compute.precision,
                advance=advance,
                keep=parts.add,
            )
        if done:
            logits = np.concatenate([stored, logits]) if done < total else stored
        return scores_table(data, logits, name, run_id, condition, temperature=decision.temperature)

    return score


def _result(plan: EvaluationPlan, data: RoleData, detector: LoadedDetector, run_id: str, scores: pa.Table) -> RunResult:
    """Return the content of ``result.json`` but for the device and the time."""
    protocol, card = plan.protocol, detector.card
    decision = decision_of(protocol, card)
    # What is the same under every condition of a suite is computed once.
    detailed = scores.filter(in_detail(scores, plan.conditions))
    doubt = doubt_of(plan.source, detector.network, _logits(detailed) * decision.temperature)
    return RunResult(
        run_id=run_id,
        model=plan.source.name,
        protocol=protocol_ref(protocol),
        manifests=tuple(manifest_ref(m) for m in plan.opened()),
        weights=WeightsRef(sha256=detector.sha256, card=card.model_dump(mode="json") if card else {}),
        versions=library_versions(),
        device="",
        started="",
        seconds=0.0,
        selection=card.selection.model_dump() if card else UNSELECTED,
        failure_policy=protocol.failure_policy,
        caution="; ".join(filter(None, [protocol.caution, *cautions(plan.source.spec, protocol.crops.size)])),
        faces=protocol.metrics.faces,
        classes=protocol.classes,
        real_classes=protocol.reals,
        published_comparisons=published_rows(protocol),
        options=plan.run_options(),
        coverage=tuple(coverage_rows(scores)),
        metrics=run_metrics(scores, protocol, plan.conditions, plan.profile, card),
        baselines=run_baselines(detailed, data, plan.conditions, plan.profile),
        warnings=(
            *score_warnings(detailed),
            *([] if card else [NO_WEIGHTS]),
            *([decision.warning] if decision.warning else []),
            *([doubt] if doubt else []),
        ),
        robustness=run_robustness(scores, protocol, plan.conditions, decision.threshold),
        unavailable=dict(plan.conditions.unavailable),
        mini="mini" in protocol.datasets() or bool(card and card.mini),
        crop_mismatch=crop_mismatch(card, plan.profile, protocol.crops.size) if card else "",
    )


def _logits(scores: pa.Table) -> NDArray[np.float64]:
    known = scores["logits"].drop_null().combine_chunks()
    values: NDArray[np.float64] = known.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(max(1, len(known)), -1)
