"""A detector in Lightning: optimiser, loss, augmentation; a loss that is not a number stops with the sample ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dfbench.errors import DataError
from dfbench.evaluation.scoring import to_input
from dfbench.models.interface import HasEpochHooks, loss_of
from dfbench.progress import Advance
from dfbench.schema.ids import seed_from
from dfbench.training.augment import DegradedAtRandom, augment
from dfbench.training.recipe import FullRecipe
from dfbench.training.sampler import batches, epoch_order


def make_optimizer(model: nn.Module, recipe: FullRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters that are trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay)


class TrainingModule(pl.LightningModule):
    """Trains a detector; epochs count from ``first_epoch``, so that a resumed training goes on where it stopped.

    Order, augmentation and dropout of an epoch depend on the seed and its number alone, never on earlier epochs.

    Args:
        detector: the model, on any device.
        images: items are (uint8 3,S,S, row).
        labels: 0 real, 1 fake of every row, for the sampling.
        bases: real clip that every row is, or was made from, for the sampling.
        targets: class number of every row.
        sample_ids: id of every row.
        recipe: the recipe.
        first_epoch: epochs already done.
        optimizer_state: state after them.
        workers: processes that read images.
        on_epoch: called after every epoch with its number, mean loss and the optimiser.
        advance: moves the progress bar.
    """

    def __init__(
        self,
        detector: nn.Module,
        images: Dataset[tuple[Tensor, int]],
        labels: Sequence[int],
        bases: Sequence[str],
        targets: Tensor,
        sample_ids: Sequence[str],
        recipe: FullRecipe,
        *,
        first_epoch: int = 0,
        optimizer_state: dict[str, Any] | None = None,
        workers: int = 0,
        on_epoch: Callable[[int, float, torch.optim.Optimizer], None],
        advance: Advance,
    ) -> None:
        super().__init__()
        self.detector = detector
        self.images = images
        self.labels = labels
        self.bases = bases
        self.targets = targets
        self.sample_ids = sample_ids
        self.recipe = recipe
        self.first_epoch = first_epoch
        self.optimizer_state = optimizer_state
        self.workers = workers
        self.on_epoch = on_epoch
        self.advance = advance
        self.loss_sum = 0.0
        self.seen = 0

    @property
    def epoch(self) -> int:
        """Number of the running epoch, counted from 0 over all resumed parts."""
        return self.first_epoch + int(self.current_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser, with its state where training is resumed."""
        optimizer = make_optimizer(self.detector, self.recipe)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        return optimizer

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of the running epoch; Lightning asks anew before each."""
        recipe = self.recipe
        images = self.images
        if recipe.degradations:
            images = DegradedAtRandom(images, self.sample_ids, recipe, self.epoch)
        order = epoch_order(self.labels, self.epoch, recipe.seed, recipe.sampling, recipe.samples_per_epoch, self.bases)
        # A generator of its own: the loader must not draw from the one that dropout uses.
        return DataLoader(
            images,
            batch_sampler=batches(order, recipe.batch_size),
            num_workers=self.workers,
            generator=torch.Generator().manual_seed(recipe.seed),
        )

    def on_train_epoch_start(self) -> None:
        """Set rate and random state of the epoch."""
        torch.manual_seed(seed_from(f"epoch {self.epoch}", "training", self.recipe.seed))
        for group in self._optimizer().param_groups:
            group["lr"] = self.recipe.rate(self.epoch)
        self.detector.train()
        self.loss_sum, self.seen = 0.0, 0
        if isinstance(self.detector, HasEpochHooks):
            self.detector.start_epoch(self.epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Augment, forward, loss."""
        del batch_idx
        images, rows = batch
        ids = [self.sample_ids[int(row)] for row in rows]
        inputs = augment(to_input(images, self.device), ids, self.recipe, self.epoch)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        loss = loss_of(self.detector, self.detector(inputs), self.targets[rows.cpu()].to(self.device))
        value = float(loss.detach())
        if not value < float("inf"):
            raise DataError(
                f"the training loss is {value} in epoch {self.epoch + 1}, on the samples {', '.join(ids[:4])}"
                + (f" and {len(ids) - 4} more" if len(ids) > 4 else ""),
                "lower the learning rate, or look at these samples: dfbench inspect",
            )
        self.loss_sum += value * len(ids)
        self.seen += len(ids)
        self.advance(len(ids), note=f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {self.loss_sum / self.seen:.3f}")
        return loss

    def on_train_epoch_end(self) -> None:
        """Let the detector close its epoch, then select and store."""
        if isinstance(self.detector, HasEpochHooks):
            self.detector.end_epoch(self.epoch)
        self.on_epoch(self.epoch, self.loss_sum / max(1, self.seen), self._optimizer())

    def _optimizer(self) -> torch.optim.Optimizer:
        found: Any = self.optimizers(use_pl_optimizer=False)
        optimizer: torch.optim.Optimizer = found
        return optimizer
