"""Resolve a request into a frozen plan, and run plans. The command line and Python both go through this module.

``resolve_preparation``, ``resolve_training`` and ``resolve_evaluation`` check everything once, before any work: names,
options, manifests, weights, conditions, device, output location. They do not import torch for registered detectors.
Steps that must come first, as preparing mini or training on it, are part of the plan.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from dfbench.config import mini_options, runs_home
from dfbench.errors import UsageError
from dfbench.evaluation.conditions import plan_conditions, training_condition
from dfbench.evaluation.dataset import as_path, as_protocol, find_manifests
from dfbench.evaluation.detector import build_for_evaluation, default_weights, find_weights
from dfbench.evaluation.labelled_folder import plan_folder
from dfbench.evaluation.plan import EvaluationPlan, check_compute, check_roots
from dfbench.evaluation.run_store import PROTOCOL_FILE
from dfbench.io import check_output_folder
from dfbench.metrics import parse_metric
from dfbench.models.build import check_options, state_sha256
from dfbench.models.options import get_preset, preset_options
from dfbench.models.source import BuiltNetwork, ModelLike, model_source
from dfbench.preparation.prepare import prepare as prepare
from dfbench.preparation.prepare import resolve_preparation as resolve_preparation
from dfbench.protocols.protocol import Protocol
from dfbench.training.loggers import check_loggers
from dfbench.training.methods import DEFAULT, TRAINING_METHODS
from dfbench.training.plan import (
    TrainingPlan,
    check_devices,
    check_patience,
    training_notes,
    training_roles,
    weight_file,
)
from dfbench.training.recipe import RecipeValues, fill_recipe

if TYPE_CHECKING:
    from dfbench.evaluation.run import Run
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.prepare import PreparationPlan

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("dfbench")


@dataclass(frozen=True, eq=False)
class TrainingWorkflow:
    """A training and the preparations that it needs first.

    Attributes:
        training: the training.
        preparations: manifests to be prepared, by data set.
        notes: remarks for the user.
    """

    training: TrainingPlan
    preparations: Mapping[str, PreparationPlan]
    notes: tuple[str, ...] = ()

    def run(self) -> Path:
        """Execute the plan; returns the weight file. See :func:`train` for the errors."""
        return _run_training(self.training.with_manifests(_prepared(self.preparations, self.notes)))


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

        made = _prepared(self.preparations, self.notes)
        evaluation = self.evaluation.with_manifests(made)
        if self.training is not None:
            logger.info(
                "no weights of %r for protocol %r: training them first (once, a few minutes)",
                evaluation.source.reference,
                evaluation.protocol.name,
            )
            evaluation = evaluation.with_weights(_run_training(self.training.with_manifests(made)))
        logger.info("evaluate %s on protocol %s", evaluation.source.name, evaluation.protocol.name)
        return run_evaluation(evaluation)


def _same_parameters(of: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Give a function that passes all its arguments on the signature of the function that receives them."""

    def decorate(function: Callable[..., T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return function(*args, **kwargs)

        returns = inspect.signature(function).return_annotation
        call.__signature__ = inspect.signature(of).replace(return_annotation=returns)  # type: ignore[attr-defined]
        return call

    return decorate


def resolve_training(
    model: ModelLike,
    protocol: Protocol | str | Path = "mini",
    manifests: Sequence[str | Path | Manifest] | str | Path | Manifest = (),
    out: str | Path | None = None,
    *,
    condition: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    device: str = "auto",
    method: str = "supervised",
    workers: int | None = None,
    precision: str = "fp32",
    devices: int = 1,
    save_every: float = 300.0,
    loggers: Sequence[str] | str = (),
    preset: str = "",
    options: Mapping[str, Any] | None = None,
    decoded: bool = False,
    quiet: bool = False,
    **recipe: Unpack[RecipeValues],
) -> TrainingWorkflow:
    """Check the arguments of :func:`train` and plan its work, writing nothing.

    Returns:
        The plan; ``plan.run()`` trains.

    Raises:
        DfbenchError: as :func:`train`.
    """
    source, rules = model_source(model).with_preset(preset), as_protocol(protocol)
    roles = training_roles(rules)
    compute = check_compute(device, workers, precision, quiet)
    check_devices(device, devices, save_every)
    chosen = preset_options(source.spec, preset, options or {})
    check_options(source.spec, rules.num_classes, rules.crops.size, chosen)
    under = training_condition(rules, condition)
    if method != DEFAULT:
        TRAINING_METHODS.get(method)
    full = fill_recipe(rules.training, source.spec.recipe, **recipe)
    check_patience(full, rules)
    target = weight_file(out, default_weights(source.name, rules, under if condition is not None else None, preset))
    found = find_manifests(rules, manifests, roles)
    plan = TrainingPlan(
        source=source,
        protocol=rules,
        recipe=full,
        out=target,
        manifests=found,
        condition=under,
        options=chosen,
        preset=preset,
        roots=check_roots(roots, rules.datasets()),
        compute=replace(compute, decoded=decoded),
        devices=devices,
        save_every=save_every,
        method=method,
        loggers=check_loggers(loggers),
    ).with_manifests({})
    if source.is_custom:
        from dfbench.training.train import initial_network

        plan = replace(plan, built=BuiltNetwork(initial_network(plan)))
    return TrainingWorkflow(plan, _missing(found, rules, quiet), training_notes(plan))


@_same_parameters(resolve_training)
def train(*args: Any, **options: Any) -> Path:  # noqa: D417
    """Train a detector; weights are selected on validation data alone.

    For the protocol ``mini`` the embedded data set is generated and prepared first where necessary. On a CPU the
    result is the same for the same seed and number of threads. A training that was interrupted or killed continues
    from its last stored state when the same call is made again, and ends with the same weights bit by bit.

    Args:
        model: a registered name, ``path/to/file.py:attr``, ``package.module:attr``, or an ``nn.Module``: an instance,
            whose weights are trained further in a copy, or a class or factory.
        protocol: a protocol, its name or its file.
        manifests: manifests or their folders; default: those of the workspace.
        out: the weight file, ``*.safetensors``; default: in the workspace by protocol and model.
        condition: degradation of training and validation data in place of the protocol's.
        roots: data set -> root of its media, for conditions that act before cropping; default: the configuration.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        method: how a batch becomes a loss; a name of ``dfbench list training-methods``.
        workers: processes that read images; default: none on a CPU, one per CPU core for a GPU.
        precision: ``fp32``, ``bf16``, or ``fp16`` on a GPU.
        devices: number of devices, starting with ``device``; they share every batch. Lightning starts the running
            program again for each but the first, so call it from a script or the command line.
        save_every: seconds between two stored states within an epoch; the state is also stored after every epoch.
        loggers: ``csv``, ``tensorboard`` or ``wandb``, or several of them; their files are beside the weights.
        preset: a named choice of the detector's options and training, such as ``paper``.
        options: options of the detector; they override those of the preset.
        decoded: decode every crop once, into the cache (3 bytes a pixel), for many epochs; pixels stay the same.
        quiet: no progress bar.
        recipe: values that override the recipe, such as ``epochs``, ``lr`` and ``seed``: see
            :class:`dfbench.training.RecipeValues`.

    Returns:
        The weight file. With it are written ``.json``, its card, ``.curve.csv``, one line per epoch, and
        ``.curve.svg``.

    Raises:
        UsageError: an unknown name, option or device, a number out of range, or a protocol without training data.
        DataError: a manifest is missing or does not fit the protocol; a loss that is not finite.
        ModelError: the detector cannot take the task's classes or crops.
        SetupError: a package, a device or an encoder is missing, or a file cannot be written.
    """
    return resolve_training(*args, **options).run()


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
        preparations = _missing(found, rules, quiet)
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


@_same_parameters(resolve_evaluation)
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


def _missing(found: Mapping[str, Manifest | None], protocol: Protocol, quiet: bool) -> dict[str, PreparationPlan]:
    """Return the preparations of the manifests that do not exist yet."""
    missing = [name for name, manifest in found.items() if manifest is None]
    return {name: resolve_preparation(name, protocol=protocol, quiet=quiet) for name in missing}


def _prepared(preparations: Mapping[str, PreparationPlan], notes: Sequence[str]) -> dict[str, Manifest]:
    for note in notes:
        logger.info("note: %s", note)
    made = {}
    for name, plan in preparations.items():
        logger.info("prepare %s into %s", name, plan.out)
        made[name] = plan.run()
    return made


def _run_training(plan: TrainingPlan) -> Path:
    from dfbench.training.train import run_training

    logger.info("train %s on protocol %s", plan.source.name, plan.protocol.name)
    return run_training(plan)
