"""The frozen plan of a training: everything is resolved and checked before any work; torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dfbench.degrade import Condition
from dfbench.errors import UsageError
from dfbench.evaluation.dataset import CLEAN_CONDITION, RoleData, as_path, crop_profile, role_data
from dfbench.evaluation.plan import ComputeOptions, prepared_manifests
from dfbench.io import check_output_file
from dfbench.manifest.manifest import Manifest
from dfbench.models.card import METHOD_SUFFIX
from dfbench.models.device import resolve_device
from dfbench.models.options import unpublished_size
from dfbench.models.source import BuiltNetwork, ModelSource
from dfbench.models.spec import ModelSpec
from dfbench.protocols.protocol import Protocol
from dfbench.storage import working_path
from dfbench.training.methods import SUPERVISED, TrainingMethod
from dfbench.training.recipe import FullRecipe
from dfbench.training.requirements import check_extras, needed_columns


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """One detector trained by the recipe of one protocol.

    Attributes:
        source: the detector.
        protocol: the protocol.
        recipe: the recipe without gaps.
        out: the weight file.
        manifests: data set -> manifest; None until it has been prepared.
        condition: condition of training and validation data.
        options: options of the detector, those of the preset included.
        preset: name of the preset; empty: none.
        built: the network of a custom detector with its initial weights.
        roots: data set -> root of its media, for conditions that act before cropping.
        compute: device, workers, precision.
        devices: number of devices that share every batch.
        save_every: seconds between two stored states within an epoch.
        method: the training method with its options.
        loggers: names of Lightning's loggers.
        data: role -> its samples; empty until all manifests exist.
        profile: crop profile of the manifests; empty until all of them exist.
    """

    source: ModelSource
    protocol: Protocol
    recipe: FullRecipe
    out: Path
    manifests: Mapping[str, Manifest | None]
    condition: Condition = CLEAN_CONDITION
    options: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    built: BuiltNetwork | None = None
    roots: Mapping[str, str | Path] = field(default_factory=dict)
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    devices: int = 1
    save_every: float = 300.0
    method: TrainingMethod = SUPERVISED
    loggers: tuple[str, ...] = ()
    data: Mapping[str, RoleData] = field(default_factory=dict)
    profile: str = ""

    def with_manifests(self, made: Mapping[str, Manifest]) -> TrainingPlan:
        """Add prepared manifests; once all exist, select the samples and check them and the media.

        Raises:
            DataError: a manifest does not fit the protocol or the training method, or the media that a condition needs
                are not available.
        """
        manifests = {name: manifest or made.get(name) for name, manifest in self.manifests.items()}
        present = [manifest for manifest in manifests.values() if manifest is not None]
        if len(present) < len(manifests):
            return replace(self, manifests=manifests)
        roles = training_roles(self.protocol)
        decoded = self.compute.decoded
        data = {
            role: role_data(self.protocol, present, role, self.condition, self.roots, decoded=decoded) for role in roles
        }
        for part in data.values():
            part.degraders(self.condition)
        check_extras(self.method, data["train"])
        needed_columns(self.method, data["train"])
        return replace(self, manifests=manifests, data=data, profile=crop_profile(self.protocol, present))

    def opened(self) -> tuple[Manifest, ...]:
        """Return the manifests, all of which exist.

        Raises:
            UsageError: one has not been prepared yet.
        """
        return prepared_manifests(self.manifests)


def training_roles(protocol: Protocol) -> tuple[str, ...]:
    """Return the roles whose samples a training reads.

    Raises:
        UsageError: the protocol has no training data, or needs validation data that it does not have: to select the
            weights, or to choose a threshold or temperature.
    """
    if not protocol.datasets("train"):
        raise UsageError(
            f"protocol {protocol.name!r} has no training data: it only evaluates",
            "evaluate weights with it: dfbench evaluate --weights FILE; or add a data part with role = 'train'",
        )
    if protocol.selection.split == "none" and protocol.threshold is None:
        return ("train",)
    if not protocol.datasets("val"):
        raise UsageError(
            f"protocol {protocol.name!r} selects on validation data and has none",
            "add a data part with role = 'val', or set selection.split = 'none' and drop [threshold]",
        )
    return ("train", "val")


def check_patience(recipe: FullRecipe, protocol: Protocol) -> None:
    """Check that a training that may end early has a validation metric.

    Raises:
        UsageError: it has none.
    """
    if recipe.patience is not None and protocol.selection.split == "none":
        raise UsageError(
            f"patience needs a validation metric; protocol {protocol.name!r} takes the last epoch", "drop --patience"
        )


def check_phases(spec: ModelSpec, options: Mapping[str, Any], recipe: FullRecipe, devices: int) -> None:
    """Check that a training whose first epochs train a part of the network only continues after them.

    Args:
        spec: the detector.
        options: its options that are given.
        recipe: the recipe.
        devices: number of devices.

    Raises:
        UsageError: it ends with its first phase, may end before, or has several devices.
    """
    name = spec.phase_option
    first = options.get(name, spec.options.get(name, 0)) if name else 0
    if first and recipe.epochs <= first:
        raise UsageError(
            f"{spec.name} trains a part of its network only in the first {first} epochs ({name}={first}), and the "
            f"training has {recipe.epochs}",
            f"--epochs {first + 1} or more, or --option {name}={max(0, recipe.epochs // 2)}",
        )
    if first and recipe.patience is not None and recipe.patience <= first:
        raise UsageError(
            f"the training may end after {recipe.patience} epochs without a better metric, before those of the first "
            f"phase of {spec.name} are over ({name}={first})",
            f"--patience {first + 1} or more, or drop it",
        )
    if first and devices > 1:
        raise UsageError(
            f"{name}={first} of {spec.name} does not work with several devices, where all parameters are trained",
            f"--devices 1, or --option {name}=0",
        )


def check_devices(device: str, devices: int, save_every: float) -> None:
    """Check that several devices exist, and how often the state is stored.

    Raises:
        UsageError: fewer than one device, or a negative time.
        SetupError: this machine has fewer.
    """
    if devices < 1:
        raise UsageError(f"devices must be at least 1, not {devices}", "the default is 1")
    if save_every < 0:
        raise UsageError(f"save_every must be at least 0 seconds, not {save_every}", "for example 300")
    if devices > 1:
        from dfbench.training.lightning import require_devices

        require_devices(resolve_device(device), devices)


def training_folder(weights: Path) -> Path:
    """Return the folder of the unfinished training of a weight file; that of a URL is on this machine."""
    return working_path(weights.with_name(f"{weights.stem}.training"))


def training_notes(plan: TrainingPlan) -> tuple[str, ...]:
    """Return what the user should know before the training."""
    notes = []
    source, target = plan.source, plan.out
    if source.spec.published_pretrained and not plan.options.get("pretrained"):
        notes.append(
            f"{source.name} starts from random weights, the published detector from ImageNet weights: "
            "--option pretrained=true"
        )
    size = unpublished_size(source.spec, plan.protocol.crops.size)
    if size:
        notes.append(f"{source.name}: {size}")
    method = plan.method
    if method.sampling == "balanced" and plan.protocol.training.sampling == "natural":
        notes.append(f"the method {method.name} needs as many real as fake images in a batch: sampling is balanced")
    if method.sampling == "reals":
        notes.append(f"the method {method.name} makes its fakes from real samples: fakes are not used for training")
    if method.profile and method.profile != plan.protocol.crops.profile:
        notes.append(
            f"the method {method.name} cuts its training images by the crop profile {method.profile}; validation and "
            f"test crops are those of the protocol, {plan.protocol.crops.profile}"
        )
    if method.augments and plan.protocol.training.augmentation is not None:
        notes.append(f"the method {method.name} augments its images itself: the protocol's augmentation is not applied")
    if target.is_file() and not training_folder(target).is_dir():
        notes.append(
            f"{target} is the result of a finished training, whose state is not kept: more epochs cannot continue it; "
            "all epochs are trained, and then it is replaced (to keep it: --out FILE)"
        )
    return tuple(notes)


def weight_file(out: str | Path | None, default: Path) -> Path:
    """Return the path of the weights to be written, which must be writable.

    Raises:
        UsageError: another suffix than ``.safetensors``, that of a training method, or a folder.
        SetupError: the folder cannot be written.
    """
    path = default if out is None else as_path(out, "the weight file")
    if path.suffix != ".safetensors":
        raise UsageError(f"weights are written as *.safetensors, not {path.name!r}", f"--out {path.stem}.safetensors")
    if path.name.endswith(METHOD_SUFFIX):
        raise UsageError(
            f"*{METHOD_SUFFIX} is the name of what a training method keeps beside the weights, not of weights",
            f"--out {path.name.removesuffix(METHOD_SUFFIX)}.safetensors",
        )
    return check_output_file(path, "--out FILE")
