"""The metrics of a run as its protocol states them, with crops, training condition and seed recorded beside each."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.evaluation.conditions import ConditionPlan
from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.decision import decision_of
from dfbench.evaluation.trivial_baselines import media_facts, trivial_baselines
from dfbench.metrics import compute_metrics, parse_metric
from dfbench.metrics.robustness import robustness
from dfbench.models.card import WeightCard
from dfbench.models.training_method import described_method
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import Baseline, MetricValue, Robustness


def run_metrics(
    scores: pa.Table,
    protocol: Protocol,
    conditions: ConditionPlan,
    profile: str,
    card: WeightCard | None = None,
    names: Sequence[str] | None = None,
) -> tuple[MetricValue, ...]:
    """Compute the metrics of a protocol.

    Manipulations are also judged one by one, but not for conditions that are only part of a suite.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
        protocol: the protocol.
        conditions: the conditions of the run.
        profile: crop profile of the manifests.
        card: of the weights; its training condition and seed are recorded, and its threshold is used where the
            protocol has a rule for one.
        names: metrics in place of the protocol's.
    """
    values: list[MetricValue] = []
    detailed = in_detail(scores, conditions)
    for part, per_manipulation in ((detailed, protocol.metrics.per_manipulation), (pc.invert(detailed), False)):
        if pc.any(part).as_py():
            values += compute_metrics(
                scores.filter(part),
                protocol.metrics.names if names is None else names,
                threshold=decision_of(protocol, card).threshold,
                resamples=protocol.metrics.resamples,
                seed=protocol.metrics.seed,
                per_manipulation=per_manipulation,
                failure_policy=protocol.failure_policy,
                face_aggregation=protocol.metrics.faces,
                classes=protocol.classes,
                real_classes=protocol.reals,
            )
    facts = {
        "profile": profile,
        "size": protocol.crops.size,
        "train_condition": card.train_condition if card else "clean",
        "training_method": described_method(card.model_dump()) if card else "unknown",
        "seed": card.seed if card else None,
    }
    return tuple(value.model_copy(update=facts) for value in values)


def run_robustness(
    scores: pa.Table, protocol: Protocol, conditions: ConditionPlan, threshold: float
) -> tuple[Robustness, ...]:
    """Compute drops, means over families and worst conditions of the protocol's AUC and ACC."""
    found = robustness(
        scores,
        [name for name in protocol.metrics.names if parse_metric(name).metric in ("auc", "acc")],
        conditions.origins,
        threshold=threshold,
        resamples=protocol.metrics.resamples,
        seed=protocol.metrics.seed,
        failure_policy=protocol.failure_policy,
        face_aggregation=protocol.metrics.faces,
        classes=protocol.classes,
        real_classes=protocol.reals,
    )
    return tuple(found)


def run_baselines(scores: pa.Table, data: RoleData, conditions: ConditionPlan, profile: str) -> tuple[Baseline, ...]:
    """Compute the trivial baselines, judged by the same rules on the same samples."""
    return trivial_baselines(
        scores,
        media_facts(data),
        lambda table, names: list(run_metrics(table, data.protocol, conditions, profile, names=names)),
        data.protocol.metrics.names,
        data.protocol.classes,
    )


def in_detail(scores: pa.Table, conditions: ConditionPlan) -> pa.ChunkedArray:
    """Return which rows are of conditions that were named themselves, and not only as part of a suite."""
    briefly = set(conditions.names) - conditions.in_detail
    return pc.invert(pc.is_in(scores["condition"], value_set=pa.array(sorted(briefly), pa.string())))
