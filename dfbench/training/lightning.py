"""A Lightning trainer without output and without files of its own."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import lightning.pytorch as pl
import torch

from dfbench.errors import SetupError, UsageError
from dfbench.startup import StoppedBySignal

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from dfbench.training.module import TrainingModule

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}
"""Lightning's names of the precisions; ``16-mixed`` scales the loss."""


@dataclass(frozen=True)
class TrainingDevices:
    """Devices and precision of a training.

    Attributes:
        device: the first device.
        devices: number of devices; several share every batch (distributed data parallel).
        precision: ``fp32``, ``bf16`` or ``fp16``.
        workers: processes that read images, per device.
        save_every: seconds between two stored states within an epoch.
    """

    device: torch.device
    devices: int = 1
    precision: str = "fp32"
    workers: int = 0
    save_every: float = 300.0

    def record(self) -> dict[str, Any]:
        """Return what can change a number."""
        return {"precision": self.precision, "devices": self.devices}


def require_devices(device: torch.device, devices: int) -> None:
    """Raise if there are fewer devices, counted from the given one.

    Raises:
        UsageError: fewer than one.
        SetupError: this machine has fewer.
    """
    if devices < 1:
        raise UsageError(f"devices must be at least 1, not {devices}", "the default is 1")
    here = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) + devices > here:
        raise SetupError(f"{devices} GPUs from {device} on are not available: torch sees {here}", "use fewer --devices")


def is_first_process() -> bool:
    """Whether the user started this process, and not Lightning for a further device."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def run_epochs(module: TrainingModule, epochs: int, devices: TrainingDevices, loggers: Sequence[Logger] = ()) -> None:
    """Train for a number of epochs.

    With several devices Lightning starts this program again for each but the first; those processes exit here.

    Raises:
        KeyboardInterrupt: the user interrupted; the stored state is kept.
    """
    first = devices.device.index or 0
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu" if devices.device.type == "cpu" else "cuda",
            devices=devices.devices if devices.device.type == "cpu" else list(range(first, first + devices.devices)),
            strategy="ddp" if devices.devices > 1 else "auto",
            precision=PRECISIONS[devices.precision],
            accumulate_grad_batches=module.recipe.accumulate,
            gradient_clip_val=module.recipe.clip_norm,
            logger=list(loggers) or False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module)
        except SystemExit as error:  # Lightning converts Ctrl-C, and a signal that ends the command, to an exit
            if isinstance(error.__context__, StoppedBySignal):
                raise error.__context__ from None
            raise KeyboardInterrupt from error
        finally:
            if signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)
    if not trainer.is_global_zero:
        raise SystemExit(0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's messages on hardware and data loaders, which require no action of the user."""
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
