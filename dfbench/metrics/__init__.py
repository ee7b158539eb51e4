"""Pure functions on arrays: metrics, aggregation, intervals, paired tests; and the metrics of a scores table."""

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
from dfbench.metrics.definitions import MetricDefinition
from dfbench.metrics.delong import Delong, DelongTest, delong, delong_test
from dfbench.metrics.intervals import (
    IntervalEstimate,
    PairedDifference,
    auc_interval,
    bootstrap_interval,
    paired_difference,
)
from dfbench.metrics.names import MetricName, describe_metrics, list_metrics, metric_names, parse_metric
from dfbench.metrics.p_values import holm, mcnemar
from dfbench.metrics.paired_tests import MetricDifference, paired_differences
from dfbench.metrics.score_summaries import coverage_rows, score_warnings, video_table
from dfbench.metrics.seeds import SeedDifference, SeedSummary, combine_seeds, seed_difference

__all__ = [
    "AGGREGATIONS",
    "Delong",
    "DelongTest",
    "DetCurve",
    "EqualError",
    "IntervalEstimate",
    "MetricDefinition",
    "MetricDifference",
    "MetricName",
    "PairedDifference",
    "Reliability",
    "RocCurve",
    "SeedDifference",
    "SeedSummary",
    "Videos",
    "accuracy",
    "aggregate",
    "auc",
    "auc_interval",
    "average_precision",
    "balanced_accuracy",
    "bootstrap_interval",
    "brier",
    "class_recalls",
    "combine_seeds",
    "compute_metrics",
    "confusion_matrix",
    "coverage_rows",
    "delong",
    "delong_test",
    "describe_metrics",
    "det_curve",
    "ece",
    "eer",
    "equal_error",
    "holm",
    "list_metrics",
    "log_loss",
    "macro_f1",
    "majority",
    "mcnemar",
    "metric_names",
    "multiclass_accuracy",
    "paired_difference",
    "paired_differences",
    "parse_metric",
    "partial_auc",
    "partial_auc_mcclish",
    "reliability",
    "roc_curve",
    "score_warnings",
    "seed_difference",
    "ties_at",
    "tpr_at_fpr",
    "video_table",
]
