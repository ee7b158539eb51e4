"""A metric: a function of the confusion matrices of many bootstrap resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics import MetricDefinition


def false_positive_rate(matrices: NDArray[np.float64], classes: Sequence[str]) -> NDArray[np.float64]:
    """(B, C, C) confusion matrices, rows are true classes with real first -> (B,)."""
    real = matrices[:, 0]
    return real[:, 1:].sum(axis=1) / real.sum(axis=1)


FPR = MetricDefinition(
    title="FPR",
    both=True,
    summary="fraction of real samples that are called fake",
    higher_is_better=False,
    confused=false_positive_rate,
    always_binary=True,
)
