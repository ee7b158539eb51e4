"""What a protocol states: data, sampling, crops, conditions, training recipe, selection, metrics, failure rule."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from dfbench.degrade import parse
from dfbench.errors import UsageError
from dfbench.protocols.conditions import read_conditions
from dfbench.schema.media import Split
from dfbench.schema.random_media import FractionalSplit, RandomSubset
from dfbench.schema.sampling import FaceRule, Rule, make_rule

FailurePolicy = Literal["exclude", "as-real", "as-fake", "as-chance"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Positive = Annotated[int, Field(ge=1)]

# Left out of a protocol's content while they say nothing: the hash of a protocol that does not use them stays.
_SILENT = ("all", "random", "clips", "length", "first", "total_real", "total_per_method", "pick", "seed", "faces")


def _spoken(model: BaseModel, plain: SerializerFunctionWrapHandler, silent: tuple[str, ...]) -> dict[str, Any]:
    """The content of a model without those fields of ``silent`` that have their default."""
    values: dict[str, Any] = plain(model)
    defaults = {k: field.get_default(call_default_factory=True) for k, field in type(model).model_fields.items()}
    return {k: v for k, v in values.items() if k not in silent or getattr(model, k) != defaults[k]}


class Sampling(_Frozen):
    """Which frames of a clip, by exactly one rule, and which faces of a frame.

    ``frames`` evenly spread over the clip; every ``every``-th, at most ``max``; ``all``; ``random`` drawn by ``seed``
    and the clip's id; ``clips`` runs of ``length`` neighbours; the ``first`` so many; or totals over all clips of a
    subset and split, ``total_real`` and ``total_per_method``.
    """

    frames: Positive | None = None
    every: Positive | None = None
    max: Positive | None = None
    all: bool = False
    random: Positive | None = None
    clips: Positive | None = None
    length: Positive | None = None
    first: Positive | None = None
    total_real: Positive | None = None
    total_per_method: Positive | None = None
    pick: Literal["uniform", "random"] | None = Field(default=None, description="how totals choose within a clip")
    seed: int = Field(default=0, description="of rules that draw")
    faces: FaceRule = Field(default="largest", description="which faces of a frame")

    @model_validator(mode="after")
    def _one_rule(self) -> Sampling:
        try:
            _ = self.rule
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error
        return self

    @property
    def rule(self) -> Rule:
        """The frame rule."""
        # A seed of zero is no seed of its own.
        return make_rule({name: value for name, value in self if name != "faces" and value not in (0, False, None)})

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _spoken(self, plain, _SILENT)


class DataPart(_Frozen):
    """Media that take part in one role of the protocol."""

    role: Literal["train", "val", "test"]
    dataset: str
    split: Split = Field(description="the data set's own split the media come from")
    subsets: tuple[str, ...] = Field(default=(), description="empty: all")
    manipulations: tuple[str, ...] = Field(
        default=(), description='fake methods; empty: all. Reals always take part; ["real"]: reals alone'
    )
    sampling: Sampling | None = Field(default=None, description="where it is not the protocol's")
    take: RandomSubset | None = Field(default=None, description="so many media, drawn by lot; empty: all")
    share: FractionalSplit | None = Field(
        default=None, description="a cut by lot, where no split is published; empty: all"
    )

    @field_validator("take", "share", mode="wrap")
    @classmethod
    def _as_value_error(cls, raw: Any, plain: ValidatorFunctionWrapHandler) -> Any:
        try:
            return plain(raw)
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _spoken(self, plain, ("sampling", "take", "share"))


class Crops(_Frozen):
    """Crop profile and size in pixels."""

    profile: str = "native"
    size: Annotated[int, Field(ge=16, le=1024)] = 128


class Conditions(_Frozen):
    """Degradations at training and test time; ``clean`` is the untouched sample.

    ``conditions = "suite:robustness/v1"`` and ``conditions = ["clean", "JP60"]`` are short for ``test`` alone.
    """

    train: str = "clean"
    test: tuple[str, ...] = Field(default=("clean",), min_length=1, description="specs, or suite:NAME")

    @model_validator(mode="before")
    @classmethod
    def _test_alone(cls, raw: Any) -> Any:
        given = {"test": raw} if isinstance(raw, str | list | tuple) else raw
        if isinstance(given, dict) and isinstance(given.get("test"), str):
            return given | {"test": (given["test"],)}
        return given

    @model_validator(mode="after")
    def _known(self) -> Conditions:
        try:
            read_conditions(self.test)
            parse(self.train)
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error
        return self


class Augmentation(_Frozen):
    """Random augmentation of training crops: geometry, and degradations before it."""

    flip: Annotated[float, Field(ge=0, le=1)] = Field(default=0.5, description="probability of a horizontal flip")
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        default=0.0, description="largest angle in degrees, either way"
    )
    perspective: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="distortion scale")
    perspective_p: Annotated[float, Field(ge=0, le=1)] = 0.5
    shear: Annotated[float, Field(ge=0, lt=90)] = Field(default=0.0, description="largest angle in degrees")
    zoom: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="largest change of scale, as a share")
    shift: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="largest shift, as a share of the side")
    brightness: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="largest change, as a share")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(default=0.0, description="largest turn of the colour circle")
    degradations: tuple[str, ...] = Field(default=(), description="specs @crop, of which one is drawn for a crop")
    degradations_p: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="probability that a crop is degraded"
    )

    @model_validator(mode="after")
    def _known(self) -> Augmentation:
        try:
            strange = [c.name for c in map(parse, self.degradations) if c.where != "crop" or c.is_clean]
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error
        if strange:
            raise ValueError(f"training degradations act @crop, {strange[0]} does not")
        return self

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        silent = ("shear", "zoom", "shift", "brightness", "hue", "degradations")
        return _spoken(self, plain, silent if self.degradations else (*silent, "degradations_p"))


class Recipe(_Frozen):
    """How a detector is trained. ``None`` means: the detector's own published recipe decides."""

    epochs: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    optimizer: Literal["adam", "adamw", "sgd"] | None = None
    lr: Annotated[float, Field(gt=0)] | None = None
    lr_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="factor on the rate after every epoch, or as often as the next two say"
    )
    lr_decay_epochs: Annotated[int, Field(ge=1)] | None = Field(default=None, description="epochs between two decays")
    lr_decay_steps: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="optimiser steps between two decays, in place of epochs"
    )
    lr_min: Annotated[float, Field(ge=0)] | None = Field(default=None, description="the rate does not fall below it")
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    sampling: Literal["natural", "balanced", "paired"] = Field(
        default="natural",
        description="balanced: real and fake drawn equally often; paired: beside every fake a real frame of its base",
    )
    samples_per_epoch: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="None: every training sample once"
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: the loss of a class counts by the inverse of its number of samples"
    )
    augmentation: Augmentation | None = Field(default=None, description="None: the detector's own")
    seed: int = 7

    @model_validator(mode="after")
    def _decay_has_a_factor(self) -> Recipe:
        timed = [n for n in ("lr_decay_epochs", "lr_decay_steps", "lr_min") if getattr(self, n) is not None]
        if timed and self.lr_decay is None:
            raise ValueError(f"{timed[0]} needs lr_decay, the factor")
        if self.lr_decay_epochs is not None and self.lr_decay_steps is not None:
            raise ValueError("give lr_decay_epochs or lr_decay_steps, not both")
        return self

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _spoken(self, plain, ("lr_decay_epochs", "lr_decay_steps", "lr_min", "class_weights"))


class Selection(_Frozen):
    """What chooses the weights. A protocol that selects on test does not load."""

    split: Literal["val", "none"] = "val"
    metric: str = "auc.video.mean"


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice")
    return names


class Metrics(_Frozen):
    """Metric names (metric.level.aggregation), decision threshold and intervals."""

    names: Annotated[tuple[str, ...], AfterValidator(_each_once)] = ("acc.frame", "auc.frame", "eer.frame")
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    resamples: Annotated[int, Field(ge=0)] = 2000
    per_manipulation: bool = True
    seed: int = 0
    faces: Literal["largest", "max", "mean"] | None = Field(
        default=None, description="how several faces of a frame become one score; needed with sampling.faces = 'all'"
    )

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _spoken(self, plain, ("faces",))


PROSE = ("summary", "unverified", "caution")
"""Fields that explain a protocol and decide nothing. They can be reworded without a change of the hash."""


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Published(_Frozen):
    """Which published rows stand beside ours: filters on the columns of ``published_results.csv``."""

    where: dict[str, str] = Field(default_factory=dict)


class Protocol(_Frozen):
    """A whole protocol file. :attr:`hash` identifies its content and is printed with every result."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+./_-]*(@[a-z0-9-]+)?$")]
    version: Annotated[int, Field(ge=1)]
    source: str = Field(min_length=1, description="paper and table it comes from")
    summary: str = Field(min_length=1, description="one sentence for listings")
    unverified: tuple[str, ...] = Field(default=(), description="what the source leaves open, and the reading taken")
    caution: str = Field(default="", description="what a reader must know beside every number")
    task: Literal["binary", "multiclass"] = "binary"
    classes: tuple[str, ...] = Field(default=(), description="class names of a multi-class task in order")
    merge: dict[str, str] = Field(default_factory=dict, description="a class of the data -> the class it counts as")
    data: tuple[DataPart, ...] = Field(min_length=1)
    sampling: Sampling = Sampling(frames=32)
    crops: Crops = Crops()
    conditions: Conditions = Conditions()
    training: Recipe = Recipe()
    selection: Selection = Selection()
    metrics: Metrics = Metrics()
    failure_policy: FailurePolicy = "exclude"
    published: Published = Published()
    _file: str = PrivateAttr(default="")  # where a user's own was loaded from; it is no part of the content

    @model_validator(mode="before")
    @classmethod
    def _never_select_on_test(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and isinstance(raw.get("selection"), dict) and raw["selection"].get("split") == "test":
            raise ValueError("selection.split = 'test': a protocol that selects on the test split does not load")
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if (self.task == "multiclass") != bool(self.classes):
            raise ValueError("classes must be listed exactly when task = 'multiclass'")
        astray = sorted(set(self.merge.values()) - set(self.classes))
        if astray:
            raise ValueError(f"merge names the class {astray[0]!r}, which classes does not list")
        if not any(part.role == "test" for part in self.data):
            raise ValueError("no data part has the role test")
        for part in self.data:
            if part.split == "test" and part.role != "test":
                raise ValueError(f"data part {part.dataset} uses the test split as {part.role}")
        for number, part in enumerate(self.data):
            for other in self.data[:number]:
                if part == other:
                    raise ValueError(f"a data part of {part.dataset} stands twice")
                self._agree(part, other)
                self._apart(part, other)
        cut = next((p.share for p in self.data if p.share and p.share.by != "scene_group"), None)
        if cut is not None and not self.caution:
            raise ValueError(
                f"share.by = {cut.by!r} puts one scene on both sides of the cut: say so in caution = '...'"
            )
        return self

    def _agree(self, one: DataPart, other: DataPart) -> None:
        # Reals take part whatever the manipulations: parts of one split and subset have media in common.
        if one.dataset != other.dataset:
            return
        mine, theirs = self.sampling_of(one), self.sampling_of(other)
        if mine.faces != theirs.faces:
            raise ValueError(f"data parts of {one.dataset} differ in sampling.faces: a manifest has one face rule")
        common = not one.subsets or not other.subsets or set(one.subsets) & set(other.subsets)
        if one.split == other.split and common and mine.rule != theirs.rule:
            raise ValueError(f"data parts of {one.dataset} take the same {one.split} media by different sampling rules")
        if one.split == other.split and common and one.role == other.role and one.take != other.take:
            raise ValueError(f"data parts of {one.dataset} differ in take of the same {one.split} media")

    def _apart(self, one: DataPart, other: DataPart) -> None:
        # Whatever their subsets and methods: the scenes and faces of a split are the same in all of them.
        if one.role == other.role or (one.dataset, one.split) != (other.dataset, other.split):
            return
        if one.take != other.take:
            raise ValueError(f"data parts of {one.dataset} cut the {one.split} media by share, but differ in take")
        if one.share is None or other.share is None or not one.share.disjoint(other.share):
            raise ValueError(
                f"data parts of {one.dataset} use the same {one.split} media for {other.role} and {one.role}: "
                "give each a share of its own"
            )

    @model_serializer(mode="wrap")
    def _without_silence(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _spoken(self, plain, ("caution", "merge"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the normalised content (defaults filled in, keys sorted), without the fields in ``PROSE``."""
        return _digest(self.model_dump(mode="json", exclude=set(PROSE)))

    @cached_property
    def hash_with_prose(self) -> str:
        """The hash that version 0.1.0 computed: that of the whole content, with the fields in ``PROSE``."""
        return _digest(self.model_dump(mode="json"))

    @property
    def typed(self) -> str:
        """What to type for it on the command line: its name, or the file of a user's own."""
        return self._file or self.name

    @property
    def num_classes(self) -> int:
        """Outputs of a detector trained for this protocol."""
        return len(self.classes) if self.task == "multiclass" else 2

    def sampling_of(self, part: DataPart) -> Sampling:
        """The sampling of a data part: its own, else the protocol's."""
        return part.sampling or self.sampling

    def datasets(self, role: str | None = None) -> tuple[str, ...]:
        """Names of the data sets that take part, in order, each once."""
        return tuple(dict.fromkeys(p.dataset for p in self.data if role is None or p.role == role))


PARTS = (Protocol, DataPart, Sampling, Crops, Conditions, Augmentation, Recipe, Selection, Metrics, Published)
"""The tables of a protocol file."""
