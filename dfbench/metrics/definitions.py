"""The table of metrics: what a metric is called, how it is estimated, and how it is resampled.

A metric is one of three kinds. A *ranked* metric is a function of the ROC's vertices ``(tp, fp)``. A *confused* metric
is a function of the confusion matrix. A *summed* metric is a function of sums over samples. All are written for many
weightings at once, and the estimate is the weighting by one: the bootstrap can not compute anything else than the
metric itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UndefinedMetric, UsageError
from dfbench.metrics import calibration, confusion, roc
from dfbench.metrics.confusion import Confusion
from dfbench.metrics.roc import Counts, Values
from dfbench.metrics.validation import Labels, Scores

Ranked = Callable[[Counts, Counts], Values]


@dataclass(frozen=True)
class Kind:
    """One metric.

    Attributes:
        title: how tables head it.
        both: whether it needs both classes.
        higher_is_better: its direction.
        ranked: ``(tp, fp) -> (B,)`` of :func:`dfbench.metrics.roc.vertices`.
        confused: ``(matrix, classes) -> (B,)`` of (B, C, C) confusion matrices; rows are the truth.
        columns: ``(labels, scores) -> (N, K)``, what is summed over samples.
        summed: ``(B, K) -> (B,)``, the metric from the sums.
        always_binary: a decision real/fake even where the detector tells several classes apart.
        above: fake strictly above this score, whatever the declared threshold; None: from the threshold on.
        of_class: the one class that it is about, which must occur.
        least_media: how many media of the negative class it needs.
        real_positive: whether real is the positive class.
    """

    title: str
    both: bool
    higher_is_better: bool = True
    ranked: Ranked | None = None
    confused: Callable[[Confusion, Sequence[str]], Values] | None = None
    columns: Callable[[Labels, Scores], Values] | None = None
    summed: Callable[[Values], Values] | None = None
    always_binary: bool = False
    above: float | None = None
    of_class: str = ""
    least_media: int = 0
    real_positive: bool = False

    @property
    def at_threshold(self) -> bool:
        """Whether it judges decisions, which for two classes are made by a threshold."""
        return self.confused is not None

    def is_fake(self, scores: Scores, threshold: float) -> NDArray[np.bool_]:
        """The decision on each score."""
        return np.asarray(scores >= threshold if self.above is None else scores > self.above, np.bool_)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "acc": Kind("ACC", both=False, confused=confusion.accuracy_of),
        "bacc": Kind("bACC", both=True, confused=confusion.balanced_of),
        "auc": Kind("AUC", both=True, ranked=roc.auc_of),
        "eer": Kind("EER", both=True, higher_is_better=False, ranked=roc.eer_of),
        "ap": Kind("AP", both=True, ranked=roc.ap_of),
        "logloss": Kind(
            "log-loss x100",
            both=False,
            higher_is_better=False,
            columns=calibration.log_loss_columns,
            summed=calibration.mean_of,
        ),
        "brier": Kind(
            "Brier",
            both=False,
            higher_is_better=False,
            columns=calibration.brier_columns,
            summed=calibration.mean_of,
        ),
        "ece": Kind(
            "ECE", both=False, higher_is_better=False, columns=calibration.ece_columns, summed=calibration.ece_of
        ),
        "macro-f1": Kind("macro F1", both=True, confused=confusion.macro_f1_of),
        "acc.collapsed": Kind("ACC real/fake", both=False, confused=confusion.accuracy_of, always_binary=True),
    }
)
"""Metrics without a parameter; :func:`kind_of` knows those with one as well."""


def _tpr_at(limit: float) -> Kind:
    return Kind(
        f"TPR@FPR={limit:g}",
        both=True,
        ranked=partial(roc.tpr_at, limit=limit),
        least_media=math.ceil(10 / limit - 1e-9),
    )


def _partial_auc(limit: float) -> Kind:
    return Kind(f"pAUC FPR<{limit:g}", both=True, ranked=partial(roc.partial_auc_of, limit=limit))


def _mcclish(limit: float) -> Kind:
    return Kind(f"McClish pAUC FPR<{limit:g}", both=True, ranked=partial(roc.mcclish_of, limit=limit))


FAMILIES: Mapping[str, Callable[[float], Kind]] = MappingProxyType(
    {"tpr@fpr": _tpr_at, "pauc@fpr": _partial_auc, "pauc-mcclish@fpr": _mcclish}
)
"""Metrics at a false positive rate, which stands behind an equals sign: ``tpr@fpr=0.01``."""

RECALL = "recall@class"
"""The share of one class that is called so: ``recall@class=fake``."""


def kind_of(metric: str) -> Kind:
    """The entry of a metric, with its parameter: ``auc``, ``tpr@fpr=0.01``, ``recall@class=real``.

    Raises:
        UsageError: a parameter is missing, or no false positive rate.
        KeyError: there is no such metric.

    >>> kind_of("tpr@fpr=0.01").least_media
    1000
    """
    family, equals, parameter = metric.partition("=")
    if family in FAMILIES:
        return FAMILIES[family](_rate(metric, parameter))
    if family == RECALL and equals:
        if not parameter:
            raise UsageError(f"metric {metric!r} names no class", f"write {RECALL}=fake.frame, for example")
        recall = partial(confusion.recall_of, name=parameter)
        return Kind(f"recall {parameter}", both=False, confused=recall, of_class=parameter)
    return KINDS[metric]


def _rate(metric: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 1:
        family = metric.partition("=")[0]
        raise UsageError(
            f"metric {metric!r} needs a false positive rate between 0 and 1",
            f"write {family}=0.01.frame, for example",
        )
    return rate


def require_classes(kind: Kind, labels: NDArray[np.int8]) -> None:
    """Raise :class:`UndefinedMetric` with the reason where the metric does not exist on these labels."""
    n, fake = len(labels), int(np.sum(labels, dtype=np.int64))
    if not n:
        raise UndefinedMetric("no scored samples")
    if kind.both and fake in (0, n):
        raise UndefinedMetric(f"only {'fake' if fake else 'real'} samples ({n}); {kind.title} needs both classes")
