"""Definitions of the metrics: name, title, and how each is computed for one or many weightings of the samples.

A *ranked* metric is a function of the ROC vertices ``(tp, fp)``, a *confused* metric of the confusion matrix, and a
*summed* metric of sums over samples. All are written for many weightings at once; the point estimate weights every
sample by one, so the bootstrap resamples exactly the metric that is reported.
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
from dfbench.registry import Registry, instance_of

Ranked = Callable[[Counts, Counts], Values]

FEWEST_GROUPS = 5
"""Number of scene groups below which no metric has an interval."""


@dataclass(frozen=True)
class MetricDefinition:
    """One metric.

    Attributes:
        title: column header in tables.
        both: whether it needs samples of both classes.
        summary: one line on what it measures.
        higher_is_better: whether larger values are better.
        ranked: ``(tp, fp) -> (B,)`` of :func:`dfbench.metrics.roc.vertices`.
        confused: ``(matrix, classes) -> (B,)`` of (B, C, C) confusion matrices; rows are the truth.
        columns: ``(labels, scores) -> (N, K)``, to be summed over samples.
        summed: ``(B, K) -> (B,)``, the metric from the sums.
        always_binary: whether it uses the real/fake decision for multi-class detectors, too.
        above: fixed threshold that a score must exceed to be fake; None: at least the declared threshold.
        of_class: the class it is restricted to, which must occur.
        least_media: number of media of the negative class that a value needs.
        real_positive: whether real is the positive class.
        bounds: lowest and highest possible value. Intervals are symmetric on the logit scale between them, and on the
            logarithmic scale where the highest is infinite.
        least_groups: number of scene groups that an interval needs.
        interval_media: number of media of the negative class that an interval needs.
        no_interval: why no interval of this metric is valid; empty where there is one.
        after_errors: ``(share, ratio) -> `` fraction of the range that is left if a share of the negatives score above
            all positives and everything else is right, with ``ratio`` negatives for each positive; it bounds the metric
            when no error was seen. None: the fraction is one minus the share.
    """

    title: str
    both: bool
    summary: str
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
    bounds: tuple[float, float] = (0.0, 1.0)
    least_groups: int = 20
    interval_media: int = 0
    no_interval: str = ""
    after_errors: Callable[[float, float], float] | None = None

    @property
    def at_threshold(self) -> bool:
        """Whether it is computed from decisions, which for two classes depend on a threshold."""
        return self.confused is not None

    def is_fake(self, scores: Scores, threshold: float) -> NDArray[np.bool_]:
        """Decide for each score whether it means fake."""
        return np.asarray(scores >= threshold if self.above is None else scores > self.above, np.bool_)


METRICS: Registry[MetricDefinition] = Registry(
    "metric",
    "dfbench.metrics",
    {
        "acc": MetricDefinition(
            "ACC",
            both=False,
            summary="fraction of correct decisions",
            confused=confusion.accuracy_of,
            least_groups=FEWEST_GROUPS,
        ),
        "bacc": MetricDefinition(
            "bACC",
            both=True,
            summary="mean recall over the classes",
            confused=confusion.balanced_of,
            least_groups=FEWEST_GROUPS,
        ),
        "auc": MetricDefinition(
            "AUC",
            both=True,
            summary="area under the ROC, ties counting one half",
            ranked=roc.auc_of,
            least_groups=FEWEST_GROUPS,
        ),
        "eer": MetricDefinition(
            "EER",
            both=True,
            summary="error rate where false positive and false negative rates are equal",
            higher_is_better=False,
            ranked=roc.eer_of,
            least_groups=FEWEST_GROUPS,
        ),
        "ap": MetricDefinition(
            "AP",
            both=True,
            summary="average precision, fake being positive",
            ranked=roc.ap_of,
            after_errors=roc.ap_after_errors,
        ),
        "logloss": MetricDefinition(
            "log-loss x100",
            both=False,
            summary="mean negative log-probability of the true class",
            higher_is_better=False,
            columns=calibration.log_loss_columns,
            summed=calibration.mean_of,
            bounds=(0.0, math.inf),
        ),
        "brier": MetricDefinition(
            "Brier",
            both=False,
            summary="mean squared error of P(fake)",
            higher_is_better=False,
            columns=calibration.brier_columns,
            summed=calibration.mean_of,
        ),
        "ece": MetricDefinition(
            "ECE",
            both=False,
            summary="expected calibration error in 15 equal-width bins",
            higher_is_better=False,
            columns=calibration.ece_columns,
            summed=calibration.ece_of,
            no_interval="its estimate is too high on few samples, and so are resampled ones",
        ),
        "macro-f1": MetricDefinition(
            "macro F1",
            both=True,
            summary="mean F1 over the classes",
            confused=confusion.macro_f1_of,
            least_groups=FEWEST_GROUPS,
        ),
        "acc.collapsed": MetricDefinition(
            "ACC real/fake",
            both=False,
            summary="accuracy of the real/fake decision of a multi-class detector",
            confused=confusion.accuracy_of,
            always_binary=True,
            least_groups=FEWEST_GROUPS,
        ),
    },
    check=instance_of(MetricDefinition),
    listing="dfbench list metrics",
)
"""Metrics without a parameter; :func:`metric_definition` resolves those with one as well."""


def _media_for_interval(limit: float) -> int:
    """Media of the negative class of which ten are expected above a threshold with this false positive rate."""
    return math.ceil(10 / limit - 1e-9)


def _tpr_at(limit: float) -> MetricDefinition:
    return MetricDefinition(
        f"TPR@FPR={limit:g}",
        both=True,
        summary="highest true positive rate at a false positive rate of at most RATE",
        ranked=partial(roc.tpr_at, limit=limit),
        least_media=math.ceil(1 / limit - 1e-9),
        interval_media=_media_for_interval(limit),
    )


def _partial_auc(limit: float) -> MetricDefinition:
    return MetricDefinition(
        f"pAUC FPR<{limit:g}",
        both=True,
        summary="area under the ROC up to a false positive rate of RATE",
        ranked=partial(roc.partial_auc_of, limit=limit),
        bounds=(0.0, limit),
        interval_media=_media_for_interval(limit),
        after_errors=partial(roc.partial_auc_after_errors, limit=limit),
    )


def _mcclish(limit: float) -> MetricDefinition:
    return MetricDefinition(
        f"McClish pAUC FPR<{limit:g}",
        both=True,
        summary="the same area rescaled to 0.5 for chance, 1 for a perfect detector",
        ranked=partial(roc.mcclish_of, limit=limit),
        bounds=((1 - limit) / (2 - limit), 1.0),
        interval_media=_media_for_interval(limit),
        after_errors=partial(roc.partial_auc_after_errors, limit=limit),
    )


FAMILIES: Mapping[str, Callable[[float], MetricDefinition]] = MappingProxyType(
    {"tpr@fpr": _tpr_at, "pauc@fpr": _partial_auc, "pauc-mcclish@fpr": _mcclish}
)
"""Metrics with a false positive rate as parameter: ``tpr@fpr=0.01``."""

RECALL = "recall@class"
"""Recall of one class: ``recall@class=fake``."""


def metric_definition(metric: str) -> MetricDefinition:
    """Return the definition of a metric, including its parameter: ``auc``, ``tpr@fpr=0.01``, ``recall@class=real``.

    Raises:
        UsageError: the parameter is missing or not a false positive rate.
        KeyError: unknown metric.
        SetupError: the package that provides it is broken.

    >>> found = metric_definition("tpr@fpr=0.01")
    >>> found.least_media, found.interval_media
    (100, 1000)
    """
    family, equals, parameter = metric.partition("=")
    if family in FAMILIES:
        return FAMILIES[family](_rate(metric, parameter))
    if family == RECALL and equals:
        if not parameter:
            raise UsageError(f"metric {metric!r} has no class", f"for example {RECALL}=fake.frame")
        recall = partial(confusion.recall_of, name=parameter)
        return MetricDefinition(
            f"recall {parameter}",
            both=False,
            summary="recall of the class NAME",
            confused=recall,
            of_class=parameter,
            least_groups=FEWEST_GROUPS,
        )
    if metric not in METRICS:
        raise KeyError(metric)
    return METRICS.get(metric)


def _rate(metric: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < 1:
        family = metric.partition("=")[0]
        raise UsageError(
            f"metric {metric!r} needs a false positive rate between 0 and 1",
            f"for example {family}=0.01.frame",
        )
    return rate


def require_classes(kind: MetricDefinition, labels: NDArray[np.int8]) -> None:
    """Raise :class:`UndefinedMetric` with the reason where the metric is undefined on these labels."""
    n, fake = len(labels), int(np.sum(labels, dtype=np.int64))
    if not n:
        raise UndefinedMetric("no scored samples")
    if kind.both and fake in (0, n):
        raise UndefinedMetric(f"only {'fake' if fake else 'real'} samples ({n}); {kind.title} needs both classes")
