"""Decision threshold and temperature: chosen on validation data, kept in the card, used by evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dfbench.errors import DataError
from dfbench.metrics import aggregate, equal_error
from dfbench.metrics.samples import one_face
from dfbench.metrics.score_rows import checked_rows
from dfbench.models.card import DecisionRecord, WeightCard
from dfbench.protocols.protocol import Protocol
from dfbench.protocols.tables import FPR_RULE

if TYPE_CHECKING:
    from dfbench.evaluation.dataset import RoleData

TEMPERATURES = (0.05, 20.0)
"""Range of temperatures. Data that are separated without an error have no best one: the lowest is taken."""


@dataclass(frozen=True)
class Decision:
    """How an evaluation turns logits into scores and scores into classes.

    Attributes:
        threshold: a sample counts as fake from this P(fake) on.
        temperature: logits are divided by it before P(fake) is computed.
        record: how both were chosen; empty where the protocol states the threshold.
        warning: why the values of the protocol's rule are not used; empty if they are, or there is no rule.
    """

    threshold: float
    temperature: float = 1.0
    record: dict[str, Any] | None = None
    warning: str = ""


def decision_of(protocol: Protocol, card: WeightCard | None) -> Decision:
    """Return the decision of an evaluation: the card's where the protocol has a rule for it, else the protocol's.

    Args:
        protocol: the protocol of the evaluation.
        card: of the weights.
    """
    wanted, stated = protocol.threshold, Decision(protocol.metrics.threshold)
    if wanted is None:
        return stated
    found = card.decision if card is not None else None
    fits = found is not None and (found.rule, found.level) == (wanted.rule, wanted.level)
    if found is None or not fits or (found.temperature is None) == wanted.temperature:
        return Decision(
            stated.threshold,
            warning="the card of the weights has no threshold or temperature chosen by the protocol's rule: "
            f"the threshold is {stated.threshold:g}, and no temperature is applied",
        )
    threshold = stated.threshold if found.threshold is None else found.threshold
    return Decision(threshold, found.temperature or 1.0, found.model_dump(mode="json"))


def choose_decision(data: RoleData, logits: NDArray[np.float32]) -> DecisionRecord:
    """Choose threshold and temperature by the protocol's rule: first the temperature, then the threshold.

    Args:
        data: the validation samples.
        logits: (N, C), row i for row i of ``data.ok_table``.

    Raises:
        DataError: the protocol has no rule, or the validation data lack one label.
    """
    from dfbench.evaluation.scores_table import scores_table

    rules = data.protocol
    wanted = rules.threshold
    if wanted is None:
        raise DataError(f"protocol {rules.name!r} has no rule for a threshold", "add [threshold] to it")
    temperature = fit_temperature(logits, data.targets()) if wanted.temperature else None
    table = scores_table(data, logits, "validation", "validation", temperature=temperature or 1.0)
    rows = one_face(checked_rows(table), rules.metrics.faces)
    rows = rows[rows["status"] == "ok"]
    labels, scores = rows["label"].to_numpy(np.int8), rows["score"].to_numpy(np.float64)
    level, _, how = wanted.level.partition(".")
    if level == "video":
        videos = aggregate(rows["media_id"].to_numpy(str), labels, scores, how)
        labels, scores = videos.labels, videos.scores
    return DecisionRecord(
        rule=wanted.rule,
        level=wanted.level,
        threshold=choose_threshold(labels, scores, wanted.rule) if wanted.rule is not None else None,
        temperature=temperature,
        samples=len(labels),
    )


def choose_threshold(labels: NDArray[np.int8], scores: NDArray[np.float64], rule: str) -> float:
    """Choose a decision threshold; a sample counts as fake if its score is at or above it.

    Candidates lie halfway between neighbouring scores, so that the threshold is not a score itself.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake).
        rule: ``max-bacc``: the largest balanced accuracy, of equal ones that with the smallest difference of both error
            rates, then that nearest 0.5; ``eer``: where both error rates are equal; ``fpr=X``: the lowest threshold
            with at most this fraction of reals counted as fake.

    Raises:
        DataError: one label is missing, or no threshold has such a false positive rate.

    >>> choose_threshold(np.array([0, 0, 1, 1], np.int8), np.array([0.1, 0.2, 0.4, 0.9]), "max-bacc")
    0.30000000000000004
    """
    reals, fakes = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    if not len(reals) or not len(fakes):
        raise DataError(
            "a threshold needs real and fake validation samples; one label is missing", "see: dfbench inspect"
        )
    if rule == "eer":
        return float(equal_error(labels, scores).threshold)
    values = np.unique(scores)
    middles = (values[:-1] + values[1:]) / 2
    # Halfway between neighbouring numbers there is none: then the upper score.
    candidates = np.concatenate(([0.0], np.where(middles > values[:-1], middles, values[1:]), [(values[-1] + 1) / 2]))
    fpr = 1 - np.searchsorted(reals, candidates, side="left") / len(reals)
    fnr = np.searchsorted(fakes, candidates, side="left") / len(fakes)
    limit = FPR_RULE.fullmatch(rule)
    if limit is not None:
        allowed = np.flatnonzero(fpr <= float(limit[1]))
        if not len(allowed):
            raise DataError(
                f"no threshold has a false positive rate of at most {limit[1]} on the validation data: reals have the "
                "score 1",
                "use another rule",
            )
        return float(candidates[allowed[0]])
    order = np.lexsort((candidates, np.abs(candidates - 0.5), np.abs(fpr - fnr), np.round(fpr + fnr, 12)))
    return float(candidates[order[0]])


def fit_temperature(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the temperature with the smallest mean cross-entropy of logits / temperature (Guo et al., ICML 2017).

    The cross-entropy is convex in 1 / temperature: its derivative has one zero, found by bisection.

    Args:
        logits: (N, C); one logit is that of fake.
        targets: (N,) class numbers.

    Returns:
        The temperature, within :data:`TEMPERATURES`.
    """
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    true = z[np.arange(len(z)), targets]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * z, axis=1) * z).sum(axis=1) - true).mean())

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(high) <= 0:
        return 1 / high
    if slope(low) >= 0:
        return 1 / low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2 / (low + high)
