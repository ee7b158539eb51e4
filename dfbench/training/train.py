"""Execute a training plan: a detector by a protocol's recipe, to a weight file with its card and learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.evaluation.dataset import RoleData, manifest_ref
from dfbench.evaluation.detector import module_sha256
from dfbench.io import canonical_hash, check_output_file, file_sha256
from dfbench.models.build import build_seeded, state_sha256
from dfbench.models.card import DecisionRecord, SelectionRecord, WeightCard
from dfbench.models.device import resolve_device
from dfbench.models.options import full_options
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.training.plan import TrainingPlan, training_folder
from dfbench.training.recipe import overridden
from dfbench.versions import library_versions

if TYPE_CHECKING:
    from torch import nn

    from dfbench.training.lightning import TrainingDevices
    from dfbench.training.store import TrainingState


def run_training(plan: TrainingPlan) -> Path:
    """Train a detector; its weights are selected on validation data alone.

    A training that was interrupted or killed continues from its last stored state when the same plan is executed
    again, and ends with the same weights bit by bit.

    Args:
        plan: with its manifests prepared.

    Returns:
        The weight file. With it are written ``.json``, its card, ``.curve.csv``, one line per epoch, ``.curve.svg``,
        and where the method keeps weights of its own ``.method.safetensors``.

    Raises:
        UsageError: a manifest of the plan has not been prepared.
        DataError: the loss is not finite, or one label is missing.
        ModelError: the detector has nothing to train, or its scores are not finite at the end.
        SetupError: a device is not available, or a file cannot be written; the stored state is kept.
    """
    from dfbench.evaluation.loader import worker_count
    from dfbench.models.weights import save_weights
    from dfbench.training.cost import within_budget
    from dfbench.training.curve import draw_curve, write_curve
    from dfbench.training.fit import fit
    from dfbench.training.lightning import TrainingDevices, require_devices
    from dfbench.training.loggers import LogSettings
    from dfbench.training.store import TrainingFolder

    check_output_file(plan.out, "--out FILE")
    manifests, protocol = plan.opened(), plan.protocol
    device = resolve_device(plan.compute.device)
    require_devices(device, plan.devices)
    workers = worker_count(plan.compute.workers, device, plan.devices)
    devices = TrainingDevices(device, plan.devices, plan.compute.precision, workers, plan.save_every)
    network = (plan.built.take() if plan.built is not None else None) or initial_network(plan)
    plan = replace(plan, recipe=within_budget(plan.recipe, network, protocol.crops.size))
    module = module_sha256(plan.source, state_sha256(network)) if plan.source.given is not None else ""
    identity = _identity(plan, devices, module, [m.info.hash for m in manifests])
    folder = TrainingFolder(training_folder(plan.out), identity)
    title = f"{plan.source.name} on {protocol.name}"
    facts = {"model": plan.source.name, "protocol": protocol.name, **_recipe(plan, devices)}
    log = LogSettings(
        plan.loggers,
        plan.out.with_name(plan.out.stem + ".logs"),
        title,
        canonical_hash([str(plan.out.resolve()), identity["detector"], identity["protocol"], plan.recipe.seed])[:16],
        facts,
    )
    state = fit(
        network,
        plan.data,
        protocol,
        plan.recipe,
        folder,
        devices,
        method=plan.method,
        log=log,
        quiet=plan.compute.quiet,
    )
    folder.load_best(network)
    card = _card(_without_paths(plan), devices, state, module, _count_logits(network, protocol))
    if protocol.threshold is not None:
        card = card.model_copy(update={"decision": _decision(plan.data["val"], network, devices)})
    write_curve(plan.out.with_suffix(".curve.csv"), state.curve)
    draw_curve(plan.out.with_suffix(".curve.svg"), state.curve, state.best, title)
    kept = folder.best_method_file if state.keeps_weights else None
    save_weights(plan.out, network.cpu(), card, method_weights=kept)
    folder.remove()
    return plan.out


def initial_network(plan: TrainingPlan) -> nn.Module:
    """Build the network with the initial weights of a training, which depend on the recipe's seed."""
    size = plan.protocol.crops.size
    return build_seeded(plan.source, "initial weights", plan.recipe.seed, plan.protocol.num_classes, size, plan.options)


def _card(
    plan: TrainingPlan, devices: TrainingDevices, state: TrainingState, module: str, num_classes: int
) -> WeightCard:
    protocol, spec, best = plan.protocol, plan.source.spec, state.curve[state.best]
    manifests = plan.opened()
    return WeightCard(
        model=spec.name,
        options=full_options(spec, plan.options),
        preset=plan.preset,
        num_classes=num_classes,
        classes=protocol.classes,
        real_classes=protocol.reals,
        profile=plan.profile,
        size=protocol.crops.size,
        protocol=protocol_ref(protocol),
        manifests=tuple(manifest_ref(m) for m in manifests),
        train_condition=", ".join(dict.fromkeys(plan.data["train"].conditions(plan.condition))),
        recipe=_recipe_as_run(plan, devices, state),
        training_method=plan.method.name,
        method_options=dict(plan.method.options),
        overrides=overridden(
            plan.recipe,
            protocol.training,
            spec.recipe,
            sampling=plan.method.sampling,
            augments=plan.method.augments,
        )
        | plan.method.changes(),
        seed=plan.recipe.seed,
        selection=SelectionRecord(
            split=protocol.selection.split,
            metric=best.metric or None,
            value=best.value,
            epoch=best.epoch,
            note="" if best.value is not None else "no validation value: the last epoch",
        ),
        licence=_licence(spec.licence, [m.info.licence for m in manifests]),
        versions=library_versions(),
        mini="mini" in protocol.datasets("train"),
        module_sha256=module,
    )


def _without_paths(plan: TrainingPlan) -> TrainingPlan:
    """Return the plan with the names of folders in place of their paths in the options of its method."""
    names = {name: Path(folder).name for name, folder in plan.method.given_folders().items()}
    return replace(plan, method=replace(plan.method, options=dict(plan.method.options) | names))


def _recipe(plan: TrainingPlan, devices: TrainingDevices) -> dict[str, Any]:
    return plan.recipe.record() | devices.record() | plan.method.record()


def _recipe_as_run(plan: TrainingPlan, devices: TrainingDevices, state: TrainingState) -> dict[str, Any]:
    """Return what the card says of the recipe."""
    recipe = _recipe(plan, devices)
    recipe["batch_norm_samples"] = state.batch_norm_samples
    if state.method_counts:
        recipe["method_counts"] = dict(state.method_counts)
    if state.method_record:
        recipe["method_record"] = dict(state.method_record)
    # The first steps were made with the learning rates of a shorter training.
    longer = {"epochs_before_resume": list(state.shorter)} if plan.recipe.rate_depends_on_length else {}
    return recipe | (longer if state.shorter else {})


def _decision(data: RoleData, network: nn.Module, devices: TrainingDevices) -> DecisionRecord:
    """Choose threshold and temperature for the selected weights on the validation data."""
    from dfbench.evaluation.decision import choose_decision
    from dfbench.evaluation.inference import move_to_device, score_images

    network = move_to_device(network, devices.device)
    return choose_decision(data, score_images(network, data.images, devices.device, workers=devices.workers))


def _identity(
    plan: TrainingPlan, devices: TrainingDevices, module: str, manifests: Sequence[str]
) -> dict[str, dict[str, Any] | str]:
    """Return all that a training depends on, by part; a stored state of another one is not used."""
    # Files that may change between two calls: a custom detector, and weights that training starts from.
    texts = [*plan.options.values(), *plan.method.options.values()]
    files = [plan.source.file, *(Path(v) for v in texts if isinstance(v, str))]
    code = [file_sha256(f) for f in files if f is not None and f.is_file()]
    return {
        "detector": canonical_hash([plan.source.name, *code, module], compact=False),
        "options": _options_of_identity(plan),
        "protocol": plan.protocol.hash,
        "recipe": plan.recipe.record() | devices.record() | plan.method.resume_identity(),
        "condition": plan.condition.name,
        "manifests": canonical_hash(list(manifests), compact=False),
        "libraries": library_versions(),
    }


def _options_of_identity(plan: TrainingPlan) -> dict[str, Any]:
    """Return the options that were given, and defaults that were others in earlier versions."""
    spec = plan.source.spec
    changed = {
        name: spec.options[name] for name, former in spec.former_defaults.items() if spec.options[name] != former
    }
    return changed | dict(plan.options)


def _count_logits(network: nn.Module, protocol: Protocol) -> int:
    """Return the number of logits per image: a custom detector may give one for a binary task."""
    import torch

    from dfbench.models.interface import logits_of

    network.cpu().eval()
    with torch.inference_mode():
        size = protocol.crops.size
        return int(logits_of(network(torch.zeros(2, 3, size, size)), 2).shape[1])


def _licence(model: str, data: Sequence[str]) -> str:
    return "; ".join([f"model: {model}", *(f"trained on: {text}" for text in dict.fromkeys(data))])
