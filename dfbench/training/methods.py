"""Training methods: how a batch becomes a loss, what that needs, and the registry of the names.

``supervised`` feeds the batch to the detector and takes its loss. Other methods change the batch (mixing, erasing), add
terms to the loss, or make several forward and backward passes (:mod:`dfbench.training.steps`). A training has one
method. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dfbench.errors import ModelError, UsageError
from dfbench.models.interface import custom_code
from dfbench.models.options import check_values
from dfbench.models.registry import MODELS
from dfbench.models.spec import SUPERVISED_METHOD, ModelSpec
from dfbench.registry import Registry
from dfbench.training.recipe import MethodSampling
from dfbench.training.steps import Batch, FunctionStep, Step, StepResult, TrainingStep

if TYPE_CHECKING:
    from torch import nn

    from dfbench.explain.reconstruction import FaceReconstruction
    from dfbench.protocols.protocol import Protocol as TaskProtocol
    from dfbench.training.images import ImagesRequest, MethodImages
    from dfbench.training.recipe import FullRecipe


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """What a training is asked to do, before any data are read or weights made; torch is not needed.

    Attributes:
        model: specification of the detector.
        model_options: its options that were given, or are those of the preset.
        protocol: the protocol.
        recipe: the training recipe.
        options: every option of the method with its value.
    """

    model: ModelSpec
    model_options: Mapping[str, Any]
    protocol: TaskProtocol
    recipe: FullRecipe
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TrainingMethod:
    """A registered training method: a function, or what makes the object of its steps.

    Attributes:
        name: the registered name.
        summary: what it does, in one line.
        step: see :data:`Step`; None: ``make`` is given.
        version: changes whenever the same batch could give another loss; it is part of the card and decides whether an
            interrupted training may be resumed.
        make: called as ``make(detector, **options)`` with the initial weights at the start of each training, also of a
            resumed one; returns the object of its steps. Torch's global generator is seeded by the recipe's seed for
            the call. It raises :class:`dfbench.errors.ModelError` for a detector
            that it cannot train.
        options: option name -> its default, or its value in a method that :meth:`with_options` returned.
        choices: option name -> the values that it can have; other options are free.
        folders: options that name a folder of the user -> their values that name none. Of a folder, cards have the name
            without its path; which one it is distinguishes no runs.
        storage: options that decide what is stored, and no number: they distinguish no runs.
        check: receives the request when a training is planned; raises one of dfbench's errors, with a hint, where the
            method cannot be applied or the value of an option is out of range.
        columns: columns of the manifest that the steps need; a manifest without values in one is refused.
        extras: groups of optional columns that manifests with training samples need, as ``ManifestInfo.extras`` lists
            them: ``patch``, ``dense`` (dense landmarks). Manifests without them are refused; that of ``mini``, which is
            prepared where it does not exist, gets them.
        sampling: what the method needs: ``any``; ``balanced``: as many real as fake samples in a batch, for which the
            sampling ``natural`` of a recipe is replaced by ``balanced``; ``reals``: real samples alone, of each of
            which it makes a real and a fake image.
        augments: whether it draws the augmentation of its images itself; that of the recipe is not applied then.
        images: makes the images of the training where crops alone do not suffice; None: the crops of the samples.
            Called before the first epoch, also of a resumed training; it raises one of dfbench's errors where the
            samples do not have what it needs.
        profile: crop profile of the images that it makes; empty: they are cut as those of the manifest.
        reconstruction: how the kept weights of the steps (:class:`KeepsWeights`) reconstruct the two faces behind an
            image, which ``dfbench explain --reconstruct`` measures; None: they do not.
    """

    name: str
    summary: str
    step: Step | None = None
    version: str = "1"
    make: Callable[..., TrainingStep] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    storage: tuple[str, ...] = ()
    check: Callable[[TrainingRequest], None] | None = None
    columns: tuple[str, ...] = ()
    sampling: MethodSampling = "any"
    augments: bool = False
    images: Callable[[ImagesRequest], MethodImages] | None = None
    extras: tuple[str, ...] = ()
    profile: str = ""
    reconstruction: FaceReconstruction | None = None

    def with_options(self, given: Mapping[str, Any]) -> TrainingMethod:
        """Return the method with other values of its options.

        Raises:
            UsageError: an unknown option, or a value of another type than the default.
        """
        check_values(f"the training method {self.name}", self.options, given)
        return replace(self, options=dict(self.options) | dict(given))

    def check_request(
        self, model: ModelSpec, model_options: Mapping[str, Any], protocol: TaskProtocol, recipe: FullRecipe
    ) -> None:
        """Check that the method can be applied; see :class:`TrainingRequest`.

        Raises:
            DfbenchError: it cannot.
        """
        for name, known in self.choices.items():
            if self.options[name] not in known:
                raise UsageError(
                    f"invalid value {self.options[name]!r} of the option {name} of the method {self.name}",
                    f"choose from: {', '.join(known)}",
                )
        if self.check is not None:
            with custom_code(f"the training method {self.name!r} cannot check its request", "see docs/plugins.md"):
                self.check(TrainingRequest(model, model_options, protocol, recipe, self.options))

    def new_step(self, detector: nn.Module) -> TrainingStep:
        """Return the steps of a training.

        Raises:
            ModelError: they cannot be made.
        """
        if self.step is not None:
            return FunctionStep(partial(self.step, **self.options))
        with custom_code(f"the steps of the training method {self.name!r} cannot be made", "see docs/plugins.md"):
            step = self.make(detector, **self.options) if self.make is not None else None
        if not isinstance(step, TrainingStep):
            raise ModelError(
                f"the training method {self.name!r} makes {type(step).__name__}, which is no TrainingStep",
                "it needs start_epoch, __call__, after_backward, state_dict and load_state_dict",
            )
        return step

    def new_images(self, request: ImagesRequest) -> MethodImages | None:
        """Return the images of a training; None: the crops of its samples.

        Raises:
            DfbenchError: the samples do not have what the method needs.
        """
        if self.images is None:
            return None
        with custom_code(f"the images of the training method {self.name!r} cannot be made", "see docs/plugins.md"):
            return self.images(request)

    def record(self) -> dict[str, Any]:
        """What a card's recipe says of the method; nothing for the default, so that earlier cards keep their keys."""
        if self.name == DEFAULT:
            return {}
        named = {"method": self.name, "method_version": self.version}
        return named | ({"method_options": dict(self.options)} if self.options else {})

    def resume_identity(self) -> dict[str, Any]:
        """Return what an interrupted training must have in common with the one that resumes it.

        It is :meth:`record` without the paths of folders, which may move: the stored state of the steps tells whether
        their content is the same. Options that decide what is stored are left in it, since what was not stored of the
        best epoch so far cannot be stored later.
        """
        found, folders = self.record(), dict.fromkeys(self.given_folders(), "a folder")
        return found | ({"method_options": found["method_options"] | folders} if folders else {})

    def changes(self) -> dict[str, Any]:
        """Return the options that distinguish runs from those by the defaults, as ``METHOD.OPTION`` -> value."""
        usual = TRAINING_METHODS.get(self.name).options if self.options else {}
        left = {*self.storage, *self.given_folders()}
        return {
            f"{self.name}.{name}": value
            for name, value in self.options.items()
            if value != usual.get(name) and name not in left
        }

    def given_folders(self) -> dict[str, str]:
        """Return the folders that its options name."""
        named = {name: str(self.options[name]) for name in self.folders}
        return {name: value for name, value in named.items() if value and value not in self.folders[name]}


DEFAULT = SUPERVISED_METHOD

EXTRAS = ("patch", "dense")
"""Groups of optional columns that a method may need; see :attr:`TrainingMethod.extras`."""


def _supervised(detector: nn.Module, batch: Batch) -> StepResult:
    # By its name: the module needs torch, and the contract above.
    step: Step = import_module("dfbench.training.optimization").supervised_step
    return step(detector, batch)


SUPERVISED = TrainingMethod(DEFAULT, "the detector's own loss, or cross-entropy, on the augmented batch", _supervised)


def chosen_method(spec: ModelSpec, name: str | None = None, options: Mapping[str, Any] | None = None) -> TrainingMethod:
    """Return the method that a detector is to be trained by; torch is not needed.

    Args:
        spec: specification of the detector.
        name: of the method; None: that of the detector, ``supervised`` for most.
        options: its options that are given.

    Raises:
        UsageError: an unknown name or option, or the detector's own method excludes the given one.
        SetupError: the package of the method is broken.
    """
    own = spec.training_method
    if name is not None:
        TRAINING_METHODS.entry(name)
    if name is not None and name != own and own != DEFAULT:
        raise UsageError(
            f"{spec.name} is the detector trained by the method {own!r}, which excludes {name!r}",
            f"drop --method; or train its network by {name!r}: dfbench train --model {_same_network(spec)} "
            f"--method {name}",
        )
    return TRAINING_METHODS.get(name or own).with_options(options or {})


def _same_network(spec: ModelSpec) -> str:
    """Return the name of a detector with the same network and no method of its own; ``M`` if there is none."""
    for name in MODELS.names():
        entry = MODELS.entry(name)
        if not entry.package:
            other = MODELS.get(name)
            if other.target == spec.target and other.training_method == DEFAULT:
                return name
    return "M"


def _checked(name: str, value: object) -> TrainingMethod:
    if not isinstance(value, TrainingMethod) or value.name != name:
        raise TypeError(f"it is not a dfbench.training.TrainingMethod of the name {name!r}")
    if (value.step is None) == (value.make is None):
        raise ValueError("a training method has either step or make")
    free = sorted({*value.choices, *value.folders, *value.storage} - {*value.options})
    if free:
        raise ValueError(f"its choices, folders and storage are those of its options, which {free[0]!r} is not")
    unknown = sorted({*value.extras} - {*EXTRAS})
    if unknown:
        raise ValueError(f"its extras are among {', '.join(EXTRAS)}, not {unknown[0]!r}")
    return value


TRAINING_METHODS: Registry[TrainingMethod] = Registry(
    "training method",
    "dfbench.training_methods",
    {DEFAULT: SUPERVISED},
    check=_checked,
    describer=lambda method: method.summary,
    listing="dfbench list training-methods",
)
