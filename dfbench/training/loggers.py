"""Lightning's loggers of a training: CSV files, TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.errors import SetupError, UsageError

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

PACKAGES: dict[str, str] = {"csv": "", "tensorboard": "tensorboard", "wandb": "wandb"}
"""Logger -> package that it needs besides Lightning."""

LOG_STEPS = 10
"""Optimiser steps between two logged losses and learning rates."""

TENSORBOARD: dict[str, Any] = {"name": "tensorboard", "version": "", "default_hp_metric": False}
"""One folder for all parts of a training, and no placeholder of a metric."""


def check_loggers(names: Sequence[str] | str) -> tuple[str, ...]:
    """Check the names of loggers and whether their packages are installed; needs no torch.

    Raises:
        UsageError: an unknown name.
        SetupError: a package is missing; the hint has the command that installs it.
    """
    given = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    for name in given:
        if name not in PACKAGES:
            raise UsageError(f"unknown logger {name!r}", f"write one of: {', '.join(PACKAGES)}")
        if PACKAGES[name] and find_spec(PACKAGES[name]) is None:
            raise SetupError(f"the logger {name} needs the package {PACKAGES[name]}", f"pip install {PACKAGES[name]}")
    return given


@dataclass(frozen=True)
class LogSettings:
    """Where and under which names a training is logged.

    Attributes:
        names: of the loggers.
        folder: of their files.
        title: of the run in Weights & Biases.
        run_id: identifies the training there, so that a resumed one continues its run.
        facts: what the loggers show as hyperparameters.
    """

    names: tuple[str, ...] = ()
    folder: Path = Path()
    title: str = ""
    run_id: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self, step: int) -> Iterator[list[Logger]]:
        """Provide the loggers of a training that begins or resumes after a number of optimiser steps.

        What was logged after the stored state is logged again. CSV files of an interrupted part stay in a folder of
        their own, TensorBoard hides the repeated steps, and Weights & Biases continues the run of the training.
        """
        from lightning.pytorch import loggers as kinds

        found: list[Any] = []
        if self.names:
            self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.names:
            if name == "csv":
                found.append(kinds.CSVLogger(self.folder, name="csv"))
            elif name == "tensorboard":
                found.append(kinds.TensorBoardLogger(self.folder, **TENSORBOARD, purge_step=step + 1))
            else:
                found.append(
                    kinds.WandbLogger(
                        name=self.title, save_dir=self.folder, project="dfbench", id=self.run_id, resume="allow"
                    )
                )
        for logger in found:
            logger.log_hyperparams(dict(self.facts))
        try:
            yield found
        finally:
            if "wandb" in self.names:  # another training of this process would continue its run
                found[self.names.index("wandb")].experiment.finish()
