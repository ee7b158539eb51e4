"""Resolve an evaluation into a frozen plan, and run it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.config import mini_options, runs_home
from dfbench.errors import UsageError
from dfbench.evaluation.conditions import plan_conditions
from dfbench.evaluation.dataset import as_path, as_protocol, find_manifests
from dfbench.evaluation.detector import build_for_evaluation, find_weights
from dfbench.evaluation.labelled_folder import plan_folder
from dfbench.evaluation.plan import EvaluationPlan, check_compute, check_roots
from dfbench.evaluation.run_store import PROTOCOL_FILE
from dfbench.io import check_output_folder
from dfbench.metrics import parse_metric
from dfbench.models.build import check_options, state_sha256
from dfbench.models.options import get_preset
from dfbench.models.source import BuiltNetwork, ModelLike, model_source
from dfbench.preparation.prepare import resolve_preparation
from dfbench.protocols.protocol import Protocol
from dfbench.training.plan import TrainingPlan
from dfbench.workflow.steps import missing_preparations, run_preparations, same_parameters
from dfbench.workflow.training import execute_training, resolve_training

if TYPE_CHECKING:
    from dfbench.evaluation.run import Run
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.prepare import PreparationPlan

logger = logging.getLogger("dfbench")


@dataclass(frozen=True, eq=False)
class EvaluationWorkflow:
    """An evaluation and what it needs first.

    Attributes:
        evaluation: the evaluation.
        preparations: manifests to be prepared, by data set.
        training: the training whose weights are evaluated; None where there are weights.
        notes: remarks for the user.
    """

    evaluation: EvaluationPlan
    preparations: Mapping[str, PreparationPlan]
    training: TrainingPlan | None = None
    notes: tuple[str, ...] = ()

    def run(self) -> Run:
        """Execute the plan; see :func:`evaluate` for the errors."""
        from dfbench.evaluation.evaluate import run_evaluation

        evaluation = self.ready()
        logger.info("evaluate %s on protocol %s", evaluation.source.name, evaluation.protocol.name)
        return run_evaluation(evaluation)

    def ready(self) -> EvaluationPlan:
        """Prepare manifests and train weights where they are missing; returns the plan with both."""
        made = run_preparations(self.preparations, self.notes)
        evaluation = self.evaluation.with_manifests(made)
        if self.training is not None:
            logger.info(
                "no weights of %r for protocol %r: training them first (once, a few minutes)",
                evaluation.source.reference,
                evaluation.protocol.name,
            )
            evaluation = evaluation.with_weights(execute_training(self.training.with_manifests(made)))
        return evaluation


def resolve_evaluation(
    model: ModelLike,
    protocol: Protocol | str | Path | None = None,
    manifests: Sequence[str | Path | Manifest] | str | Path | Manifest = (),
    weights: str | Path | None = None,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    frames: int | None = None,
    preset: str = "",
    options: Mapping[str, Any] | None = None,
    conditions: Sequence[str] | str = (),
    roots: Mapping[str, str | Path] | None = None,
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    precision: str = "fp32",
    allow_crop_mismatch: bool = False,
    allow_mini_weights: bool = False,
    overwrite: bool = False,
    compiled: bool = False,
    quiet: bool = False,
) -> EvaluationWorkflow:
    """Check the arguments of :func:`evaluate` and plan its work, writing nothing.

    Returns:
        The plan; ``plan.run()`` evaluates.

    Raises:
        DfbenchError: as :func:`evaluate`.
    """
    where = as_path(out, "the run's folder") if out is not None else None
    check_output_folder(where or runs_home(), "--out DIR")
    source, given = model_source(model), as_path(weights, "a weight file") if weights is not None else None
    get_preset(source.spec, preset)
    compute = check_compute(device, workers, precision, quiet)
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, not {batch_size}", "the default is 64")
    if data is not None and (protocol is not None or manifests):
        raise UsageError("data is evaluated without a protocol or manifests", "drop --protocol and --manifest")
    if data is None and frames is not None:
        raise UsageError("the protocol states the frames", "drop --frames; it goes with --data")
    folder = plan_folder(as_path(data, "a labelled folder"), source, given, frames or 32) if data is not None else None
    rules = folder.protocol if folder is not None else as_protocol("mini" if protocol is None else protocol)
    for name in rules.metrics.names:
        parse_metric(name)
    added = (conditions,) if isinstance(conditions, str) else tuple(conditions)
    planned = plan_conditions(rules, added)
    chosen = dict(options or {})
    check_options(source.spec, rules.num_classes, rules.crops.size, chosen)
    media = check_roots(roots, rules.datasets("test"))
    path = find_weights(source, rules, given, preset)
    training: TrainingPlan | None = None
    if folder is not None:
        media.setdefault(folder.dataset, folder.root)
        found: dict[str, Manifest | None] = {folder.dataset: None}
        preparations = {folder.dataset: resolve_preparation(folder.dataset, quiet=quiet, **folder.preparation)}
    elif path is None and not source.is_custom:
        common: dict[str, Any] = {"device": device, "workers": workers, "options": chosen, "quiet": quiet}
        common["preset"] = preset
        first = resolve_training(source, rules, manifests, roots=media, **common, **mini_options().training)
        training, found, preparations = first.training, dict(first.training.manifests), dict(first.preparations)
    else:
        found = find_manifests(rules, manifests, ("test",))
        preparations = missing_preparations(found, rules, quiet)
    plan = EvaluationPlan(
        source=source,
        protocol=rules,
        conditions=planned,
        manifests={name: found[name] for name in rules.datasets("test")},
        options=chosen,
        preset=preset,
        given_conditions=added,
        roots=media,
        out=where,
        overwrite=overwrite,
        batch_size=batch_size,
        allow_crop_mismatch=allow_crop_mismatch,
        allow_mini_weights=allow_mini_weights,
        compute=replace(compute, compiled=compiled),
        files={PROTOCOL_FILE: folder.text} if folder is not None else {},
    )
    if path is not None:
        plan = plan.with_weights(path)
    if source.is_custom:
        network = build_for_evaluation(source, rules.num_classes, rules.crops.size, plan.card, chosen)
        state = state_sha256(network) if plan.card is None else ""
        plan = replace(plan, built=BuiltNetwork(network), state=state)
    plan = plan.with_manifests({})
    plan.check_folder()
    return EvaluationWorkflow(
        plan, preparations, training, (*plan.notes(), *(folder.notes if folder is not None else ()))
    )


@same_parameters(resolve_evaluation)
def evaluate(*args: Any, **options: Any) -> Run:  # noqa: D417
    """Score the test samples of a protocol, or a labelled folder, and compute the metrics.

    For the protocol ``mini`` the embedded data set is generated and prepared, and a registered detector without
    weights is trained, where this has not been done yet. An interrupted or killed run continues where it was when the
    same call is made again.

    Args:
        model: a registered name, ``path/to/file.py:attr``, ``package.module:attr``, or an ``nn.Module`` instance, class
            or factory. A custom detector without ``weights`` is evaluated with the weights from its constructor.
        protocol: a protocol, its name or its file; default: ``mini``.
        manifests: manifests or their folders; default: those of the workspace.
        weights: a safetensors file with its card; default: those of the workspace for this model and protocol.
        out: the run's folder; default: a folder of the workspace named after protocol, model and run.
        data: a folder with subfolders ``real`` and ``fake``, or with ``media.csv``, in place of a protocol: it is
            prepared with the crops that the weights were trained on and evaluated.
        frames: frames per clip of ``data``; default: 32.
        preset: preset that the weights were trained with; default weights are found, or trained, by it, and weights
            with other options are refused.
        options: options of the detector in place of those in the weights' card.
        conditions: degradations to evaluate under in addition to the protocol's, for example ``JP60``,
            ``h264:crf=40@clip``, or ``suite:robustness/v1``; conditions of a suite that are not available on this
            machine are skipped and named in the result.
        roots: data set -> root of its media, for conditions that act before cropping; default: the configuration.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: images per step; it does not change a score beyond rounding.
        workers: processes that read images; default: none on a CPU, one per CPU core for a GPU.
        precision: ``fp32``, ``bf16``, or ``fp16`` on a GPU.
        allow_crop_mismatch: accept weights that were trained on other crops.
        allow_mini_weights: accept weights that were trained on invented faces.
        overwrite: replace another run in ``out``.
        compiled: compile the network with ``torch.compile``; scores may differ in the last digits.
        quiet: no progress bar.

    Returns:
        The run. Its folder holds ``scores.parquet``, ``examples.parquet``, and last ``result.json``.

    Raises:
        UsageError: an unknown name, option or device, a condition that is not well formed, a folder in use.
        DataError: a manifest is missing or does not fit the protocol, ``data`` has no labels, or the media that a
            condition needs are not available.
        ModelError: the weights are missing, damaged or do not fit.
        SetupError: a package, a device or an encoder is missing, or a file cannot be written.
    """
    return resolve_evaluation(*args, **options).run()
