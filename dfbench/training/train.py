"""``train``: a detector by a protocol's recipe, to a weight file with its card and learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.degrade import Condition
from dfbench.errors import UsageError
from dfbench.evaluation.conditions import training_condition
from dfbench.evaluation.dataset import as_protocol, crop_profile, manifest_ref, open_manifests, role_data
from dfbench.evaluation.detector import default_weights
from dfbench.io import canonical_hash, file_sha256
from dfbench.models.build import build_seeded, check_options
from dfbench.models.card import SelectionRecord, WeightCard
from dfbench.models.registry import get_spec
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.training.recipe import fill_recipe, overridden
from dfbench.versions import library_versions

if TYPE_CHECKING:
    from torch import nn


def train(
    model: str,
    protocol: Protocol | str | Path = "mini",
    manifests: Sequence[str | Path] = (),
    out: str | Path | None = None,
    *,
    condition: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    device: str = "auto",
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    workers: int = 0,
    precision: str = "fp32",
    devices: int = 1,
    accumulate: int = 1,
    save_every: float = 300.0,
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Path:
    """Train a detector; weights are chosen on validation data alone.

    On a CPU the result is the same for the same seed and number of threads. A training that was interrupted or killed
    goes on from its last stored state when the same call is made again, and ends with the same weights bit by bit.

    Args:
        model: a registered name, or a user's own ``file.py:attr``.
        protocol: a protocol, its name or its file.
        manifests: manifest folders; default: those of the workspace.
        out: the weight file, ``*.safetensors``; default: in the workspace by protocol and model.
        condition: degradation that training and validation data are under, in place of the protocol's.
        roots: data set -> root of its media, for conditions that act before cropping; default: the configuration.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        epochs: overrides the recipe.
        batch_size: overrides the recipe.
        lr: overrides the recipe.
        seed: overrides the recipe.
        workers: processes that read images.
        precision: ``fp32`` or ``bf16``.
        devices: how many, from ``device`` on; they share every batch. Lightning starts the running program again for
            each but the first, so call it from a script or the command line.
        accumulate: batches whose gradients make one step of the optimiser.
        save_every: seconds between two stored states within an epoch; after an epoch it is stored anyway.
        options: the detector's own options.
        quiet: no progress bar.

    Returns:
        The weight file. Beside it: ``.json``, its card, ``.curve.csv``, one line an epoch, and ``.curve.svg``.

    Raises:
        UsageError: an unknown name, option or device, or a condition that is not well formed.
        DataError: a manifest is missing or can not serve the protocol; a loss that is not a number.
        ModelError: the detector can not take the task's classes or crops.
    """
    from dfbench.models.device import check_precision, resolve_device
    from dfbench.training.curve import draw_curve, write_curve
    from dfbench.training.fit import fit
    from dfbench.training.lightning import Compute, check_devices
    from dfbench.training.store import TrainingFolder

    rules = as_protocol(protocol)
    spec = get_spec(model)
    chosen_options = dict(options or {})
    check_options(spec, rules.num_classes, rules.crops.size, chosen_options)
    under = training_condition(rules, condition)
    check_precision(precision)
    recipe = fill_recipe(
        rules.training, spec.recipe, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, accumulate=accumulate
    )
    compute = Compute(resolve_device(device), devices, precision, workers, save_every)
    check_devices(compute.device, devices)
    place = _weight_file(out, model, rules, under if condition is not None else None)
    roles = ("train",) if rules.selection.split == "none" else ("train", "val")
    opened = open_manifests(rules, manifests, roles)
    profile = crop_profile(rules, opened)
    data = {role: role_data(rules, opened, role, under, roots) for role in roles}
    for part in data.values():
        part.degraders(under)  # what is missing is said before anything is made
    detector = build_seeded(model, "initial weights", recipe.seed, rules.num_classes, rules.crops.size, chosen_options)
    as_run = recipe.record() | compute.record()
    # Files that may change between two calls: a user's own detector, and weights that training begins with.
    files = [Path(spec.target.rpartition(":")[0]), *(Path(v) for v in chosen_options.values() if isinstance(v, str))]
    name = [spec.name, *(file_sha256(file) for file in files if file.is_file())]
    key = _key(name, chosen_options, rules, as_run, under.name, [m.info.hash for m in opened])
    folder = TrainingFolder(place.with_name(place.stem + ".training"), key)
    state = fit(detector, data, rules, recipe, folder, compute, quiet=quiet)
    folder.load_best(detector)
    best = state.curve[state.best]
    card = WeightCard(
        model=spec.name,
        options=chosen_options,
        num_classes=_outputs(detector, rules),
        classes=rules.classes,
        profile=profile,
        size=rules.crops.size,
        protocol=protocol_ref(rules),
        manifests=tuple(manifest_ref(m) for m in opened),
        train_condition=", ".join(dict.fromkeys(data["train"].conditions(under))),
        recipe=as_run,
        overrides=overridden(recipe, rules.training, spec.recipe),
        seed=recipe.seed,
        selection=SelectionRecord(
            split=rules.selection.split,
            metric=best.metric or None,
            value=best.value,
            epoch=best.epoch,
            note="" if best.value is not None else "no validation value: the last epoch",
        ),
        licence=_licence(spec.licence, [m.info.licence for m in opened]),
        versions=library_versions(),
        mini="mini" in rules.datasets("train"),
    )
    from dfbench.models.weights import save_weights

    write_curve(place.with_suffix(".curve.csv"), state.curve)
    draw_curve(place.with_suffix(".curve.svg"), state.curve, state.best, f"{spec.name} on {rules.name}")
    save_weights(place, detector.cpu(), card)
    folder.remove()
    return place


def _outputs(detector: nn.Module, rules: Protocol) -> int:
    """Logits an image: a user's own model may give one for a binary task."""
    import torch

    from dfbench.models.interface import logits_of

    detector.cpu().eval()
    with torch.inference_mode():
        size = rules.crops.size
        return int(logits_of(detector(torch.zeros(2, 3, size, size)), 2).shape[1])


def _weight_file(out: str | Path | None, model: str, rules: Protocol, condition: Condition | None) -> Path:
    place = default_weights(model, rules, condition) if out is None else Path(out)
    if place.suffix != ".safetensors":
        raise UsageError(f"weights are written as *.safetensors, not {place.name!r}", f"--out {place.stem}.safetensors")
    return place


def _key(
    model: list[str],
    options: dict[str, Any],
    rules: Protocol,
    recipe: dict[str, Any],
    condition: str,
    manifests: list[str],
) -> str:
    inputs = [model, options, rules.hash, recipe, condition, manifests, library_versions()]
    return canonical_hash(inputs, compact=False)


def _licence(model: str, data: Sequence[str]) -> str:
    return "; ".join([f"model: {model}", *(f"trained on: {text}" for text in dict.fromkeys(data))])
