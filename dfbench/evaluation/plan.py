"""The frozen plan of an evaluation: everything is resolved and checked before any work; torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dfbench.errors import SetupError, UsageError
from dfbench.evaluation.conditions import ConditionPlan, source_notes
from dfbench.evaluation.dataset import RoleData, crop_profile, role_data
from dfbench.evaluation.decision import decision_of
from dfbench.evaluation.detector import default_weights, module_sha256
from dfbench.evaluation.run_store import make_run_id, run_folder
from dfbench.faces.profile_match import serves
from dfbench.io import file_sha256
from dfbench.manifest.manifest import Manifest
from dfbench.models.card import IntendedUse, WeightCard, check_card, read_card
from dfbench.models.device import check_device_name, check_precision, resolve_device
from dfbench.models.files import check_file
from dfbench.models.options import former_options
from dfbench.models.source import BuiltNetwork, ModelSource
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.reference import protocol_ref


@dataclass(frozen=True)
class ComputeOptions:
    """Where and how a network runs.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        workers: processes that read images; None: chosen by the device.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        quiet: no progress bars.
        compiled: compile the network with ``torch.compile``.
        decoded: read crops from the store of decoded crops in the cache.
    """

    device: str = "auto"
    workers: int | None = None
    precision: str = "fp32"
    quiet: bool = False
    compiled: bool = False
    decoded: bool = False


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """One detector on the test samples of one protocol.

    Attributes:
        source: the detector.
        protocol: the protocol.
        conditions: the test conditions.
        manifests: data set -> manifest; None until it has been prepared.
        weights: weight file with its card; None: those from the constructor, or not trained yet.
        card: card of the weights, checked; None likewise.
        options: options of the detector that replace those of the card.
        preset: preset whose options the weights must have; empty: any.
        built: the network of a custom detector, built with these options.
        state: hash of the network's state where it is evaluated with the weights from its constructor; else empty.
        given_conditions: conditions added to the protocol's, as the user wrote them.
        roots: data set -> root of its media, for conditions that act before cropping.
        out: folder of the run; None: one in the workspace.
        overwrite: replace another run in ``out``.
        batch_size: images per step.
        allow_crop_mismatch: accept weights that were trained on other crops.
        allow_mini_weights: accept weights that were trained on invented faces.
        compute: device, workers, precision.
        files: name -> text of further files of the run folder.
        data: the samples; None until all manifests exist.
        profile: crop profile of the manifests; empty until all of them exist.
    """

    source: ModelSource
    protocol: Protocol
    conditions: ConditionPlan
    manifests: Mapping[str, Manifest | None]
    weights: Path | None = None
    card: WeightCard | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    preset: str = ""
    built: BuiltNetwork | None = None
    state: str = ""
    given_conditions: tuple[str, ...] = ()
    roots: Mapping[str, str | Path] = field(default_factory=dict)
    out: Path | None = None
    overwrite: bool = False
    batch_size: int = 64
    allow_crop_mismatch: bool = False
    allow_mini_weights: bool = False
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    files: Mapping[str, str] = field(default_factory=dict)
    data: RoleData | None = None
    profile: str = ""

    def use(self, card: WeightCard | None) -> IntendedUse:
        """Return what weights are used for; before the manifests exist, their profile is assumed to fit."""
        wanted = self.protocol.crops.profile
        profile = self.profile or (card.profile if card is not None and serves(card.profile, wanted) else wanted)
        return IntendedUse(
            model=self.source,
            num_classes=self.protocol.num_classes,
            classes=self.protocol.classes,
            real_classes=self.protocol.reals,
            profile=profile,
            size=self.protocol.crops.size,
            protocol=self.protocol.name,
            preset=self.preset,
            allow_crop_mismatch=self.allow_crop_mismatch,
            allow_mini_weights=self.allow_mini_weights,
        )

    def with_manifests(self, made: Mapping[str, Manifest]) -> EvaluationPlan:
        """Add prepared manifests; once all exist, select the samples and check them, the card and the media.

        Raises:
            DataError: a manifest does not fit the protocol, or the media that a condition needs are not available.
            ModelError: the weights were trained on other crops.
        """
        manifests = {name: manifest or made.get(name) for name, manifest in self.manifests.items()}
        present = [manifest for manifest in manifests.values() if manifest is not None]
        if len(present) < len(manifests):
            return replace(self, manifests=manifests)
        data = role_data(self.protocol, present, "test", roots=self.roots)
        for condition in self.conditions.conditions:
            data.degraders(condition)
        bound = replace(self, manifests=manifests, data=data, profile=crop_profile(self.protocol, present))
        if self.card is not None and self.weights is not None:
            check_card(self.card, self.weights, bound.use(self.card))
        return bound

    def with_weights(self, weights: Path) -> EvaluationPlan:
        """Add weights; they are checked.

        Raises:
            ModelError: the file or its card is missing, damaged, or does not fit.
        """
        card = read_card(weights)
        check_card(card, weights, self.use(card))
        check_file(weights, card)
        return replace(self, weights=weights, card=card)

    def run_options(self) -> dict[str, Any]:
        """Return the options that can change a number, as recorded in ``result.json``."""
        options: dict[str, Any] = {
            "precision": self.compute.precision,
            "allow_crop_mismatch": self.allow_crop_mismatch,
            "allow_mini_weights": self.allow_mini_weights,
        }
        if self.source.file is not None:
            options["code_sha256"] = file_sha256(self.source.file)
        if self.source.given is not None and self.state:
            options["module_sha256"] = module_sha256(self.source, self.state)
        if self.compute.compiled:
            options["compiled"] = True
        decision = decision_of(self.protocol, self.card)
        if decision.record is not None:
            options["decision"] = decision.record
        if self.given_conditions:
            options["conditions"] = list(self.given_conditions)
        if self.options:
            options["model_options"] = dict(self.options)
        return options

    def opened(self) -> tuple[Manifest, ...]:
        """Return the manifests, all of which exist.

        Raises:
            UsageError: one has not been prepared yet.
        """
        return prepared_manifests(self.manifests)

    def run_id(self, sha256: str) -> str:
        """Return the id of the run, given the hash of its weights."""
        hashes = [manifest.info.hash for manifest in self.opened()]
        return make_run_id(self.source.name, sha256, self.protocol, hashes, self.run_options())

    def folder(self, run_id: str) -> Path:
        """Return the folder of the run.

        Raises:
            UsageError: ``out`` holds another run, or files that are not a run.
        """
        return run_folder(self.out, self.protocol, self.source.name, run_id, self.overwrite)

    def check_folder(self) -> None:
        """Check the folder of the run where the run's id is already known; see :meth:`folder`."""
        known = self.card.sha256 if self.card is not None else self.state
        if known and self.data is not None:
            self.folder(self.run_id(known))

    def notes(self) -> tuple[str, ...]:
        """Return remarks for the user: skipped conditions, old weights, where the weights come from."""
        notes = [f"skipped: {name} is not available: {why}" for name, why in self.conditions.unavailable.items()]
        notes += [f"{name}: {note}" for name, note in source_notes(self.conditions.conditions).items()]
        source, rules, trained = self.source, self.protocol, self.card.protocol if self.card else None
        if trained is not None and trained.name == rules.name and not trained.same_content(protocol_ref(rules)):
            notes.append(
                f"{self.weights} was trained by another version of protocol {rules.name!r}; "
                f"to train again: dfbench train --model {source.reference} --protocol {rules.typed}"
            )
        former = former_options(source.spec, self.card.options) if self.card and not self.card.preset else {}
        if former:
            values = ", ".join(f"{n}={v} (now {source.spec.options[n]})" for n, v in former.items())
            notes.append(
                f"{self.weights} was trained with a former default of {source.name}: {values}; "
                f"to train again: dfbench train --model {source.reference} --protocol {rules.typed}"
            )
        if source.is_custom and source.given is None and self.card is None:
            path = default_weights(source.name, rules)
            train = f"dfbench train --model {source.reference} --protocol {rules.typed}"
            trained_ones = f"--weights {path}" if path.is_file() else train
            notes.append(
                f"{source.reference} is evaluated with the weights from its constructor; for others: {trained_ones}"
            )
        return tuple(notes)


def check_compute(device: str, workers: int | None, precision: str, quiet: bool) -> ComputeOptions:
    """Check where and how a network is to run. Torch is imported only for an explicit GPU and for ``fp16``.

    Raises:
        UsageError: an unknown device or precision, or a negative number of workers.
        SetupError: torch is not installed, or this machine has no such GPU.
    """
    check_device_name(device)
    if workers is not None and workers < 0:
        raise UsageError(f"workers must be at least 0, not {workers}", "0 reads images in this process")
    if find_spec("torch") is None:
        raise SetupError("torch is not installed", 'pip install "deepfake-dfbench[models]"')
    if device.startswith("cuda"):
        resolve_device(device)
    check_precision(precision, device)
    return ComputeOptions(device, workers, precision, quiet)


def check_roots(roots: Mapping[str, str | Path] | None, datasets: Sequence[str]) -> dict[str, str | Path]:
    """Check the names of media roots.

    Raises:
        UsageError: a data set that the protocol does not use.
    """
    for name in roots or {}:
        if name not in datasets:
            raise UsageError(
                f"roots names {name!r}, which the protocol does not use", f"it uses: {', '.join(datasets)}"
            )
    return dict(roots or {})


def prepared_manifests(manifests: Mapping[str, Manifest | None]) -> tuple[Manifest, ...]:
    """Return the manifests of a plan, all of which must exist.

    Raises:
        UsageError: one has not been prepared yet.
    """
    missing = [name for name, manifest in manifests.items() if manifest is None]
    if missing:
        raise UsageError(f"the manifest of {missing[0]!r} has not been prepared", "run the whole plan")
    return tuple(manifest for manifest in manifests.values() if manifest is not None)
