"""The Lightning module: batches, augmentation, loss, learning rate; a loss that is not finite ends the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dfbench.errors import DataError
from dfbench.evaluation.inference import to_input
from dfbench.evaluation.loader import image_loader
from dfbench.models.interface import HasEpochHooks, before_augmentation, logits_of
from dfbench.progress import Advance
from dfbench.schema.ids import seed_from
from dfbench.training.augment import augment
from dfbench.training.averaging import averaged_network, estimated_statistics, moving_average, trained_batch_norms
from dfbench.training.images import LoadedImages, collate_training, items_in_epoch
from dfbench.training.loggers import LOG_STEPS
from dfbench.training.methods import TrainingMethod
from dfbench.training.optimization import make_optimizer, set_rate
from dfbench.training.recipe import FullRecipe
from dfbench.training.samples import TrainingData, device_part
from dfbench.training.steps import Batch, TrainingStep
from dfbench.training.store import EpochProgress, restore, snapshot


@dataclass(frozen=True, eq=False)
class _UnreadLoss:
    """The loss of a batch as a tensor on the device, with what its entry in the progress and an error need."""

    loss: Tensor
    output: Any
    ids: tuple[str, ...]
    batch_idx: int
    factor: float


def initial_step(method: TrainingMethod, detector: nn.Module, seed: int) -> TrainingStep:
    """Return the steps of a training; weights of their own depend on the training seed alone.

    Raises:
        ModelError: the method cannot train the detector.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from("initial weights of the method", "training", seed))
        return method.new_step(detector)


class TrainingModule(pl.LightningModule):
    """Train a detector of which ``first_epoch`` epochs and ``running`` of the next are done.

    Order, augmentation and the random draws of the detector depend on seed, epoch and step alone: a resumed training
    gives exactly the result of an uninterrupted one.

    Args:
        detector: the model.
        data: the training samples.
        recipe: the recipe.
        step: how a batch becomes a loss, see :func:`initial_step`.
        devices: number of devices; each takes a part of every batch.
        first_epoch: epochs already done.
        running: progress of the next, over all devices.
        tensors: state of optimiser, average, loss scaling and the method's steps at that point, as :meth:`state`
            returned it.
        workers: processes that read images.
        save_steps: optimiser steps after which ``save_due`` is asked.
        save_due: whether the state within an epoch is to be stored; the answer of the first device decides.
        save: called with the progress of the epoch where it is.
        on_epoch: called after every epoch with its number and its progress; returns whether the training ends.
        advance: moves the progress bar.
    """

    def __init__(
        self,
        detector: nn.Module,
        data: TrainingData,
        recipe: FullRecipe,
        *,
        step: TrainingStep,
        devices: int = 1,
        first_epoch: int = 0,
        running: EpochProgress = EpochProgress(),  # noqa: B008 (frozen)
        tensors: Mapping[str, Any] | None = None,
        workers: int = 0,
        save_steps: int = 1,
        save_due: Callable[[], bool],
        save: Callable[[EpochProgress], None],
        on_epoch: Callable[[int, EpochProgress], bool],
        advance: Advance,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.data = data
        self.recipe = recipe
        self.step = step
        self.devices = devices
        self.first_epoch = first_epoch
        self.resumed = running
        self.running = EpochProgress()
        self.planned: list[list[int]] = []
        self.sizes: list[int] = []
        self.batch_weights: list[float] = []
        self.batch_norm_samples = 0
        self.last_loss = 0.0
        self._unread: list[_UnreadLoss] = []
        self.steps_per_epoch = -(-len(data.batches(recipe, 0, devices)) // recipe.accumulate)
        self.tensors = dict(tensors or {})
        self.average = moving_average(detector, recipe.ema_decay) if recipe.ema_decay is not None else None
        if self.average is not None and "average" in self.tensors:
            restore(self.average, self.tensors["average"])
        if "step" in self.tensors:
            self.step.load_state_dict(self.tensors["step"])
        self.workers = workers
        self._items: list[list[int]] = []
        self._loader: DataLoader[Any] | None = None
        self.save_steps = save_steps
        self.save_due = save_due
        self.save = save
        self.on_epoch = on_epoch
        self.advance = advance

    @property
    def epoch(self) -> int:
        """Number of the current epoch, counted from 0 over all resumed parts."""
        return self.first_epoch + int(self.current_epoch)

    @property
    def start(self) -> EpochProgress:
        """Progress of the current epoch when this process started."""
        return self.resumed if self.epoch == self.first_epoch else EpochProgress()

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated and stored."""
        return self.detector if self.average is None else averaged_network(self.average, self.detector)

    def state(self) -> dict[str, Any]:
        """Return what a resumed training needs apart from the detector."""
        tensors: dict[str, Any] = {"optimizer": self._optimizer().state_dict()}
        if self.average is not None:
            tensors["average"] = snapshot(self.average)
        for name, state in (("scaling", self.trainer.precision_plugin.state_dict()), ("step", self.step.state_dict())):
            if state:
                tensors[name] = dict(state)
        return tensors

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser, with its stored state if the training is resumed."""
        trained = [module for module in (self.detector, self.step) if isinstance(module, nn.Module)]
        fused = self.recipe.clip_norm is None or self.trainer.precision != "16-mixed"
        optimizer = make_optimizer(nn.ModuleList(trained), self.recipe, fused=fused)
        if "optimizer" in self.tensors:
            optimizer.load_state_dict(self.tensors["optimizer"])
        return optimizer

    def on_train_start(self) -> None:
        """Restore the loss scaling of float16."""
        if "scaling" in self.tensors:
            self.trainer.precision_plugin.load_state_dict(self.tensors["scaling"])

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the remaining batches of the current epoch; Lightning calls this before each epoch."""
        self.planned = self.data.batches(self.recipe, self.epoch, self.devices)
        planned = self.planned[self.start.batches :]
        self.sizes = [len(batch) * self.recipe.images_per_row for batch in planned]
        if self.data.class_weights is not None:
            weights = self.data.class_weights[self.data.targets]
            self.batch_weights = [float(weights[batch].sum()) for batch in planned]
        # The loader holds this list: its worker processes live on over the epochs.
        self._items[:] = self._items_of(planned)
        if self._loader is None:
            self._loader = self._new_loader(self._items)
        return self._loader

    def _items_of(self, planned: list[list[int]]) -> list[list[int]]:
        """Return this device's part of batches as items of the images."""
        parts = (device_part(batch, self.global_rank, self.devices) for batch in planned)
        return [items_in_epoch(self.data.images, part, self.epoch) for part in parts]

    def _new_loader(self, items: list[list[int]]) -> DataLoader[Any]:
        # With a generator of its own: the loader must not draw from the one that dropout uses.
        return image_loader(
            self.data.images,
            self.device,
            workers=self.workers,
            batches=items,
            seed=self.recipe.seed,
            join=collate_training,
        )

    def on_train_epoch_start(self) -> None:
        """Call the hooks of method and detector; in a resumed epoch they were called before, and the state is kept."""
        self._seed("start")
        self.detector.train()
        # The stored progress is that of all devices: the first one continues it.
        self.running = self.start if self.global_rank == 0 else EpochProgress(self.start.batches)
        resumed = self.start.batches > 0
        kept = {n: t.clone() for n, t in snapshot(self.detector).items()} if resumed else {}
        self.step.start_epoch(self.detector, self.epoch)
        if isinstance(self.detector, HasEpochHooks):
            self.detector.start_epoch(self.epoch)
        if resumed:
            restore(self.detector, kept)
            if "step" in self.tensors:
                self.step.load_state_dict(self.tensors["step"])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set learning rate and random state of the step."""
        del batch
        number = self.start.batches + batch_idx
        step = self.epoch * self.steps_per_epoch + number // self.recipe.accumulate
        set_rate(self._optimizer(), self.recipe.rate(self.epoch, step, self.steps_per_epoch * self.recipe.epochs))
        self._seed(f"batch {number}")

    def training_step(self, batch: LoadedImages, batch_idx: int) -> Tensor:
        """Augment, forward, loss."""
        rows = batch.rows
        ids = [self.data.sample_ids[row] for row in rows]
        targets = self.data.targets[rows] if batch.targets is None else batch.targets
        weights = self.data.class_weights
        result = self.step(
            self.detector,
            Batch(
                self._inputs(batch.images, ids),
                targets.to(self.device),
                tuple(ids),
                None if weights is None else weights.to(self.device),
                self.data.real_classes,
                self.data.values_of(rows),
                self._others(batch.others or {}, ids),
            ),
        )
        loss, done = result.loss, self.running
        factor = self._factor(rows, batch_idx, weighted=result.class_weighted)
        self.running = replace(done, batches=self.start.batches + batch_idx + 1, samples=done.samples + len(ids))
        self._unread.append(_UnreadLoss(loss.detach(), result.output, tuple(ids), batch_idx, factor))
        self._read_losses(leave=self._losses_behind())
        note = f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {self.running.loss_sum / self.running.samples:.3f}"
        self.advance(len(ids), note=note)
        return loss * factor

    def _losses_behind(self) -> int:
        """Return the number of losses that may stay unread: a GPU gets the next batch before one is waited for."""
        return 1 if self.device.type == "cuda" else 0

    def _read_losses(self, leave: int = 0) -> None:
        """Add losses to the progress of the epoch, all but the last ``leave``; reading one waits for the device.

        Raises:
            DataError: one is not finite.
        """
        while len(self._unread) > leave:
            unread = self._unread.pop(0)
            value = float(unread.loss)
            if not abs(value) < float("inf"):
                raise self._not_finite(value, unread.output, unread.ids, self.start.batches + unread.batch_idx)
            self.last_loss = value
            share = value * unread.factor * self.sizes[unread.batch_idx] / self.devices
            self.running = replace(self.running, loss_sum=self.running.loss_sum + share)

    def _inputs(self, images: Tensor, ids: Sequence[str]) -> Tensor:
        """Return the augmented input of the detector, channels last."""
        prepared = before_augmentation(self.detector, to_input(images, self.device))
        return self._augmented(prepared, ids).contiguous(memory_format=torch.channels_last)

    def _augmented(self, images: Tensor, ids: Sequence[str]) -> Tensor:
        return augment(images, ids, self.recipe.augmentation, self.epoch, self.recipe.seed)

    def _others(self, others: Mapping[str, Tensor], ids: Sequence[str]) -> dict[str, Tensor]:
        """Return what the method supplies beside the images: images changed like these, and values."""
        return {
            name: self._augmented(to_input(value, self.device), ids) if value.ndim > 1 else value.to(self.device)
            for name, value in others.items()
        }

    def estimated(self, network: nn.Module) -> AbstractContextManager[None]:
        """Let a network have batch-norm statistics of the first samples of the epoch, augmented as in training."""
        chosen: list[list[int]] = []
        layers = trained_batch_norms(self.detector)
        self.batch_norm_samples = 0
        for batch in self.planned if layers else ():
            if self.batch_norm_samples >= self.recipe.batch_norm_samples:
                break
            chosen += self._items_of([batch])
            self.batch_norm_samples += len(chosen[-1]) * self.recipe.images_per_row
        if not self.batch_norm_samples:
            return nullcontext()
        inputs = (
            self._inputs(batch.images, [self.data.sample_ids[row] for row in batch.rows])
            for batch in self._new_loader(chosen)
        )
        return estimated_statistics(network, layers, inputs)

    def _factor(self, rows: list[int], batch_idx: int, *, weighted: bool) -> float:
        """Return the factor of the loss: DDP averages over the devices, and the result is the mean over the batch.

        Args:
            rows: the samples of this device.
            batch_idx: the batch.
            weighted: whether the mean is one with class weights.
        """
        if self.devices == 1:
            return 1.0
        if weighted and self.data.class_weights is not None:
            part = float(self.data.class_weights[self.data.targets[rows]].sum()) / self.batch_weights[batch_idx]
        else:
            part = len(rows) / self.sizes[batch_idx]
        return part * self.devices

    def on_after_backward(self) -> None:
        """Call the method's hook."""
        self.step.after_backward(self.detector)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After an optimiser step, update the average and allow the state to be stored."""
        del outputs, batch
        last = batch_idx + 1 == len(self.sizes)
        if self.running.batches % self.recipe.accumulate and not last:
            return
        if self.average is not None:
            self.average.update_parameters(self.detector)
        step = -(-self.running.batches // self.recipe.accumulate)
        if self.loggers and step % LOG_STEPS == 0:
            self._read_losses()
            rate = self._optimizer().param_groups[0]["lr"]
            self.log_values({"train/loss": self.last_loss, "lr": rate}, step)
        # After the last batch of an epoch nothing is stored: the state after the epoch follows.
        if last or step % self.save_steps:
            return
        if self.devices == 1:
            if self.save_due():
                self._read_losses()
                self.save(self.running)
            return
        due, progress = self._over_devices(self.global_rank == 0 and self.save_due())
        if due and self.global_rank == 0:
            self.save(progress)

    def log_values(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Give values to the loggers.

        Args:
            values: by name.
            step: optimiser steps of the epoch that are done; None: all.
        """
        done = self.epoch * self.steps_per_epoch + (self.steps_per_epoch if step is None else step)
        for target in self.loggers:
            target.log_metrics(dict(values), step=done)
            target.save()

    def on_train_epoch_end(self) -> None:
        """Call the detector's hook, then select and store."""
        if isinstance(self.detector, HasEpochHooks):
            self.detector.end_epoch(self.epoch)
        stop = self.on_epoch(self.epoch, self._over_devices()[1])
        if self.trainer.strategy.broadcast(stop):
            self.trainer.should_stop = True

    def _over_devices(self, flag: bool = False) -> tuple[bool, EpochProgress]:
        """Return whether any device has the flag, and the progress of the epoch over all devices."""
        self._read_losses()
        if self.devices == 1:
            return flag, self.running
        here = torch.tensor([flag, self.running.samples, self.running.loss_sum], dtype=torch.float64)
        flags, samples, loss_sum = self.trainer.strategy.reduce(here.to(self.device), reduce_op="sum").tolist()
        return flags > 0, EpochProgress(self.running.batches, int(samples), loss_sum)

    def _seed(self, moment: str) -> None:
        rank = f" device {self.global_rank}" if self.global_rank else ""
        torch.manual_seed(seed_from(f"epoch {self.epoch} {moment}{rank}", "training", self.recipe.seed))

    def _not_finite(self, value: float, output: Any, ids: Sequence[str], batch: int) -> DataError:
        """Return the error that names the samples whose own logits are not finite, if only some are, and the batch."""
        finite = torch.isfinite(logits_of(output, len(ids))).all(dim=1).tolist()
        faulty = [sample for sample, fine in zip(ids, finite, strict=True) if not fine]
        told = f"; not finite are the logits of: {', '.join(faulty)}" if 0 < len(faulty) < len(ids) else ""
        return DataError(
            f"the training loss is {value} in epoch {self.epoch + 1}, batch {batch + 1}{told}; "
            f"the samples of the batch: {', '.join(ids)}",
            "lower the learning rate (--lr), or inspect these samples: dfbench inspect",
        )

    def _optimizer(self) -> torch.optim.Optimizer:
        found: Any = self.optimizers(use_pl_optimizer=False)
        optimizer: torch.optim.Optimizer = found
        return optimizer
