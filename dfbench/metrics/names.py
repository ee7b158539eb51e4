"""Metric names: ``metric.level[.aggregation][~reference]``, for example ``auc.video.mean`` or ``eer.frame~dfb``."""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass
from typing import Literal

from dfbench.errors import UsageError
from dfbench.metrics.aggregation import AGGREGATIONS
from dfbench.metrics.definitions import FAMILIES, METRICS, RECALL, MetricDefinition, metric_definition
from dfbench.metrics.variants import MEAN_ONLY, MetricVariant, variant_names, variant_of

Level = Literal["frame", "video"]


@dataclass(frozen=True)
class MetricName:
    """A parsed metric name.

    Attributes:
        metric: of :func:`~dfbench.metrics.definitions.metric_definition`: ``auc``, ``tpr@fpr=0.01``.
        level: what one sample is: a frame or a video.
        aggregation: how frame scores become a video score; empty at frame level.
        reference: the reference implementation whose rule it follows; empty: dfbench's own rule.
    """

    metric: str
    level: Level
    aggregation: str = ""
    reference: str = ""

    @property
    def definition(self) -> MetricDefinition:
        """How it is computed."""
        variant = self.variant
        return metric_definition(self.metric) if variant is None else variant.definition

    @property
    def variant(self) -> MetricVariant | None:
        """The rule of the reference implementation, if it follows one."""
        return variant_of(self.metric, self.rule, self.reference) if self.reference else None

    @property
    def rule(self) -> str:
        """Level and aggregation: ``frame`` or ``video.mean``."""
        return f"{self.level}.{self.aggregation}" if self.aggregation else self.level

    @property
    def column(self) -> str:
        """The metric without its level, as in a table column: ``auc``, ``eer~dfb``."""
        return self.metric + (f"~{self.reference}" if self.reference else "")

    def __str__(self) -> str:
        return f"{self.metric}.{self.rule}" + (f"~{self.reference}" if self.reference else "")


def levels() -> tuple[str, ...]:
    """Return the levels and aggregations that a metric name ends in.

    >>> levels()[:3]
    ('frame', 'video.mean', 'video.mean-logit')
    """
    return ("frame", *(f"video.{how}" for how in AGGREGATIONS))


def describe_metrics() -> dict[str, str]:
    """Return the metrics with a one-line description of each.

    Returns:
        Metric -> description, with the names of :func:`list_metrics`.

    >>> describe_metrics()["auc"]
    'area under the ROC, ties counting one half'
    """
    plain = {name: METRICS.describe(name) for name in METRICS}
    at_rate = {f"{family}=RATE": build(0.5).summary for family, build in FAMILIES.items()}
    return {**plain, **at_rate, f"{RECALL}=NAME": metric_definition(f"{RECALL}=fake").summary}


def list_metrics(filter: str = "*") -> list[str]:
    """Return the names of the metrics.

    A metric of a result is a metric with a level, for example ``auc.video.mean``; ``RATE`` and ``NAME`` stand for
    parameters, as in ``tpr@fpr=0.01.frame``.

    Args:
        filter: shell-style pattern; the default matches all names.

    >>> list_metrics("*acc")
    ['acc', 'bacc']
    """
    return fnmatch.filter(describe_metrics(), filter)


def metric_names() -> tuple[str, ...]:
    """Return all metric names; for metrics with a parameter, one example of each."""
    examples = (*(f"{family}=0.01" for family in FAMILIES), f"{RECALL}=real", f"{RECALL}=fake")
    ours = (f"{metric}.{level}" for metric in (*METRICS, *examples) for level in levels())
    return (*ours, *variant_names())


_NAME = re.compile(
    rf"^(?P<metric>.+?)\.(?P<rule>frame|video(?:\.(?P<how>{'|'.join(AGGREGATIONS)}))?)(?:~(?P<reference>.+))?$"
)


def parse_metric(name: str) -> MetricName:
    """Parse a metric name.

    The aggregation may be omitted for a reference implementation that has only one: ``auc.video~dfb``.

    Raises:
        UsageError: unknown metric; the hint names the nearest.

    >>> parse_metric("auc.video.mean").aggregation
    'mean'
    >>> parse_metric("tpr@fpr=0.001.frame").metric
    'tpr@fpr=0.001'
    >>> str(parse_metric("auc.video~dfb"))
    'auc.video.mean~dfb'
    >>> parse_metric("auc.video")
    Traceback (most recent call last):
    dfbench.errors.UsageError: metric 'auc.video' has no aggregation of frames to videos
    """
    match = _NAME.match(name)
    if match is None:
        raise _unknown(name)
    metric, rule, how, reference = match["metric"], match["rule"], match["how"] or "", match["reference"] or ""
    try:
        metric_definition(metric)
    except KeyError:
        raise _unknown(name) from None
    if rule == "video" and reference in MEAN_ONLY and variant_of(metric, "video.mean", reference) is not None:
        return MetricName(metric, "video", "mean", reference)
    if rule == "video":
        suffix = f"~{reference}" if reference else ""
        raise UsageError(
            f"metric {name!r} has no aggregation of frames to videos", f"for example {metric}.video.mean{suffix}"
        )
    if reference and variant_of(metric, rule, reference) is None:
        raise UsageError(
            f"unknown reference implementation {reference!r} for {metric}.{rule}",
            f"names with a reference implementation: {', '.join(variant_names())}",
        )
    return MetricName(metric, "video" if how else "frame", how, reference)


def _unknown(name: str) -> UsageError:
    near = difflib.get_close_matches(name, metric_names(), n=2, cutoff=0.5)
    parts = [f"did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    parts.append(f"A name is METRIC.LEVEL: metrics {', '.join(list_metrics())}; levels {', '.join(levels())}.")
    return UsageError(f"unknown metric {name!r}", " ".join(parts))


def title_of(column: str) -> str:
    """Return the table header of a :attr:`MetricName.column`.

    >>> title_of("auc"), title_of("eer~dfb")
    ('AUC', 'EER~dfb')
    """
    metric, _, reference = column.partition("~")
    return metric_definition(metric).title + (f"~{reference}" if reference else "")
