"""The training recipe: values of the call, else of the protocol, else of the detector's own published recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict, Unpack, get_args

from dfbench.errors import UsageError
from dfbench.models.spec import TrainingDefaults
from dfbench.protocols.training_recipe import Augmentation, Schedule, TrainingRecipe

BATCH_NORM_SAMPLES = 512
"""Training samples on which batch-norm statistics are estimated by default. Running averages with the usual momentum of
0.1 are means of about 19 batches: 300 samples in batches of 16."""


MethodSampling = Literal["any", "balanced", "reals"]
"""Samples that a training method needs, see :class:`dfbench.training.TrainingMethod`."""


class RecipeValues(TypedDict, total=False):
    """Values of a call that take precedence over protocol and detector; None and absent ones do not.

    Attributes:
        epochs: passes over the training samples. It may be raised when an interrupted training is resumed.
        batch_size: samples per batch, over all devices.
        accumulate: batches whose gradients make one optimiser step.
        samples_per_epoch: samples of an epoch; a protocol's budget of multiply-adds has no effect then.
        lr: learning rate.
        lr_schedule: ``constant``, ``cosine``, ``linear`` or ``step``.
        warmup: steps of linear warm-up of the learning rate, or below 1 their fraction of all steps.
        clip_norm: largest norm of the gradient.
        ema_decay: decay of the moving average of the weights.
        patience: epochs without a better validation metric after which the training ends.
        batch_norm_samples: training samples on which batch-norm statistics are estimated; 0: running averages.
        seed: of initial weights, order, augmentation and the detector's random numbers.
    """

    epochs: int | None
    batch_size: int | None
    accumulate: int | None
    samples_per_epoch: int | None
    lr: float | None
    lr_schedule: str | None
    warmup: float | None
    clip_norm: float | None
    ema_decay: float | None
    patience: int | None
    batch_norm_samples: int | None
    seed: int | None


@dataclass(frozen=True)
class FullRecipe:
    """A training recipe without gaps. Fields are those of the protocol's recipe and of the detector's defaults.

    Attributes:
        batch_size: samples per batch, over all devices.
        accumulate: batches whose gradients make one optimiser step.
        lr_schedule: ``constant``, ``cosine``, ``linear`` or ``step``.
        warmup: steps of linear warm-up, or below 1 their fraction of all steps.
        lr_decay_steps: optimiser steps between two decays; None: ``lr_decay_epochs`` decides.
        lr_restart_epoch: epoch, counted from 0, at which the decay by epochs begins anew; None: it does not.
        lr_linear_from: share of the epochs, rounded down, after which a ``linear`` rate falls; 0.0 for the others.
        clip_norm: largest norm of the gradient; None: it is not limited.
        ema_decay: decay of the moving average of the weights; None: the weights themselves are evaluated.
        patience: epochs without a better validation metric after which the training ends; None: all are trained.
        batch_norm_samples: training samples on which batch-norm statistics are estimated, at most those of an epoch; 0:
            running averages.
        sampling: ``natural``, ``balanced``, ``paired`` or ``reals``, see
            :func:`dfbench.training.sampler.epoch_order`.
        samples_per_epoch: images of an epoch; None: every training sample once.
        compute: budget in multiply-adds, from which ``samples_per_epoch`` follows when the training starts, see
            :func:`dfbench.training.cost.within_budget`; None: there is none.
        augmentation: random changes of the training crops.
    """

    epochs: int
    batch_size: int
    accumulate: int
    optimizer: str
    lr: float
    lr_schedule: Schedule
    warmup: float
    lr_decay: float
    lr_decay_epochs: int
    lr_decay_steps: int | None
    lr_min: float
    lr_restart_epoch: int | None
    lr_linear_from: float
    weight_decay: float
    betas: tuple[float, float]
    momentum: float
    bias_lr_factor: float
    bias_weight_decay: bool
    clip_norm: float | None
    ema_decay: float | None
    patience: int | None
    batch_norm_samples: int
    sampling: str
    samples_per_epoch: int | None
    compute: float | None
    class_weights: str
    augmentation: Augmentation
    seed: int

    @property
    def images_per_row(self) -> int:
        """Images that a training row gives: with the sampling ``reals``, a real and a fake one."""
        return 2 if self.sampling == "reals" else 1

    @property
    def rate_depends_on_length(self) -> bool:
        """Whether the learning rate of a step depends on the number of epochs."""
        return self.lr_schedule in ("cosine", "linear") or 0 < self.warmup < 1

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the learning rate of an optimiser step.

        It is a function of its arguments alone, so that nothing is stored between steps: a resumed training has the
        rates of an undisturbed one. The values are those of torch's ``LinearLR`` from 1 / warm-up steps, followed by
        ``CosineAnnealingLR`` or ``StepLR``.

        Args:
            epoch: counted from 0.
            step: of the whole training, counted from 0.
            steps: of the whole training, their number.
        """
        warm = min(steps, math.ceil(self.warmup * steps) if self.warmup < 1 else int(self.warmup))
        if self.lr_schedule == "cosine":
            done = max(0, step - warm) / max(1, steps - warm)
            rate = self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * done)) / 2
        elif self.lr_schedule == "linear":
            start = int(self.lr_linear_from * self.epochs)
            rate = self.lr * min(1.0, (self.epochs - epoch) / (self.epochs - start))
        else:
            since = epoch - (self.lr_restart_epoch or 0)
            passed = since if since >= 0 else epoch
            decays = passed // self.lr_decay_epochs if self.lr_decay_steps is None else step // self.lr_decay_steps
            rate = max(self.lr_min, self.lr * self.lr_decay**decays)
        return float(rate * (step + 1) / warm if step < warm else rate)

    def record(self) -> dict[str, Any]:
        """Return the recipe for cards and hashes."""
        return asdict(self) | {"augmentation": self.augmentation.model_dump(mode="json")}


def fill_recipe(
    protocol: TrainingRecipe,
    detector: TrainingDefaults,
    *,
    sampling: MethodSampling = "any",
    augments: bool = False,
    **values: Unpack[RecipeValues],
) -> FullRecipe:
    """Complete a protocol's recipe from the detector's own; explicit values override both.

    A detector's decay in steps refers to its own batch size: with another one it happens after as many samples.

    Args:
        protocol: the protocol's recipe.
        detector: the detector's own.
        sampling: samples that the training method needs.
        augments: whether the training method draws the augmentation itself.
        values: those of the call.

    Raises:
        UsageError: an explicit value is out of range, or has an unknown name.
    """
    given = _checked({name: value for name, value in values.items() if value is not None})
    batch = given.get("batch_size") or protocol.batch_size or detector.batch_size
    accumulate = given.get("accumulate", 1)
    return FullRecipe(
        epochs=given.get("epochs") or protocol.epochs or detector.epochs,
        batch_size=batch,
        accumulate=accumulate,
        optimizer=protocol.optimizer or detector.optimizer,
        lr=given.get("lr") or protocol.lr or detector.lr,
        warmup=_first(given.get("warmup"), protocol.warmup, 0.0),
        **_schedule(protocol, detector, given.get("lr_schedule"), batch * accumulate),
        weight_decay=_first(protocol.weight_decay, detector.weight_decay),
        betas=detector.betas,
        momentum=detector.momentum,
        bias_lr_factor=detector.bias_lr_factor,
        bias_weight_decay=detector.bias_weight_decay,
        clip_norm=given.get("clip_norm") or protocol.clip_norm,
        ema_decay=given.get("ema_decay") or protocol.ema_decay,
        patience=given.get("patience") or protocol.patience,
        batch_norm_samples=_first(given.get("batch_norm_samples"), protocol.batch_norm_samples, BATCH_NORM_SAMPLES),
        sampling=_sampling(protocol.sampling, sampling),
        samples_per_epoch=given.get("samples_per_epoch") or protocol.samples_per_epoch or detector.samples_per_epoch,
        compute=None if given.get("samples_per_epoch") else protocol.compute,
        class_weights=protocol.class_weights,
        augmentation=Augmentation(flip=0.0) if augments else protocol.augmentation or _augmentation(detector),
        seed=_first(given.get("seed"), protocol.seed),
    )


def _sampling(protocol: str, method: MethodSampling) -> str:
    """Return the sampling of a protocol as a training method needs it."""
    if method == "reals":
        return "reals"
    return "balanced" if method == "balanced" and protocol == "natural" else protocol


def _schedule(
    protocol: TrainingRecipe, detector: TrainingDefaults, schedule: str | None, step_samples: int
) -> dict[str, Any]:
    """Return the fields of the learning rate after the warm-up.

    Args:
        protocol: the protocol's recipe.
        detector: the detector's own; its decay is used where the protocol has no schedule.
        schedule: that of the call; it replaces the protocol's.
        step_samples: samples of an optimiser step.
    """
    own = protocol.lr_decay is None
    usual = "linear" if own and detector.lr_linear_from is not None else "step"
    chosen = schedule or protocol.lr_schedule or usual
    if chosen != "step":
        lowest = protocol.lr_min or 0.0 if chosen == "cosine" else 0.0
        start = _first(protocol.lr_linear_from, detector.lr_linear_from, 0.0) if chosen == "linear" else 0.0
        return {
            "lr_schedule": chosen,
            "lr_decay": 1.0,
            "lr_decay_epochs": 1,
            "lr_decay_steps": None,
            "lr_min": lowest,
            "lr_restart_epoch": None,
            "lr_linear_from": start,
        }
    factor: float = _first(protocol.lr_decay, detector.lr_decay)
    steps = protocol.lr_decay_steps
    if own and detector.lr_decay_steps is not None:
        steps = max(1, round(detector.lr_decay_steps * detector.batch_size / step_samples))
    return {
        "lr_schedule": "constant" if factor == 1.0 else "step",
        "lr_decay": factor,
        "lr_decay_epochs": detector.lr_decay_epochs if own else protocol.lr_decay_epochs or 1,
        "lr_decay_steps": steps,
        "lr_min": detector.lr_min if own else protocol.lr_min or 0.0,
        "lr_restart_epoch": detector.lr_restart_epoch if own else None,
        "lr_linear_from": 0.0,
    }


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a call, which are in range."""
    unknown = sorted(values.keys() - RecipeValues.__annotations__.keys())
    if unknown:
        raise UsageError(
            f"unknown argument {unknown[0]!r}", f"values of a recipe are: {', '.join(RecipeValues.__annotations__)}"
        )
    for name, value in values.items():
        if name == "lr_schedule":
            if value not in get_args(Schedule):
                raise UsageError(f"unknown lr_schedule {value!r}", f"write one of: {', '.join(get_args(Schedule))}")
        elif name == "warmup":
            if not 0 <= value < float("inf") or (value >= 1 and value != int(value)):
                raise UsageError(
                    f"warmup is a fraction below 1 or a whole number of steps, not {value}", "--warmup 0.1"
                )
        elif name == "ema_decay":
            if not 0 < value < 1:
                raise UsageError(f"ema_decay must be between 0 and 1, not {value}", "for example 0.999")
        elif name == "batch_norm_samples":
            if value < 0:
                raise UsageError(f"batch_norm_samples must be at least 0, not {value}", "0: running averages")
        elif name != "seed" and not 0 < value < float("inf"):
            raise UsageError(f"{name} must be above 0 and finite, not {value}", "omit it to use the recipe's value")
    return dict(values)


def overridden(
    recipe: FullRecipe,
    protocol: TrainingRecipe,
    detector: TrainingDefaults,
    *,
    sampling: MethodSampling = "any",
    augments: bool = False,
) -> dict[str, Any]:
    """Return the values of a recipe that differ from those of protocol and detector, apart from the seed.

    With a budget of multiply-adds the number of samples follows from it and is not such a value; neither is what the
    training method needs, see :func:`fill_recipe`.
    """
    own = asdict(fill_recipe(protocol, detector, sampling=sampling, augments=augments, seed=recipe.seed))
    followed = {"samples_per_epoch"} if recipe.compute is not None else set()
    return {name: value for name, value in asdict(recipe).items() if value != own[name] and name not in followed}


def _augmentation(detector: TrainingDefaults) -> Augmentation:
    names = ("flip", "rotation", "perspective", "zoom", "brightness", "hue")
    return Augmentation(**{name: getattr(detector, name) for name in names})


def _first(*values: Any) -> Any:
    return next(v for v in values if v is not None)
