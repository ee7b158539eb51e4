"""The table of metrics: what a metric is called, how it is estimated, and how it is resampled.

A metric is one of two kinds. A *ranked* metric is a function of the ROC's vertices ``(tp, fp)``. A *summed* metric
is a function of sums over samples. Both are written for many weightings at once, and the estimate is the weighting
by one: the bootstrap can not compute anything else than the metric itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UndefinedMetric
from dfbench.metrics.ranking import Counts, Values, auc_of, eer_of
from dfbench.metrics.validation import Labels, Scores


@dataclass(frozen=True)
class Kind:
    """One metric.

    Attributes:
        title: how tables head it.
        both: whether it needs both classes.
        higher_is_better: its direction.
        at_threshold: whether it judges scores by the decision threshold.
        ranked: ``(tp, fp) -> (B,)`` of :func:`dfbench.metrics.ranking.vertices`.
        columns: ``(labels, scores, threshold) -> (N, K)``, what is summed over samples.
        summed: ``(B, K) -> (B,)``, the metric from the sums.
    """

    title: str
    both: bool
    higher_is_better: bool = True
    at_threshold: bool = False
    ranked: Callable[[Counts, Counts], Values] | None = None
    columns: Callable[[Labels, Scores, float], Values] | None = None
    summed: Callable[[Values], Values] | None = None


def _decisions(labels: Labels, scores: Scores, threshold: float) -> Values:
    """Per sample: real, fake, real called real, fake called fake."""
    called, fake = scores >= threshold, labels == 1
    return np.stack([~fake, fake, ~fake & ~called, fake & called], axis=1).astype(np.float64)


def _accuracy(sums: Values) -> Values:
    return np.asarray((sums[:, 2] + sums[:, 3]) / (sums[:, 0] + sums[:, 1]), np.float64)


def _balanced(sums: Values) -> Values:
    return np.asarray((sums[:, 2] / sums[:, 0] + sums[:, 3] / sums[:, 1]) / 2, np.float64)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "acc": Kind("ACC", both=False, at_threshold=True, columns=_decisions, summed=_accuracy),
        "bacc": Kind("bACC", both=True, at_threshold=True, columns=_decisions, summed=_balanced),
        "auc": Kind("AUC", both=True, ranked=auc_of),
        "eer": Kind("EER", both=True, higher_is_better=False, ranked=eer_of),
    }
)


def require_classes(kind: Kind, labels: NDArray[np.int8]) -> None:
    """Raise :class:`UndefinedMetric` with the reason where the metric does not exist on these labels."""
    n, fake = len(labels), int(np.sum(labels, dtype=np.int64))
    if not n:
        raise UndefinedMetric("no scored samples")
    if kind.both and fake in (0, n):
        raise UndefinedMetric(f"only {'fake' if fake else 'real'} samples ({n}); {kind.title} needs both classes")
