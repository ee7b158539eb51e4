"""Run the epochs of a training that its folder does not hold yet: train, validate, choose, store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from dfbench.errors import DataError
from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import NotFiniteError
from dfbench.progress import progress
from dfbench.protocols.protocol import Protocol
from dfbench.training.lightning import Compute, is_first_process, run_epochs
from dfbench.training.loss import balanced_weights
from dfbench.training.module import TrainingData, TrainingModule
from dfbench.training.recipe import FullRecipe
from dfbench.training.selection import best_epoch, validate
from dfbench.training.store import EpochRecord, Progress, Running, TrainingFolder


def fit(
    detector: nn.Module,
    data: Mapping[str, RoleData],
    rules: Protocol,
    recipe: FullRecipe,
    folder: TrainingFolder,
    compute: Compute,
    *,
    quiet: bool,
) -> Progress:
    """Train a detector from where ``folder`` holds it; the best weights are left in the folder.

    Args:
        detector: freshly built.
        data: the roles ``train`` and, where weights are selected, ``val``.
        rules: the protocol.
        recipe: the recipe.
        folder: of this training.
        compute: where and how it runs.
        quiet: no progress bar.

    Returns:
        The whole learning curve and the chosen epoch.
    """
    state, optimizer_state = folder.load(detector)
    done = len(state.curve)
    if done >= recipe.epochs:
        return state
    samples = training_data(data["train"], rules, recipe)
    planned = samples.batches(recipe, 0, compute.devices)
    clock = Clock(state.running.seconds)

    def after_batch(running: Running, optimizer: torch.optim.Optimizer) -> None:
        # A state without anything left of its epoch is not worth a file: the one after the epoch comes next.
        if clock.since_saved() >= compute.save_every and running.batches < len(planned) and module.global_rank == 0:
            state.running = Running(running.batches, running.samples, running.loss_sum, clock.seconds())
            folder.save(state, detector, optimizer)
            clock.saved()

    def after_epoch(epoch: int, running: Running, optimizer: torch.optim.Optimizer) -> None:
        if module.global_rank:
            return
        value = None
        if "val" in data:
            with diverged(epoch):
                value = validate(detector, data["val"], module.device, batch_size=64, workers=compute.workers)
        metric = rules.selection.metric if "val" in data else ""
        loss = round(running.loss_sum / max(1, running.samples), 6)
        rate = recipe.rate(epoch, epoch * module.steps_per_epoch)
        state.curve.append(EpochRecord(epoch + 1, rate, loss, metric, value, round(clock.seconds(), 3)))
        state.best = best_epoch(state.curve, rules)
        state.running = Running()
        if state.best == len(state.curve) - 1:
            folder.save_best(detector)
        folder.save(state, detector, optimizer)
        clock.restart()

    shown = sum(map(len, planned))
    title, total = f"train {rules.name}", shown * recipe.epochs
    before = shown * done + state.running.samples
    with progress(title, total, "img", done=before, quiet=quiet or not is_first_process()) as advance:
        module = TrainingModule(
            detector.to(memory_format=torch.channels_last),
            samples,
            recipe,
            devices=compute.devices,
            first_epoch=done,
            running=state.running,
            optimizer_state=optimizer_state,
            workers=compute.workers,
            on_batch=after_batch,
            on_epoch=after_epoch,
            advance=advance,
        )
        run_epochs(module, recipe.epochs - done, compute)
    return state


@contextmanager
def diverged(epoch: int) -> Iterator[None]:
    """Say of logits that are not finite that the last steps of an epoch made them so: no loss was taken after it."""
    try:
        yield
    except NotFiniteError as error:
        raise DataError(
            f"the training has diverged in epoch {epoch + 1}: {error.message}", "lower the learning rate (--lr)"
        ) from error


class Clock:
    """Time spent on the running epoch, over all processes that worked on it, and since the state was stored."""

    def __init__(self, before: float) -> None:
        self._before = before
        self._start = self._saved = time.monotonic()

    def seconds(self) -> float:
        """Of the running epoch."""
        return self._before + time.monotonic() - self._start

    def since_saved(self) -> float:
        """Seconds since the state was stored last."""
        return time.monotonic() - self._saved

    def saved(self) -> None:
        """The state has been stored."""
        self._saved = time.monotonic()

    def restart(self) -> None:
        """An epoch is done and stored."""
        self._before = 0.0
        self._start = self._saved = time.monotonic()


def training_data(part: RoleData, rules: Protocol, recipe: FullRecipe) -> TrainingData:
    """The samples of the role ``train``, with class weights where the recipe asks for them."""
    rows = part.ok_table
    targets = torch.from_numpy(part.targets())
    weights = balanced_weights(targets, rules.num_classes) if recipe.class_weights == "balanced" else None
    return TrainingData(
        part.images, rows["label"].to_pylist(), part.bases(), targets, rows["sample_id"].to_pylist(), weights
    )
