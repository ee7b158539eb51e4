"""The specification of a detector, free of torch: options, sizes, provenance, reproduction notes, recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dfbench.deprecation import renamed_keywords
from dfbench.models.convert.keymap import KeyMap

SUPERVISED_METHOD = "supervised"
"""Name of the training method of a detector that brings none of its own."""

Provenance = Literal["official weights", "re-implementation", "approximate", "user"]


@dataclass(frozen=True)
class ReproductionNote:
    """A detail that the sources leave open, and the reading chosen here.

    Attributes:
        what: the detail.
        reading: the reading used by default.
        option: the model option that changes it; empty: none.
    """

    what: str
    reading: str
    option: str = ""


@dataclass(frozen=True)
class TrainingDefaults:
    """A detector's own published recipe; a protocol may override most fields (docs/protocols.md).

    Attributes:
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        lr: initial learning rate.
        lr_decay: factor on the learning rate after every ``lr_decay_epochs`` epochs.
        lr_decay_epochs: epochs between two decays.
        lr_decay_steps: optimiser steps between two decays, at ``batch_size``; in place of epochs.
        lr_min: the rate does not fall below it.
        lr_restart_epoch: epoch, counted from 0, at which the decay by epochs begins anew with ``lr``, for a training of
            two phases; None: it does not.
        lr_linear_from: share of the epochs, rounded down to whole ones, after which the rate falls linearly, epoch by
            epoch, towards 0 after the last; it replaces the decay by ``lr_decay``. None: it does not.
        epochs: passes over the training samples.
        batch_size: samples per step.
        betas: Adam's decay rates.
        momentum: of SGD.
        weight_decay: L2 penalty.
        bias_lr_factor: biases of convolutions and dense layers learn at this multiple of the rate (Caffe's lr_mult).
        bias_weight_decay: whether those biases decay too.
        samples_per_epoch: None: every training sample once.
        rotation: largest rotation of the augmentation, degrees.
        perspective: distortion scale of the random perspective.
        zoom: largest change of scale, as a share.
        brightness: largest change, as a share.
        hue: largest turn of the colour circle, as a share of it.
        flip: probability of a horizontal flip.
        source: where the numbers come from, and which are proposed.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    lr_decay: float = 1.0
    lr_decay_epochs: int = 1
    lr_decay_steps: int | None = None
    lr_min: float = 0.0
    lr_restart_epoch: int | None = None
    lr_linear_from: float | None = None
    epochs: int = 20
    batch_size: int = 64
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    weight_decay: float = 0.0
    bias_lr_factor: float = 1.0
    bias_weight_decay: bool = True
    samples_per_epoch: int | None = None
    rotation: float = 0.0
    perspective: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    hue: float = 0.0
    flip: float = 0.5
    source: str = ""


@dataclass(frozen=True)
class Preset:
    """A named choice of a detector's options, and of its training where that is a part of it.

    Attributes:
        summary: what it is, in one line.
        options: option name -> value; options that are not listed keep their defaults.
        recipe: how it is trained when a protocol does not say; None: as the detector.
    """

    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    recipe: TrainingDefaults | None = None


@dataclass(frozen=True)
class ModelSpec:
    """One registered detector.

    Attributes:
        name: the name users type.
        target: ``"package.module:attr"`` of the factory, called as ``attr(num_classes=, image_size=, **options)``;
            it returns an ``nn.Module`` that takes RGB in [0,1], N,C,H,W, and returns an object with ``.logits``
            (N, C) whose other tensor fields are extra outputs. Imported only when a model is built.
        options: option name -> default value.
        former_values: option name -> value of an earlier version of dfbench -> today's, for old weight cards and
            commands.
        former_defaults: option name -> the value that a weight card without the option means, where that is not
            today's default. A card lists every option with its value; one that lacks an option was written before
            cards did so, or before the detector had the option.
        presets: name -> a named choice of options and training, such as the literal reading of a paper.
        sizes: crop sizes the network was made for, in pixels; the first is the default.
        any_size: whether other sizes work too.
        smallest: smallest size that works, in pixels.
        multiple: sizes must be multiples of this.
        published_sizes: crop sizes of its publication, where results at other sizes are marked; empty: they are not.
        classes: numbers of classes that are supported; empty: any.
        paper: citation in one line.
        bibtex: BibTeX entry.
        provenance: what the code is, in the sense of :data:`Provenance`.
        measured: what may be said of its numbers.
        licence: of code and weights.
        reproduction_notes: details that the sources leave open, with the reading chosen.
        recipe: how it is trained when a protocol does not say.
        training_method: name of the training method that it stands for, as in the published pairing of a network and a
            method; other methods are refused.
        pretrained: what ``pretrained=True`` would fetch; empty when the option does not exist.
        published_pretrained: whether the published detector starts from such weights.
        phase_option: option with the number of initial epochs that train a part of the network only; empty: none. A
            training must have more epochs, and one device.
        caution: what readers of its results should know; tables print it. Empty: nothing.
        foreign_keys: the namings in which other projects publish weights of it, the most particular first.
    """

    name: str
    target: str
    options: Mapping[str, Any] = field(default_factory=dict)
    former_values: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    former_defaults: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    sizes: tuple[int, ...] = (128, 224)
    any_size: bool = True
    smallest: int = 1
    multiple: int = 1
    published_sizes: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    paper: str = ""
    bibtex: str = ""
    provenance: Provenance = "re-implementation"
    measured: str = "re-implementation, not yet measured"
    licence: str = "Apache-2.0"
    reproduction_notes: tuple[ReproductionNote, ...] = ()
    recipe: TrainingDefaults = TrainingDefaults()
    training_method: str = SUPERVISED_METHOD
    pretrained: str = ""
    published_pretrained: bool = False
    phase_option: str = ""
    caution: str = ""
    foreign_keys: tuple[KeyMap, ...] = ()


ModelSpec.__init__ = renamed_keywords(open_points="reproduction_notes")(ModelSpec.__init__)  # type: ignore[method-assign]
