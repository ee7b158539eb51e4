"""The card beside a weight file: what the weights are, how they were made, and where they may be used."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from dfbench.errors import ModelError
from dfbench.models.options import get_preset, recorded_options
from dfbench.models.registry import model_names
from dfbench.models.source import ModelSource, model_source
from dfbench.models.spec import SUPERVISED_METHOD
from dfbench.schema.result import ManifestRef, ProtocolRef
from dfbench.untrusted import read_json

CARD_VERSION = 1
METHOD_SUFFIX = ".method.safetensors"
POLARITY: Literal["real=0, fake=1"] = "real=0, fake=1"


class SelectionRecord(BaseModel):
    """What chose the weights among the epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Literal["val", "none", "unknown"]
    metric: str | None = None
    value: float | None = None
    epoch: int = Field(ge=0, description="the chosen epoch, counted from 1; 0: untrained")
    note: str = ""


class DecisionRecord(BaseModel):
    """Threshold and temperature that were chosen on validation data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Literal["val"] = "val"
    rule: str | None = Field(description="rule of the threshold, as in the protocol; None: no threshold was chosen")
    level: str = Field(description="scores that it was chosen on: frame, video.mean, ...")
    threshold: float | None = Field(ge=0, le=1, description="P(fake) from which a sample counts as fake")
    temperature: float | None = Field(gt=0, description="divisor of the logits; None: none was chosen")
    samples: int = Field(ge=1, description="frames or videos that the threshold was chosen on")


class ImportedFrom(BaseModel):
    """The file that imported weights come from, and how it was converted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="naming that was recognised, as in deepfakebench")
    file: str = Field(description="name of the imported file")
    sha256: str = Field(description="of the imported file")
    bytes: int = Field(ge=0, description="size of the imported file")
    prefix: str = Field(default="", description="wrapper stripped from the names")
    tensors: int = Field(ge=0, description="tensors in the imported file")
    left_out: tuple[str, ...] = Field(default=(), description="tensors that the published detector does not use")
    filled: tuple[str, ...] = Field(
        default=(),
        description="our tensors that the file lacks: counters, and parts that came by the option pretrained",
    )
    key: str = Field(default="", description="which state dict of the file; empty: the file is one")
    other_keys: tuple[str, ...] = Field(default=(), description="further state dicts in the file, as of averages")


class MethodWeights(BaseModel):
    """The file of what a training method keeps of its own weights; see :func:`method_path`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(description="of the file")
    bytes: int = Field(ge=0, description="size of the file")


class WeightCard(BaseModel):
    """The JSON file beside a weight file (same name, ``.json``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = CARD_VERSION
    model: str = Field(description="registered name; for a custom detector the name of its module and class")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="every option of the detector with its value; of an option that a card lacks, the detector's "
        "specification states the value",
    )
    preset: str = Field(default="", description="preset that it was trained with; empty: none")
    num_classes: int = Field(ge=1)
    classes: tuple[str, ...] = Field(default=(), description="class names of a multi-class task in order")
    real_classes: tuple[str, ...] = Field(
        default=(), description="those of real faces; empty: unknown, as in cards of version 0.1.0"
    )
    polarity: Literal["real=0, fake=1"] = POLARITY
    profile: str = Field(description="crop profile it was trained on")
    size: int = Field(ge=1, description="crop size in pixels")
    protocol: ProtocolRef | None = None
    manifests: tuple[ManifestRef, ...] = ()
    train_condition: str = "clean"
    training_method: str = Field(
        default=SUPERVISED_METHOD, description="how batches became losses; 'unknown' for most imported weights"
    )
    method_options: dict[str, Any] = Field(
        default_factory=dict, description="every option of the training method with its value"
    )
    recipe: dict[str, Any] = Field(default_factory=dict, description="the training recipe as it was run")
    overrides: dict[str, Any] = Field(
        default_factory=dict,
        description="values of the recipe that the call changed from those of protocol and detector; changed options "
        "of the training method as METHOD.OPTION",
    )
    method_weights: MethodWeights | None = Field(
        default=None, description="weights of the training method beside those of the detector, where it keeps them"
    )
    seed: int | None = None
    selection: SelectionRecord
    decision: DecisionRecord | None = Field(
        default=None, description="threshold and temperature, where the protocol has a rule for them"
    )
    licence: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    mini: bool = Field(description="True when trained on invented faces")
    sha256: str = Field(default="", description="of the weight file")
    bytes: int = Field(default=0, ge=0, description="size of the weight file")
    golden: tuple[float, ...] = Field(default=(), description="P(fake) of the golden images")
    origin: ImportedFrom | None = Field(default=None, description="for imported weights: where they come from")
    module_sha256: str = Field(
        default="",
        description="for an nn.Module that was passed as an object: hash of its class name and initial state",
    )

    @model_serializer(mode="wrap")
    def _without_empty_fields(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = plain(self)
        omitted = ("module_sha256", "real_classes", "decision", "preset", "method_options", "method_weights")
        return {name: v for name, v in values.items() if v or name not in omitted}


@dataclass(frozen=True)
class IntendedUse:
    """What weights are about to be used for; None means: any.

    Attributes:
        model: the detector.
        num_classes: classes of the task (2 accepts a one-logit detector too).
        classes: names of the classes of a multi-class task in order.
        real_classes: those of real faces.
        profile: crop profile of the data.
        size: crop size in pixels.
        protocol: name of the protocol.
        preset: preset of the detector whose options the weights must have.
        allow_crop_mismatch: accept weights that were trained on other crops.
        allow_mini_weights: accept weights that were trained on invented faces.
    """

    model: ModelSource | str | None = None
    num_classes: int | None = None
    classes: tuple[str, ...] = ()
    real_classes: tuple[str, ...] = ()
    profile: str | None = None
    size: int | None = None
    protocol: str | None = None
    preset: str = ""
    allow_crop_mismatch: bool = False
    allow_mini_weights: bool = False


def card_path(weights: Path) -> Path:
    """Return the path of the card of a weight file.

    >>> card_path(Path("weights/mini/grnet.safetensors")).as_posix()
    'weights/mini/grnet.json'
    """
    return weights.with_suffix(".json")


def method_path(weights: Path) -> Path:
    """Return the path of what the training method keeps beside a weight file.

    >>> method_path(Path("weights/mini/grnet.safetensors")).as_posix()
    'weights/mini/grnet.method.safetensors'
    """
    return weights.with_name(f"{weights.stem}{METHOD_SUFFIX}")


def read_card(weights: Path) -> WeightCard:
    """Read the card of a weight file; needs no torch.

    Raises:
        ModelError: the weights or the card are missing, or the card is damaged or of another version.
    """
    if not weights.is_file():
        raise ModelError(f"there are no weights at {weights}", _missing_hint(weights))
    path = card_path(weights)
    if weights.name.endswith(METHOD_SUFFIX) and not path.is_file():
        raise ModelError(
            f"{weights} holds what a training method keeps, not the weights of a detector",
            f"pass {weights.name.removesuffix(METHOD_SUFFIX)}.safetensors",
        )
    if not path.is_file():
        raise ModelError(
            f"the weights {weights} have no card {path.name} in the same folder",
            "dfbench train writes both; copy the card along with the weights. Weights of another project: "
            f"dfbench weights import {weights.name} --model M",
        )
    raw = read_json(path, "it is the card of some weights; train again: dfbench train", ModelError)
    if isinstance(raw, dict) and raw.get("format_version", CARD_VERSION) != CARD_VERSION:
        raise ModelError(
            f"the card {path} has format {raw['format_version']}, this dfbench reads {CARD_VERSION}",
            "use the dfbench that wrote it, or train again",
        )
    try:
        return WeightCard.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise ModelError(
            f"the card {path} does not fit: {where}: {first['msg']}", "train again: dfbench train"
        ) from error


def _missing_hint(weights: Path) -> str:
    folder = weights.parent
    if folder.is_dir():
        there = sorted(p.name for p in folder.glob("*.safetensors") if not p.name.endswith(METHOD_SUFFIX))
        near = difflib.get_close_matches(weights.name, there, n=2, cutoff=0.4)
        if near:
            return f"in {folder} there is: {', '.join(near)}; or train: dfbench train --model M --protocol P"
    return "check the path, or train them: dfbench train --model M --protocol P"


def check_card(card: WeightCard, weights: Path, use: IntendedUse) -> None:
    """Refuse weights that do not fit their intended use; needs no torch.

    Raises:
        ModelError: another detector, class count, crop profile or size; or mini weights in another protocol.
    """
    source = model_source(use.model) if use.model is not None else None
    if source is not None and card.model != source.name:
        raise ModelError(
            f"the weights {weights} belong to {card.model!r}, not to {source.reference!r}",
            f"use them with --model {card.model}"
            if card.model in model_names()
            else "they belong to a custom detector: give its file, --model path/to/file.py:ClassName",
        )
    other = _other_options(card, source, use.preset) if source is not None and use.preset else ""
    if other:
        raise ModelError(
            f"the weights {weights} have {other}, the preset {use.preset!r} of {card.model} has other options",
            f"train them: dfbench train --model {card.model} --preset {use.preset}; or drop --preset",
        )
    if use.num_classes is not None and card.num_classes not in _fitting(use.num_classes):
        raise ModelError(
            f"the weights {weights} have {card.num_classes} classes, the task has {use.num_classes}",
            f"they were trained for protocol {card.protocol.name if card.protocol else 'none'}; train for this one",
        )
    if use.classes and card.classes and card.classes != use.classes:
        raise ModelError(
            f"the weights {weights} have the classes {', '.join(card.classes)}, the task {', '.join(use.classes)}",
            "names and order must be the same",
        )
    if use.real_classes and card.real_classes and set(card.real_classes) != set(use.real_classes):
        raise ModelError(
            f"of the classes of the weights {weights} {', '.join(card.real_classes)} are real, "
            f"of the task {', '.join(use.real_classes)}",
            "P(fake) would have another meaning; use weights of this task",
        )
    profile, size = use.profile or card.profile, use.size or card.size
    if crop_mismatch(card, profile, size) and not use.allow_crop_mismatch:
        raise ModelError(
            f"the weights {weights} were trained on {card.profile!r} crops of {card.size} pixels, "
            f"the data are {profile!r} crops of {size}",
            "prepare matching crops, or use --allow-crop-mismatch",
        )
    home = card.protocol.name if card.protocol else "mini"
    if card.mini and use.protocol not in (None, home) and not use.allow_mini_weights:
        raise ModelError(
            f"the weights {weights} were trained on invented faces (mini) and say nothing about {use.protocol!r}",
            f"train: dfbench train --model {card.model} --protocol {use.protocol}; or use --allow-mini-weights",
        )


def crop_mismatch(card: WeightCard, profile: str, size: int) -> str:
    """Return the crops that weights were trained on where they differ from the given ones; else an empty string.

    >>> card = WeightCard(model="m", num_classes=2, profile="dfb256", size=256, mini=False,
    ...                   selection=SelectionRecord(split="unknown", epoch=0))
    >>> crop_mismatch(card, "native", 128), crop_mismatch(card, "dfb256", 256)
    ('dfb256 256 px', '')
    """
    return "" if (card.profile, card.size) == (profile, size) else f"{card.profile} {card.size} px"


def _other_options(card: WeightCard, source: ModelSource, preset: str) -> str:
    """Return the options of a card that differ from those of a preset, as text."""
    found = recorded_options(source.spec, card.options)
    wanted = get_preset(source.spec, preset).options
    return ", ".join(f"{name}={found.get(name)}" for name, value in wanted.items() if found.get(name) != value)


def _fitting(num_classes: int) -> set[int]:
    return {1, 2} if num_classes == 2 else {num_classes}


def face_detector_of(card: WeightCard | None) -> str:
    """Return the face detector of the training data where it is known and installed; else the default one."""
    from dfbench.faces.base import DetectorChoice
    from dfbench.faces.detectors import face_detector_names

    names = {manifest.face_detector for manifest in card.manifests} if card is not None else set()
    return names.pop() if len(names) == 1 and names <= set(face_detector_names()) else DetectorChoice().name
