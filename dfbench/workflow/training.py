"""Resolve a training into a frozen plan, and run it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from dfbench.evaluation.conditions import training_condition
from dfbench.evaluation.dataset import as_protocol, find_manifests
from dfbench.evaluation.detector import default_weights
from dfbench.evaluation.plan import check_compute, check_roots
from dfbench.models.build import check_options
from dfbench.models.options import preset_options
from dfbench.models.source import BuiltNetwork, ModelLike, model_source
from dfbench.protocols.protocol import Protocol
from dfbench.training.loggers import check_loggers
from dfbench.training.methods import DEFAULT, chosen_method
from dfbench.training.plan import (
    TrainingPlan,
    check_devices,
    check_patience,
    check_phases,
    training_notes,
    training_roles,
    weight_file,
)
from dfbench.training.recipe import RecipeValues, fill_recipe
from dfbench.training.requirements import prepare_options
from dfbench.workflow.steps import missing_preparations, run_preparations, same_parameters

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.prepare import PreparationPlan

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
        return execute_training(self.training.with_manifests(run_preparations(self.preparations, self.notes)))


def resolve_training(
    model: ModelLike,
    protocol: Protocol | str | Path = "mini",
    manifests: Sequence[str | Path | Manifest] | str | Path | Manifest = (),
    out: str | Path | None = None,
    *,
    condition: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    device: str = "auto",
    method: str | None = None,
    method_options: Mapping[str, Any] | None = None,
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
    by = chosen_method(source.spec, method, method_options)
    full = fill_recipe(rules.training, source.spec.recipe, sampling=by.sampling, augments=by.augments, **recipe)
    check_patience(full, rules)
    check_phases(source.spec, chosen, full, devices)
    by.check_request(source.spec, chosen, rules, full)
    added = "" if by.name in (DEFAULT, source.spec.training_method) else by.name
    usual = default_weights(source.name, rules, under if condition is not None else None, preset, added)
    target = weight_file(out, usual)
    found = find_manifests(rules, manifests, roles, prepare_options(by))
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
        method=by,
        loggers=check_loggers(loggers),
    ).with_manifests({})
    if source.is_custom:
        from dfbench.training.train import initial_network

        plan = replace(plan, built=BuiltNetwork(initial_network(plan)))
    return TrainingWorkflow(plan, missing_preparations(found, rules, quiet, by.extras), training_notes(plan))


@same_parameters(resolve_training)
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
        method: how a batch becomes a loss; a name of ``dfbench list training-methods``. Default: that of the detector,
            ``supervised`` for most.
        method_options: options of the method.
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
        UsageError: an unknown name, option or device, a number out of range, a protocol without training data, or a
            method that the detector's own excludes.
        DataError: a manifest is missing or does not fit the protocol; a loss that is not finite.
        ModelError: the detector cannot take the task's classes or crops.
        SetupError: a package, a device or an encoder is missing, or a file cannot be written.
    """
    return resolve_training(*args, **options).run()


def execute_training(plan: TrainingPlan) -> Path:
    """Train; returns the weight file."""
    from dfbench.training.train import run_training

    logger.info("train %s on protocol %s", plan.source.name, plan.protocol.name)
    return run_training(plan)
