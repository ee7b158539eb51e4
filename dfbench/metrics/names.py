"""Names of metrics: ``metric.level[.aggregation][~peer]``, for example ``auc.video.mean`` or ``eer.frame~dfb``."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from dfbench.errors import UsageError
from dfbench.metrics.aggregation import AGGREGATIONS
from dfbench.metrics.definitions import FAMILIES, KINDS, RECALL, Kind, kind_of
from dfbench.metrics.variants import OF_MEANS, Variant, variant_names, variant_of

Level = Literal["frame", "video"]


@dataclass(frozen=True)
class MetricName:
    """A parsed name.

    Attributes:
        metric: of :func:`~dfbench.metrics.definitions.kind_of`: ``auc``, ``tpr@fpr=0.01``.
        level: what one sample is: a frame or a video.
        aggregation: how frames became a video; empty at frame level.
        peer: whose rule it follows; empty: ours.
    """

    metric: str
    level: Level
    aggregation: str = ""
    peer: str = ""

    @property
    def kind(self) -> Kind:
        """What is computed."""
        variant = self.variant
        return kind_of(self.metric) if variant is None else variant.kind

    @property
    def variant(self) -> Variant | None:
        """The peer's rule, if it follows one."""
        return variant_of(self.metric, self.rule, self.peer) if self.peer else None

    @property
    def rule(self) -> str:
        """Level and aggregation: ``frame`` or ``video.mean``."""
        return f"{self.level}.{self.aggregation}" if self.aggregation else self.level

    @property
    def column(self) -> str:
        """The metric without its level, as a column of a table: ``auc``, ``eer~dfb``."""
        return self.metric + (f"~{self.peer}" if self.peer else "")

    def __str__(self) -> str:
        return f"{self.metric}.{self.rule}" + (f"~{self.peer}" if self.peer else "")


def levels() -> tuple[str, ...]:
    """The levels and aggregations a name may end in.

    >>> levels()[:3]
    ('frame', 'video.mean', 'video.mean-logit')
    """
    return ("frame", *(f"video.{how}" for how in AGGREGATIONS))


def metric_names() -> tuple[str, ...]:
    """All names there are; of metrics with a parameter and of peers' rules for any of them, one example each."""
    examples = (*(f"{family}=0.01" for family in FAMILIES), f"{RECALL}=real", f"{RECALL}=fake")
    ours = (f"{metric}.{level}" for metric in (*KINDS, *examples) for level in levels())
    return (*ours, *variant_names())


_NAME = re.compile(
    rf"^(?P<metric>.+?)\.(?P<rule>frame|video(?:\.(?P<how>{'|'.join(AGGREGATIONS)}))?)(?:~(?P<peer>.+))?$"
)


def parse_metric(name: str) -> MetricName:
    """Parse the name of a metric. A peer who knows one way to form videos only need not be told: ``auc.video~dfb``.

    Raises:
        UsageError: there is none of that name; the hint names the nearest.

    >>> parse_metric("auc.video.mean").aggregation
    'mean'
    >>> parse_metric("tpr@fpr=0.001.frame").metric
    'tpr@fpr=0.001'
    >>> str(parse_metric("auc.video~dfb"))
    'auc.video.mean~dfb'
    >>> parse_metric("auc.video")
    Traceback (most recent call last):
    dfbench.errors.UsageError: metric 'auc.video' does not say how frames become a video
    """
    match = _NAME.match(name)
    if match is None:
        raise _unknown(name)
    metric, rule, how, peer = match["metric"], match["rule"], match["how"] or "", match["peer"] or ""
    try:
        kind_of(metric)
    except KeyError:
        raise _unknown(name) from None
    if rule == "video" and peer in OF_MEANS and variant_of(metric, "video.mean", peer) is not None:
        return MetricName(metric, "video", "mean", peer)
    if rule == "video":
        suffix = f"~{peer}" if peer else ""
        raise UsageError(
            f"metric {name!r} does not say how frames become a video",
            f"write {metric}.video.mean{suffix}, for example",
        )
    if peer and variant_of(metric, rule, peer) is None:
        raise UsageError(
            f"there is no rule {peer!r} for {metric}.{rule}", f"peers' rules: {', '.join(variant_names())}"
        )
    return MetricName(metric, "video" if how else "frame", how, peer)


def _unknown(name: str) -> UsageError:
    near = difflib.get_close_matches(name, metric_names(), n=2, cutoff=0.5)
    parts = [f"did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    families = [f"{family}=RATE" for family in FAMILIES] + [f"{RECALL}=NAME"]
    parts.append(f"A name is METRIC.LEVEL: metrics {', '.join((*KINDS, *families))}; levels {', '.join(levels())}.")
    return UsageError(f"unknown metric {name!r}", " ".join(parts))


def title_of(column: str) -> str:
    """What tables head a column of :attr:`MetricName.column` with.

    >>> title_of("auc"), title_of("eer~dfb")
    ('AUC', 'EER~dfb')
    """
    metric, _, peer = column.partition("~")
    return kind_of(metric).title + (f"~{peer}" if peer else "")
