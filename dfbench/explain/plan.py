"""The frozen plan of an explanation: everything is resolved and checked before any work; torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dfbench.config import runs_home
from dfbench.degrade import Condition
from dfbench.errors import UsageError, unknown_name
from dfbench.evaluation.dataset import RoleData, role_data
from dfbench.evaluation.plan import EvaluationPlan, prepared_manifests
from dfbench.evaluation.run_store import free_folder, make_run_id
from dfbench.explain.reconstruction import ReconstructionPlan
from dfbench.explain.store import EXPLANATION_FILE, EXPLANATION_FILES
from dfbench.manifest.manifest import Manifest

ROLES = ("test", "val")


@dataclass(frozen=True)
class ExplanationSettings:
    """What is explained; every value can change a number or a figure.

    Attributes:
        role: whose fakes are named and shown: ``test``; or ``val``, of which one half of the scene groups gives the
            means and the other half is named, for choices that must not be made on test data.
        mean_images: validation images per manipulation whose maps are averaged.
        images: fakes per manipulation whose technique is named.
        examples: images per manipulation in the figures.
        map_size: height and width of the compared maps in pixels; 0: half the crop.
        centred: subtract the grand mean of the mean maps.
        residual: show residuals.
        seed: of the choice of images and of the untrained network.
    """

    role: str = "test"
    mean_images: int = 100
    images: int = 200
    examples: int = 3
    map_size: int = 0
    centred: bool = True
    residual: bool = False
    seed: int = 0

    def checked(self, size: int) -> ExplanationSettings:
        """Return the settings for crops of a size, with the size of the maps filled in.

        Raises:
            UsageError: a value is out of range.
        """
        if self.role not in ROLES:
            raise unknown_name("role", self.role, ROLES)
        for name, least in (("mean_images", 1), ("images", 1), ("examples", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.examples > self.images:
            raise UsageError(
                f"{self.examples} examples of {self.images} images per manipulation", "request at most as many examples"
            )
        chosen = self.map_size or max(1, size // 2)
        if not 2 <= chosen <= size:
            raise UsageError(
                f"map_size must be between 2 and the crop size, {size}, not {chosen}", f"the default is {size // 2}"
            )
        return replace(self, map_size=chosen)


@dataclass(frozen=True, eq=False)
class ExplanationPlan:
    """One detector explained on the data of one protocol.

    Attributes:
        evaluation: the detector, its weights, and the test data.
        settings: what is explained.
        condition: condition of all crops.
        validation: data set -> manifest of the validation data; None until it has been prepared.
        out: folder of the explanation; None: one in the workspace.
        overwrite: replace another explanation in ``out``.
        reconstruction: by what faces are reconstructed; None: none are.
    """

    evaluation: EvaluationPlan
    settings: ExplanationSettings
    condition: Condition
    validation: Mapping[str, Manifest | None]
    out: Path | None = None
    overwrite: bool = False
    reconstruction: ReconstructionPlan | None = None

    def with_evaluation(self, evaluation: EvaluationPlan, made: Mapping[str, Manifest]) -> ExplanationPlan:
        """Add the evaluation whose manifests and weights exist, and prepared manifests."""
        validation = {name: manifest or made.get(name) for name, manifest in self.validation.items()}
        return replace(self, evaluation=evaluation, validation=validation)

    def data(self, role: str) -> RoleData | None:
        """Return the samples of a role under the condition; None if the protocol has no validation data.

        Raises:
            UsageError: a manifest has not been prepared yet.
            DataError: a manifest does not fit the protocol.
        """
        if role == "val" and not self.validation:
            return None
        manifests = prepared_manifests(self.validation) if role == "val" else self.evaluation.opened()
        return role_data(self.evaluation.protocol, manifests, role, self.condition, self.evaluation.roots)

    def manifests(self) -> tuple[Manifest, ...]:
        """Return the manifests of validation and test data, each once."""
        every = (*self.evaluation.opened(), *prepared_manifests(self.validation))
        return tuple({manifest.info.hash: manifest for manifest in every}.values())

    def options(self) -> dict[str, Any]:
        """Return the options that can change a number, as recorded."""
        options = self.evaluation.run_options()
        options |= {"condition": self.condition.name, "explain": asdict(self.settings)}
        how = self.reconstruction
        if how is not None:
            options["reconstruction"] = {"steps": how.steps, "method_weights": how.sha256}
        return options

    def run_id(self, sha256: str) -> str:
        """Return the id of the explanation, given the hash of the weights."""
        hashes = [manifest.info.hash for manifest in self.manifests()]
        return make_run_id(self.evaluation.source.name, sha256, self.evaluation.protocol, hashes, self.options())

    def folder(self, run_id: str) -> Path:
        """Return the folder of the explanation.

        Raises:
            UsageError: ``out`` holds another explanation, or other files.
        """
        if self.out is None:
            name = f"explain-{self.evaluation.protocol.name.replace('/', '-')}-{self.evaluation.source.name}"
            return runs_home() / f"{name}-{run_id[:8]}"
        return free_folder(
            self.out, run_id, self.overwrite, result=EXPLANATION_FILE, files=EXPLANATION_FILES, what="explanation"
        )

    def check_folder(self) -> None:
        """Check the folder where the id of the explanation is already known; see :meth:`folder`."""
        known = self.evaluation.card.sha256 if self.evaluation.card is not None else self.evaluation.state
        ready = self.evaluation.data is not None and all(m is not None for m in self.validation.values())
        if known and ready:
            self.folder(self.run_id(known))
