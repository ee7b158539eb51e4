"""Pure functions on arrays: ACC, AUC, EER, video aggregation, intervals; and the metrics of a scores table."""

from dfbench.metrics.aggregation import AGGREGATIONS, Videos, aggregate
from dfbench.metrics.classification import (
    EqualError,
    RocCurve,
    accuracy,
    auc,
    balanced_accuracy,
    class_recalls,
    eer,
    equal_error,
    majority,
    roc_curve,
    ties_at,
)
from dfbench.metrics.compute import compute_metrics
from dfbench.metrics.coverage import coverage_rows
from dfbench.metrics.names import MetricName, metric_names, parse_metric

__all__ = [
    "AGGREGATIONS",
    "EqualError",
    "MetricName",
    "RocCurve",
    "Videos",
    "accuracy",
    "aggregate",
    "auc",
    "balanced_accuracy",
    "class_recalls",
    "compute_metrics",
    "coverage_rows",
    "eer",
    "equal_error",
    "majority",
    "metric_names",
    "parse_metric",
    "roc_curve",
    "ties_at",
]
