"""A quiet Lightning trainer that writes no files of its own."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import lightning.pytorch as pl
import torch

if TYPE_CHECKING:
    from dfbench.training.module import TrainingModule


def run_epochs(module: TrainingModule, epochs: int, device: torch.device, precision: str) -> None:
    """Train for some epochs on one device.

    Raises:
        KeyboardInterrupt: the user interrupted; finished epochs are stored.
    """
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu" if device.type == "cpu" else "cuda",
            devices=1 if device.type == "cpu" else [device.index or 0],
            precision="bf16-mixed" if precision == "bf16" else "32-true",
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
