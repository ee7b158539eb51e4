"""The Lightning module: batches, augmentation, loss, learning rate; a loss that is not finite ends the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dfbench.errors import DataError
from dfbench.evaluation.inference import to_input
from dfbench.models.interface import HasEpochHooks, before_augmentation, logits_of
from dfbench.progress import Advance
from dfbench.schema.ids import seed_from
from dfbench.training.augment import DegradedAtRandom, augment
from dfbench.training.methods import Batch, TrainingMethod
from dfbench.training.optimization import SUPERVISED, make_optimizer, set_rate
from dfbench.training.recipe import FullRecipe
from dfbench.training.sampler import batches, device_part, epoch_order
from dfbench.training.store import EpochProgress, restore, snapshot


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training samples, row by row.

    Attributes:
        images: items are (uint8 3,S,S, row).
        labels: 0 real, 1 fake; used for sampling.
        bases: real clip that every row is or was made from; used for sampling.
        targets: class numbers.
        sample_ids: ids.
        class_weights: (C,), weights of the classes in the loss; None: equal weights.
    """

    images: Dataset[tuple[Tensor, int]]
    labels: Sequence[int]
    bases: Sequence[str]
    targets: Tensor
    sample_ids: Sequence[str]
    class_weights: Tensor | None = None

    def batches(self, recipe: FullRecipe, epoch: int, devices: int) -> list[list[int]]:
        """Return the batches of an epoch, over all devices."""
        order = epoch_order(self.labels, epoch, recipe.seed, recipe.sampling, recipe.samples_per_epoch, self.bases)
        return batches(order, recipe.batch_size, smallest=2 * devices)


class TrainingModule(pl.LightningModule):
    """Train a detector of which ``first_epoch`` epochs and ``running`` of the next are done.

    Order, augmentation and the random draws of the detector depend on seed, epoch and step alone: a resumed training
    gives exactly the result of an uninterrupted one.

    Args:
        detector: the model.
        data: the training samples.
        recipe: the recipe.
        method: how a batch becomes a loss.
        devices: number of devices; each takes a part of every batch.
        first_epoch: epochs already done.
        running: progress of the next.
        optimizer_state: state of the optimiser at that point.
        workers: processes that read images.
        on_batch: called after every batch that ends a step, with the progress of the epoch and the optimiser.
        on_epoch: called after every epoch with its number, its progress and the optimiser.
        advance: moves the progress bar.
    """

    def __init__(
        self,
        detector: nn.Module,
        data: TrainingData,
        recipe: FullRecipe,
        *,
        method: TrainingMethod = SUPERVISED,
        devices: int = 1,
        first_epoch: int = 0,
        running: EpochProgress = EpochProgress(),  # noqa: B008 (frozen)
        optimizer_state: dict[str, Any] | None = None,
        workers: int = 0,
        on_batch: Callable[[EpochProgress, torch.optim.Optimizer], None],
        on_epoch: Callable[[int, EpochProgress, torch.optim.Optimizer], None],
        advance: Advance,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.data = data
        self.recipe = recipe
        self.method = method
        self.devices = devices
        self.first_epoch = first_epoch
        self.resumed = running
        self.running = EpochProgress()
        self.sizes: list[int] = []
        self.steps_per_epoch = -(-len(data.batches(recipe, 0, devices)) // recipe.accumulate)
        self.optimizer_state = optimizer_state
        self.workers = workers
        self.on_batch = on_batch
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

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser, with its stored state if the training is resumed."""
        optimizer = make_optimizer(self.detector, self.recipe)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the remaining batches of the current epoch; Lightning calls this before each epoch."""
        planned = self.data.batches(self.recipe, self.epoch, self.devices)[self.start.batches :]
        self.sizes = [len(batch) for batch in planned]
        images, recipe = self.data.images, self.recipe
        if recipe.augmentation.degradations:
            images = DegradedAtRandom(images, self.data.sample_ids, recipe.augmentation, self.epoch, recipe.seed)
        # A separate generator: the loader must not draw from the one that dropout uses.
        return DataLoader(
            images,
            batch_sampler=[device_part(batch, self.global_rank, self.devices) for batch in planned],
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(self.recipe.seed),
        )

    def on_train_epoch_start(self) -> None:
        """Call the detector's hook; in a resumed epoch it was called before, and its state is kept."""
        self._seed("start")
        self.detector.train()
        self.running = self.start
        if isinstance(self.detector, HasEpochHooks):
            kept = {n: t.clone() for n, t in snapshot(self.detector).items()} if self.running.batches else None
            self.detector.start_epoch(self.epoch)
            if kept is not None:
                restore(self.detector, kept)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set learning rate and random state of the step."""
        del batch
        number = self.start.batches + batch_idx
        step = self.epoch * self.steps_per_epoch + number // self.recipe.accumulate
        set_rate(self._optimizer(), self.recipe.rate(self.epoch, step))
        self._seed(f"batch {number}")

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Augment, forward, loss."""
        images, rows = batch
        ids = [self.data.sample_ids[int(row)] for row in rows]
        prepared = before_augmentation(self.detector, to_input(images, self.device))
        inputs = augment(prepared, ids, self.recipe.augmentation, self.epoch, self.recipe.seed)
        weights = self.data.class_weights
        result = self.method.step(
            self.detector,
            Batch(
                inputs.contiguous(memory_format=torch.channels_last),
                self.data.targets[rows.cpu()].to(self.device),
                tuple(ids),
                None if weights is None else weights.to(self.device),
            ),
        )
        loss, output = result.loss, result.output
        value = float(loss.detach())
        if not abs(value) < float("inf"):
            raise self._not_finite(value, output, ids, self.start.batches + batch_idx)
        done = self.running
        self.running = EpochProgress(
            self.start.batches + batch_idx + 1, done.samples + len(ids), done.loss_sum + value * len(ids)
        )
        note = f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {self.running.loss_sum / self.running.samples:.3f}"
        self.advance(len(ids), note=note)
        # DDP averages over the devices: with this factor, the result is the mean over all samples of the batch.
        return loss * (len(ids) * self.devices / self.sizes[batch_idx])

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Allow the state to be stored after an optimiser step."""
        del outputs, batch, batch_idx
        if self.running.batches % self.recipe.accumulate == 0:
            self.on_batch(self.running, self._optimizer())

    def on_train_epoch_end(self) -> None:
        """Call the detector's hook, then select and store."""
        if isinstance(self.detector, HasEpochHooks):
            self.detector.end_epoch(self.epoch)
        self.on_epoch(self.epoch, self._over_devices(), self._optimizer())

    def _over_devices(self) -> EpochProgress:
        """Return the progress of the epoch over all devices."""
        if self.devices == 1:
            return self.running
        here = torch.tensor([self.running.samples, self.running.loss_sum], dtype=torch.float64, device=self.device)
        samples, loss_sum = self.trainer.strategy.reduce(here, reduce_op="sum").tolist()
        return EpochProgress(self.running.batches, int(samples), loss_sum)

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
