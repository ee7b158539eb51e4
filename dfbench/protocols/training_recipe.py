"""The training recipe of a protocol file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dfbench.degrade import parse
from dfbench.errors import UsageError
from dfbench.protocols.tables import ProtocolModel

Schedule = Literal["constant", "cosine", "linear", "step"]
"""How the learning rate changes after the warm-up."""


class Augmentation(ProtocolModel):
    """Random augmentation of training crops: degradations, then geometric and colour transforms."""

    optional: ClassVar[tuple[str, ...]] = ("shear", "zoom", "shift", "brightness", "hue", "degradations")

    flip: Annotated[float, Field(ge=0, le=1)] = Field(default=0.5, description="probability of a horizontal flip")
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(
        default=0.0, description="largest angle in degrees, in both directions"
    )
    perspective: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="distortion scale")
    perspective_p: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="probability of a perspective distortion"
    )
    shear: Annotated[float, Field(ge=0, lt=90)] = Field(default=0.0, description="largest angle in degrees")
    zoom: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="largest change of scale, as a fraction")
    shift: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="largest shift, as a fraction of the side"
    )
    brightness: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="largest change, as a fraction")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(default=0.0, description="largest rotation of the hue circle")
    degradations: tuple[str, ...] = Field(
        default=(), description="specs @crop; one of them is chosen at random for a crop"
    )
    degradations_p: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="probability that a crop is degraded"
    )

    @model_validator(mode="after")
    def _known(self) -> Augmentation:
        try:
            wrong = [c.name for c in map(parse, self.degradations) if c.where != "crop" or c.is_clean]
        except UsageError as error:
            raise ValueError(f"{error.message}: {error.hint}") from error
        if wrong:
            raise ValueError(f"training degradations must act @crop; {wrong[0]} does not")
        return self

    def optional_fields(self) -> tuple[str, ...]:
        """Return the optional fields; without degradations, their probability is optional too."""
        return self.optional if self.degradations else (*self.optional, "degradations_p")


class TrainingRecipe(ProtocolModel):
    """How a detector is trained. ``None`` means that the detector's published recipe decides."""

    optional: ClassVar[tuple[str, ...]] = (
        *("lr_decay_epochs", "lr_decay_steps", "lr_min", "lr_linear_from", "class_weights"),
        *("lr_schedule", "warmup", "clip_norm", "ema_decay", "patience", "batch_norm_samples", "compute"),
    )

    epochs: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    optimizer: Literal["adam", "adamw", "sgd"] | None = None
    lr: Annotated[float, Field(gt=0)] | None = None
    lr_schedule: Schedule | None = Field(
        default=None,
        description="constant, cosine (falls to lr_min at the last step), linear (falls epoch by epoch, from "
        "lr_linear_from on, towards 0) or step (decays by lr_decay); None: that of the detector, or step with the "
        "given decay",
    )
    warmup: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="linear increase of the learning rate at the start: below 1 a fraction of all optimiser steps, "
        "else a number of them",
    )
    lr_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="factor of the learning rate after every epoch, or after the interval of the next two"
    )
    lr_decay_epochs: Annotated[int, Field(ge=1)] | None = Field(default=None, description="epochs between two decays")
    lr_decay_steps: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="optimiser steps between two decays, instead of epochs"
    )
    lr_min: Annotated[float, Field(ge=0)] | None = Field(default=None, description="lower bound of the learning rate")
    lr_linear_from: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="linear: share of the epochs, rounded down, after which the learning rate falls; None: that of the "
        "detector, else 0",
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="largest norm of the gradient of all parameters; a larger gradient is scaled down"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="decay of the exponential moving average of the weights, which is then evaluated"
    )
    patience: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="epochs without a better validation metric after which the training ends"
    )
    batch_norm_samples: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="training samples on which batch-norm statistics are estimated before validation and for the "
        "stored weights; 0: running averages of the training; None: 512",
    )
    sampling: Literal["natural", "balanced", "paired"] = Field(
        default="natural",
        description="balanced: real and fake equally often; paired: a real frame of its base for every fake",
    )
    samples_per_epoch: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="None: every training sample once; with compute, the most samples of an epoch"
    )
    compute: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="budget in multiply-adds of one forward pass of every training sample of all epochs: an epoch has "
        "as many samples as it pays for, so that cheap detectors are trained for more steps than costly ones",
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: the loss of a class is weighted by the inverse of its number of samples"
    )
    augmentation: Augmentation | None = Field(default=None, description="None: that of the detector")
    seed: int = 7

    @model_validator(mode="after")
    def _consistent_schedule(self) -> TrainingRecipe:
        timed = [n for n in ("lr_decay_epochs", "lr_decay_steps") if getattr(self, n) is not None]
        decays = [*timed, *(["lr_decay"] if self.lr_decay is not None else [])]
        if self.lr_linear_from is not None and self.lr_schedule != "linear":
            raise ValueError("lr_linear_from requires lr_schedule = 'linear'")
        if self.lr_schedule in ("constant", "cosine", "linear") and decays:
            raise ValueError(f"{decays[0]} has no effect with lr_schedule = {self.lr_schedule!r}: use 'step'")
        if timed and self.lr_decay is None:
            raise ValueError(f"{timed[0]} requires lr_decay, the factor")
        if self.lr_min is not None and self.lr_decay is None and self.lr_schedule != "cosine":
            raise ValueError("lr_min requires lr_decay, the factor, or lr_schedule = 'cosine'")
        if self.lr_decay_epochs is not None and self.lr_decay_steps is not None:
            raise ValueError("give lr_decay_epochs or lr_decay_steps, not both")
        if self.warmup is not None and self.warmup >= 1 and self.warmup != int(self.warmup):
            raise ValueError("warmup is a fraction below 1 or a whole number of steps")
        return self
