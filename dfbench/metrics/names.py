"""Names of metrics: ``metric.level[.aggregation]``, for example ``auc.video.mean`` or ``acc.frame``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dfbench.errors import UsageError, unknown_name
from dfbench.metrics.aggregation import AGGREGATIONS
from dfbench.metrics.kinds import KINDS, Kind

Level = Literal["frame", "video"]


@dataclass(frozen=True)
class MetricName:
    """A parsed name.

    Attributes:
        metric: key of :data:`~dfbench.metrics.kinds.KINDS`.
        level: what one sample is: a frame or a video.
        aggregation: how frames became a video; empty at frame level.
    """

    metric: str
    level: Level
    aggregation: str = ""

    @property
    def kind(self) -> Kind:
        """The metric's entry in the table of metrics."""
        return KINDS[self.metric]

    @property
    def rule(self) -> str:
        """Level and aggregation: ``frame`` or ``video.mean``."""
        return f"{self.level}.{self.aggregation}" if self.aggregation else self.level

    def __str__(self) -> str:
        return f"{self.metric}.{self.rule}"


def levels() -> tuple[str, ...]:
    """The levels and aggregations a name may end in.

    >>> levels()[:3]
    ('frame', 'video.mean', 'video.mean-logit')
    """
    return ("frame", *(f"video.{how}" for how in AGGREGATIONS))


def metric_names() -> tuple[str, ...]:
    """All names there are."""
    return tuple(f"{metric}.{level}" for metric in KINDS for level in levels())


def parse_metric(name: str) -> MetricName:
    """Parse the name of a metric.

    Raises:
        UsageError: there is none of that name; the hint names the nearest.

    >>> parse_metric("auc.video.mean").aggregation
    'mean'
    >>> parse_metric("auc.video")
    Traceback (most recent call last):
    dfbench.errors.UsageError: metric 'auc.video' does not say how frames become a video
    """
    metric, _, rule = name.partition(".")
    if metric in KINDS and rule == "video":
        raise UsageError(
            f"metric {name!r} does not say how frames become a video", f"write {metric}.video.mean, for example"
        )
    if metric not in KINDS or rule not in levels():
        raise unknown_name("metric", name, metric_names())
    if rule == "frame":
        return MetricName(metric, "frame")
    return MetricName(metric, "video", rule.partition(".")[2])
