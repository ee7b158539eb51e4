"""Pure functions on arrays: metrics, video aggregation, intervals, paired tests; and the metrics of a scores table."""

from dfbench.metrics.aggregation import AGGREGATIONS, Videos, aggregate
from dfbench.metrics.binary import (
    DetCurve,
    EqualError,
    RocCurve,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    class_recalls,
    det_curve,
    eer,
    equal_error,
    majority,
    partial_auc,
    partial_auc_mcclish,
    roc_curve,
    ties_at,
    tpr_at_fpr,
)
from dfbench.metrics.calibration import Reliability, brier, ece, log_loss, reliability
from dfbench.metrics.compute import compute_metrics
from dfbench.metrics.confusion import confusion_matrix, macro_f1, multiclass_accuracy
from dfbench.metrics.coverage import coverage_rows
from dfbench.metrics.delong import Delong, DelongTest, delong, delong_test
from dfbench.metrics.intervals import IntervalEstimate
from dfbench.metrics.names import MetricName, metric_names, parse_metric
from dfbench.metrics.sanity_checks import doubts
from dfbench.metrics.seeds import SeedSummary, combine_seeds
from dfbench.metrics.significance import holm, mcnemar
from dfbench.metrics.video_table import video_table

__all__ = [
    "AGGREGATIONS",
    "Delong",
    "DelongTest",
    "DetCurve",
    "EqualError",
    "IntervalEstimate",
    "MetricName",
    "Reliability",
    "RocCurve",
    "SeedSummary",
    "Videos",
    "accuracy",
    "aggregate",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "class_recalls",
    "combine_seeds",
    "compute_metrics",
    "confusion_matrix",
    "coverage_rows",
    "delong",
    "delong_test",
    "det_curve",
    "doubts",
    "ece",
    "eer",
    "equal_error",
    "holm",
    "log_loss",
    "macro_f1",
    "majority",
    "mcnemar",
    "metric_names",
    "multiclass_accuracy",
    "parse_metric",
    "partial_auc",
    "partial_auc_mcclish",
    "reliability",
    "roc_curve",
    "ties_at",
    "tpr_at_fpr",
    "video_table",
]
