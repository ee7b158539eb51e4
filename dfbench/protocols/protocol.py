"""The content of a protocol: data, sampling, crops, conditions, training, selection, metrics, failure policy."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from dfbench.datasets.registry import get_adapter
from dfbench.degrade import parse, read_conditions
from dfbench.errors import DataError, UsageError
from dfbench.io import canonical_hash
from dfbench.protocols.tables import Crops, DecisionRule, Metrics, ProtocolModel, Published, Selection
from dfbench.protocols.training_recipe import Augmentation, TrainingRecipe
from dfbench.schema.media import Split
from dfbench.schema.random_media import FractionalSplit, RandomSubset
from dfbench.schema.sampling import FaceRule, Rule, make_rule

FailurePolicy = Literal["exclude", "as-real", "as-fake", "as-chance"]


Positive = Annotated[int, Field(ge=1)]


class Sampling(ProtocolModel):
    """Which frames of a clip, by exactly one rule, and which faces of a frame.

    The rules are: ``frames`` spaced evenly over the clip; each ``every``-th frame, at most ``max``; ``all``;
    ``random`` frames, seeded by ``seed`` and the clip's id; ``clips`` runs of ``length`` consecutive frames; the
    ``first`` frames; ``aligned`` frames spaced evenly over the shortest clip of a scene group; or totals over all clips
    of a subset and split, ``total_real`` and ``total_per_method``.
    """

    optional: ClassVar[tuple[str, ...]] = (
        *("all", "random", "clips", "length", "first", "total_real", "total_per_method", "pick", "seed", "faces"),
        "aligned",
    )

    frames: Positive | None = None
    every: Positive | None = None
    max: Positive | None = None
    all: bool = False
    random: Positive | None = None
    clips: Positive | None = None
    length: Positive | None = None
    first: Positive | None = None
    aligned: Positive | None = None
    total_real: Positive | None = None
    total_per_method: Positive | None = None
    pick: Literal["uniform", "random"] | None = Field(default=None, description="how totals select frames of a clip")
    seed: int = Field(default=0, description="seed of random rules")
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
        # A seed of zero is the default.
        return make_rule({name: value for name, value in self if name != "faces" and value not in (0, False, None)})


class DataPart(ProtocolModel):
    """Media that the protocol uses for one role."""

    optional: ClassVar[tuple[str, ...]] = ("sampling", "take", "share")

    role: Literal["train", "val", "test"] = Field(description="what the media are used for")
    dataset: str = Field(description="command-line name of the data set")
    split: Split = Field(description="the data set's own split that contains the media")
    subsets: tuple[str, ...] = Field(default=(), description="empty: all")
    manipulations: tuple[str, ...] = Field(
        default=(), description='fake methods; empty: all. Reals are always used; ["real"]: only reals'
    )
    sampling: Sampling | None = Field(default=None, description="frames and faces, if different from the protocol's")
    take: RandomSubset | None = Field(default=None, description="number of media sampled at random; empty: all")
    share: FractionalSplit | None = Field(
        default=None, description="fractional split, if no split is published; empty: all"
    )

    @field_validator("take", "share", mode="wrap")
    @classmethod
    def _as_value_error(cls, raw: Any, plain: ValidatorFunctionWrapHandler) -> Any:
        try:
            return plain(raw)
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error


class Conditions(ProtocolModel):
    """Degradations at training and test time; ``clean`` means none.

    ``conditions = "suite:robustness/v1"`` and ``conditions = ["clean", "JP60"]`` are short for ``test`` only.
    """

    train: str = "clean"
    test: tuple[str, ...] = Field(default=("clean",), min_length=1, description="specs, or suite:NAME")

    @model_validator(mode="before")
    @classmethod
    def _test_only(cls, raw: Any) -> Any:
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


PROSE = ("summary", "unverified", "caution")
"""Fields that explain a protocol. They do not affect results and are not a part of the hash."""


class Protocol(ProtocolModel):
    """A complete protocol. :attr:`hash` identifies its content and is printed with every result."""

    optional: ClassVar[tuple[str, ...]] = ("caution", "merge", "real_classes", "threshold")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+./_-]*(@[a-z0-9-]+)?$")]
    version: Annotated[int, Field(ge=1)]
    source: str = Field(min_length=1, description="paper and table that it reproduces")
    summary: str = Field(min_length=1, description="one sentence for listings")
    unverified: tuple[str, ...] = Field(
        default=(), description="reproduction notes: what the source leaves open, and the reading chosen"
    )
    caution: str = Field(default="", description="warning that is printed with every number")
    task: Literal["binary", "multiclass"] = "binary"
    classes: tuple[str, ...] = Field(default=(), description="class names of a multi-class task in order")
    merge: dict[str, str] = Field(default_factory=dict, description="class of the data -> class of the task")
    real_classes: tuple[str, ...] = Field(
        default=(), description="classes of real faces; empty: those that the data sets name so"
    )
    data: tuple[DataPart, ...] = Field(min_length=1)
    sampling: Sampling = Sampling(frames=32)
    crops: Crops = Crops()
    conditions: Conditions = Conditions()
    training: TrainingRecipe = TrainingRecipe()
    selection: Selection = Selection()
    threshold: DecisionRule | None = Field(
        default=None, description="rule for threshold and temperature; empty: the threshold of metrics"
    )
    metrics: Metrics = Metrics()
    failure_policy: FailurePolicy = "exclude"
    published: Published = Published()
    _file: str = PrivateAttr(default="")  # file of a custom protocol; not a part of the content

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
            raise ValueError(f"merge names the class {astray[0]!r}, which is not in classes")
        strange = [name for name in self.real_classes if name not in self.classes]
        if strange:
            raise ValueError(f"real_classes names the class {strange[0]!r}, which is not in classes")
        if self.classes and set(self.real_classes) == set(self.classes):
            raise ValueError("real_classes lists every class: none would be fake")
        if not any(part.role == "test" for part in self.data):
            raise ValueError("no data part has the role test")
        if self.training.patience is not None and self.selection.split == "none":
            raise ValueError("training.patience needs a validation metric: selection.split is 'none'")
        for part in self.data:
            if part.split == "test" and part.role != "test":
                raise ValueError(f"data part {part.dataset} uses the test split as {part.role}")
        for number, part in enumerate(self.data):
            for other in self.data[:number]:
                if part == other:
                    raise ValueError(f"a data part of {part.dataset} is listed twice")
                self._agree(part, other)
                self._apart(part, other)
        cut = next((p.share for p in self.data if p.share and p.share.by != "scene_group"), None)
        if cut is not None and not self.caution:
            raise ValueError(f"share.by = {cut.by!r} puts one scene into several splits: state this in caution = '...'")
        return self

    def _agree(self, one: DataPart, other: DataPart) -> None:
        # Reals are used whatever the manipulations: parts of one split and subset have media in common.
        if one.dataset != other.dataset:
            return
        mine, theirs = self.sampling_of(one), self.sampling_of(other)
        if mine.faces != theirs.faces:
            raise ValueError(f"data parts of {one.dataset} differ in sampling.faces: a manifest has one face rule")
        common = not one.subsets or not other.subsets or set(one.subsets) & set(other.subsets)
        if one.split == other.split and common and mine.rule != theirs.rule:
            raise ValueError(f"data parts of {one.dataset} sample the same {one.split} media by different rules")
        if one.split == other.split and common and one.role == other.role and one.take != other.take:
            raise ValueError(f"data parts of {one.dataset} differ in take of the same {one.split} media")

    def _apart(self, one: DataPart, other: DataPart) -> None:
        # All subsets and methods of a split contain the same scenes and faces.
        if one.role == other.role or (one.dataset, one.split) != (other.dataset, other.split):
            return
        if one.take != other.take:
            raise ValueError(f"data parts of {one.dataset} split the {one.split} media by share, but differ in take")
        if one.share is None or other.share is None or not one.share.disjoint(other.share):
            raise ValueError(
                f"data parts of {one.dataset} use the same {one.split} media for {other.role} and {one.role}: "
                "give each part its own share"
            )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the normalised content (defaults filled in, keys sorted), without the fields in ``PROSE``."""
        return canonical_hash(self.model_dump(mode="json", exclude=set(PROSE)))

    @cached_property
    def hash_with_prose(self) -> str:
        """The hash of version 0.1.0, which includes the fields in ``PROSE``."""
        return canonical_hash(self.model_dump(mode="json"))

    @property
    def typed(self) -> str:
        """Its name on the command line: the name, or the file of a custom protocol."""
        return self._file or self.name

    @property
    def num_classes(self) -> int:
        """Number of outputs of a detector trained for this protocol."""
        return len(self.classes) if self.task == "multiclass" else 2

    @cached_property
    def reals(self) -> tuple[str, ...]:
        """Names of the classes of real faces in a multi-class task: as declared, else as the data sets name them.

        They do not depend on the samples at hand, so that P(fake) of a sample does not either. Empty in a binary task.

        Raises:
            DataError: no class of the task is one of reals.
            UsageError: an unknown data set.
        """
        if self.task == "binary" or self.real_classes:
            return self.real_classes
        named = {name for dataset in self.datasets() for name in _real_names(dataset)}
        found = tuple(name for name in self.classes if name in {self.merge.get(n, n) for n in named})
        if not found:
            raise DataError(
                f"protocol {self.name!r}: which of the classes are real? {', '.join(self.classes)}",
                f"declare them: real_classes = [{self.classes[0]!r}]",
            )
        return found

    @property
    def real_numbers(self) -> tuple[int, ...]:
        """Numbers of the outputs that are classes of real faces."""
        return tuple(self.classes.index(name) for name in self.reals) if self.task == "multiclass" else (0,)

    def sampling_of(self, part: DataPart) -> Sampling:
        """Return the sampling of a data part: its own, else the protocol's."""
        return part.sampling or self.sampling

    def datasets(self, role: str | None = None) -> tuple[str, ...]:
        """Return the names of the data sets in order, each once.

        Args:
            role: only data sets with this role; None: all.
        """
        return tuple(dict.fromkeys(p.dataset for p in self.data if role is None or p.role == role))


def _real_names(dataset: str) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(get_adapter(dataset), "real_classes", ("real",))  # adapters of older plug-ins
    return names


PARTS = (
    *(Protocol, DataPart, Sampling, Crops, Conditions, Augmentation, TrainingRecipe, Selection, DecisionRule, Metrics),
    Published,
)
"""The tables of a protocol file."""
