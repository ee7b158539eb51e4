"""A quiet Lightning trainer that writes no files of its own."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch

from dfbench.errors import SetupError, UsageError

if TYPE_CHECKING:
    from dfbench.training.module import TrainingModule


@dataclass(frozen=True)
class Compute:
    """Where and how a training runs.

    Attributes:
        device: the first device.
        devices: how many; several share every batch (distributed data parallel).
        precision: ``fp32`` or ``bf16``.
        workers: processes that read images, on every device.
        save_every: seconds between two stored states within an epoch.
    """

    device: torch.device
    devices: int = 1
    precision: str = "fp32"
    workers: int = 0
    save_every: float = 300.0

    def record(self) -> dict[str, Any]:
        """What of it can change a number."""
        return {"precision": self.precision, "devices": self.devices}


def check_devices(device: torch.device, devices: int) -> None:
    """Raise if there are not that many devices, the given one being the first.

    Raises:
        UsageError: less than one.
        SetupError: this machine has fewer.
    """
    if devices < 1:
        raise UsageError(f"devices must be above 0, not {devices}")
    here = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) + devices > here:
        raise SetupError(f"{devices} GPUs from {device} on are not here: torch sees {here}", "use fewer --devices")


def is_first_process() -> bool:
    """Whether this is the process that was started by the user, and not by Lightning for a further device."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def run_epochs(module: TrainingModule, epochs: int, compute: Compute) -> None:
    """Train for some epochs.

    With several devices Lightning starts this program again for each but the first; those processes end here.

    Raises:
        KeyboardInterrupt: the user interrupted; what was stored is kept.
    """
    first = compute.device.index or 0
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu" if compute.device.type == "cpu" else "cuda",
            devices=compute.devices if compute.device.type == "cpu" else list(range(first, first + compute.devices)),
            strategy="ddp" if compute.devices > 1 else "auto",
            precision="bf16-mixed" if compute.precision == "bf16" else "32-true",
            accumulate_grad_batches=module.recipe.accumulate,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module)
        except SystemExit as error:  # Lightning turns Ctrl-C into an exit
            raise KeyboardInterrupt from error
        finally:
            if signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)
    if not trainer.is_global_zero:
        raise SystemExit(0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's notes on hardware and data loaders, which name nothing the user can act on."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
