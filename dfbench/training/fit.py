"""Run the epochs of a training that are not stored yet: train, validate, select, store."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dfbench.errors import DataError
from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import NotFiniteError, score_heads
from dfbench.evaluation.scores_table import scores_table
from dfbench.metrics import compute_metrics, parse_metric
from dfbench.progress import progress
from dfbench.protocols.protocol import Protocol
from dfbench.training.curve import head_column
from dfbench.training.lightning import TrainingDevices, is_first_process, run_epochs
from dfbench.training.loggers import LogSettings
from dfbench.training.methods import SUPERVISED, TrainingMethod
from dfbench.training.module import TrainingModule, initial_step
from dfbench.training.recipe import FullRecipe
from dfbench.training.samples import training_data
from dfbench.training.steps import HasRecord, KeepsWeights
from dfbench.training.store import EpochProgress, EpochRecord, TrainingFolder, TrainingState

logger = logging.getLogger("dfbench")

AGREEMENT_STEPS = 10
"""Optimiser steps after which several devices agree on storing the state, which costs a synchronisation."""


def fit(
    detector: nn.Module,
    data: Mapping[str, RoleData],
    rules: Protocol,
    recipe: FullRecipe,
    folder: TrainingFolder,
    devices: TrainingDevices,
    *,
    method: TrainingMethod = SUPERVISED,
    log: LogSettings = LogSettings(),  # noqa: B008 (frozen)
    quiet: bool,
) -> TrainingState:
    """Train a detector from its stored state; the best weights are left in ``folder``.

    Args:
        detector: with its initial weights.
        data: the roles ``train`` and, if weights are selected, ``val``.
        rules: the protocol.
        recipe: the recipe.
        folder: of this training.
        devices: devices, precision and workers.
        method: how a batch becomes a loss.
        log: loggers.
        quiet: no progress bar.

    Returns:
        The complete learning curve and the selected epoch.
    """
    stored = folder.load(detector)
    state = stored.state
    if stored.refused and is_first_process():
        logger.warning(
            "the state of an interrupted training in %s is not used: %s; starting at epoch 1",
            folder.state_file,
            stored.refused,
        )
    done = len(state.curve)
    if done >= recipe.epochs or out_of_patience(state, recipe):
        return state
    step = initial_step(method, detector, recipe.seed)
    told = step.record() if isinstance(step, HasRecord) else {}
    samples = training_data(data["train"], rules, recipe, method, devices.device, quiet)
    state.method_counts = dict(samples.method_counts)
    state.method_record = dict(told) | dict(samples.method_record)
    planned = samples.batches(recipe, 0, devices.devices)
    clock = EpochClock(state.running.seconds)
    selects = rules.selection.split != "none"

    def save(running: EpochProgress) -> None:
        state.running = EpochProgress(running.batches, running.samples, running.loss_sum, clock.seconds())
        folder.save(state, detector, module.state())
        clock.saved()

    def after_epoch(epoch: int, running: EpochProgress) -> bool:
        if module.global_rank:
            return False
        found = Validation(None)
        network = module.evaluated
        with module.estimated(network):
            if selects:
                with diverged(epoch):
                    found = validate(network, data["val"], module.device, batch_size=64, workers=devices.workers)
            metric = rules.selection.metric if selects else ""
            loss = round(running.loss_sum / max(1, running.samples), 6)
            rate = recipe.rate(epoch, epoch * module.steps_per_epoch, module.steps_per_epoch * recipe.epochs)
            seconds = round(clock.seconds(), 3)
            state.curve.append(EpochRecord(epoch + 1, rate, loss, metric, found.value, seconds, dict(found.heads)))
            state.best = best_epoch(state.curve, rules)
            if state.best == len(state.curve) - 1:
                kept = step.kept_weights() if isinstance(step, KeepsWeights) else {}
                state.keeps_weights = bool(kept)
                folder.save_best(network, kept)
        logged = {
            "epoch": epoch + 1,
            "train/epoch_loss": loss,
            **({f"val/{metric}": found.value} if found.value is not None else {}),
            **{f"{head_column(name)}/{metric}": v for name, v in found.heads.items() if v is not None},
        }
        module.log_values(logged)
        state.running, state.batch_norm_samples = EpochProgress(), module.batch_norm_samples
        folder.save(state, detector, module.state())
        clock.restart()
        return out_of_patience(state, recipe)

    shown = sum(map(len, planned)) * recipe.images_per_row
    title, total = f"train {rules.name}", shown * recipe.epochs
    before = shown * done + state.running.samples
    several = devices.devices > 1 and devices.save_every > 0
    with progress(title, total, "img", done=before, quiet=quiet or not is_first_process()) as advance:

        def advance_with_validation(steps: int = 1, note: str = "") -> None:
            advance(steps, note=f"{note}{validation_note(state.curve)}")

        module = TrainingModule(
            detector.to(memory_format=torch.channels_last),
            samples,
            recipe,
            step=step,
            devices=devices.devices,
            first_epoch=done,
            running=state.running,
            tensors=stored.tensors,
            workers=devices.workers,
            save_steps=AGREEMENT_STEPS if several else 1,
            save_due=lambda: clock.since_saved() >= devices.save_every,
            save=save,
            on_epoch=after_epoch,
            advance=advance_with_validation,
        )
        steps = done * module.steps_per_epoch + state.running.batches // recipe.accumulate
        with log.opened(steps) as loggers:
            run_epochs(module, recipe.epochs - done, devices, loggers)
    return state


def validation_note(curve: list[EpochRecord]) -> str:
    """Return the last validation for the progress bar; empty where there is none.

    >>> validation_note([EpochRecord(1, 0.1, 0.7, "auc.video.mean", 0.81, 2.0, {"rgb": 0.79, "residual": None})])
    ', auc.video.mean 0.810 (rgb 0.790)'
    """
    if not curve or curve[-1].value is None:
        return ""
    heads = ", ".join(f"{name} {value:.3f}" for name, value in curve[-1].heads.items() if value is not None)
    return f", {curve[-1].metric} {curve[-1].value:.3f}" + (f" ({heads})" if heads else "")


@contextmanager
def diverged(epoch: int) -> Iterator[None]:
    """Re-raise logits that are not finite as divergence in an epoch: its last steps caused it, after the last loss."""
    try:
        yield
    except NotFiniteError as error:
        raise DataError(
            f"the training has diverged in epoch {epoch + 1}: {error.message}", "lower the learning rate: --lr"
        ) from error


class EpochClock:
    """Time spent on the current epoch, over all resumed processes, and since the state was last stored."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds of the current epoch."""
        return self._before + time.monotonic() - self._start

    def since_saved(self) -> float:
        """Return the seconds since the state was last stored."""
        return time.monotonic() - self._saved

    def saved(self) -> None:
        """Note that the state has been stored."""
        self._saved = time.monotonic()

    def restart(self) -> None:
        """Start the next epoch; the state has been stored."""
        self._before = 0.0
        self._start = self._saved = time.monotonic()


@dataclass(frozen=True)
class Validation:
    """The selection metric on validation samples; None where it is undefined.

    Attributes:
        value: of the detector's score.
        heads: of its further heads, by name.
    """

    value: float | None
    heads: Mapping[str, float | None] = field(default_factory=dict)


def validate(model: nn.Module, data: RoleData, device: torch.device, *, batch_size: int, workers: int) -> Validation:
    """Compute the protocol's selection metric on validation samples for every head, in one pass over the images."""
    logits, heads = score_heads(model, data.images, device, batch_size=batch_size, workers=workers)
    return Validation(
        selection_value(data, logits), {name: selection_value(data, values) for name, values in heads.items()}
    )


def selection_value(data: RoleData, logits: NDArray[np.float32]) -> float | None:
    """Compute the protocol's selection metric: the mean over the data sets and subsets of the samples.

    Args:
        data: the samples.
        logits: (N, C), row i for item i of ``data.images``.

    Returns:
        The value; None where it is undefined everywhere (one class only).
    """
    protocol = data.protocol
    values = compute_metrics(
        scores_table(data, logits, "validation", "validation"),
        [protocol.selection.metric],
        threshold=protocol.metrics.threshold,
        resamples=0,
        per_manipulation=False,
        failure_policy=protocol.failure_policy,
        face_aggregation=protocol.metrics.faces,
        classes=protocol.classes,
        real_classes=protocol.reals,
    )
    known = [v.value for v in values if v.value is not None]
    return float(np.mean(known)) if known else None


def best_epoch(curve: list[EpochRecord], protocol: Protocol) -> int:
    """Return the index of the selected epoch: the best value, the latest of equal ones; the last if there is none.

    >>> from dfbench.protocols.files import load_protocol
    >>> records = [EpochRecord(e, 0.1, 1.0, "auc.video.mean", v, 1.0) for e, v in enumerate([0.6, 0.8, 0.7], 1)]
    >>> best_epoch(records, load_protocol("mini"))
    1
    """
    known = [(r.value, place) for place, r in enumerate(curve) if r.value is not None]
    if protocol.selection.split == "none" or not known:
        return len(curve) - 1
    sign = 1.0 if parse_metric(protocol.selection.metric).definition.higher_is_better else -1.0
    return max(known, key=lambda pair: (sign * pair[0], pair[1]))[1]


def out_of_patience(state: TrainingState, recipe: FullRecipe) -> bool:
    """Return whether the training ends early: no better epoch among the last ``recipe.patience``.

    The learning curve alone decides, so that a resumed training ends at the same epoch.
    """
    return recipe.patience is not None and bool(state.curve) and len(state.curve) - 1 - state.best >= recipe.patience
