"""Threshold and temperature chosen on validation data: the rules, the card, the evaluation that uses them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from dfbench.errors import DataError
from dfbench.evaluation.decision import choose_threshold, decision_of, fit_temperature
from dfbench.metrics import balanced_accuracy, class_recalls
from dfbench.models.card import DecisionRecord, WeightCard, card_path, read_card
from dfbench.protocols.files import load_protocol
from dfbench.protocols.tables import DecisionRule
from dfbench.workflow import evaluate, train

samples = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 16)), min_size=2, max_size=30).filter(
    lambda pairs: {label for label, _ in pairs} == {0, 1}
)


def arrays(pairs: list[tuple[int, int]]) -> tuple[Any, Any]:
    return np.array([label for label, _ in pairs], np.int8), np.array([score / 16 for _, score in pairs])


@given(samples)
def test_no_threshold_has_a_larger_balanced_accuracy(pairs: list[tuple[int, int]]) -> None:
    y, s = arrays(pairs)
    chosen = choose_threshold(y, s, "max-bacc")
    best = max(balanced_accuracy(y, s, threshold) for threshold in np.linspace(0, 1, 65))
    assert balanced_accuracy(y, s, chosen) == pytest.approx(best)


@given(samples, st.sampled_from([0.01, 0.1, 0.5]))
def test_the_lowest_threshold_within_the_false_positive_rate(pairs: list[tuple[int, int]], limit: float) -> None:
    y, s = arrays(pairs)
    s = s * 0.9
    chosen = choose_threshold(y, s, f"fpr={limit}")
    assert 1 - class_recalls(y, s, chosen)[0] <= limit
    lower = [t for t in np.linspace(0, 1, 400) if t < chosen and 1 - class_recalls(y, s, t)[0] <= limit]
    assert all(not ((s >= t) ^ (s >= chosen)).any() for t in lower), "a lower one decides alike"


def test_known_thresholds() -> None:
    y = np.array([0, 0, 0, 1, 1, 1], np.int8)
    s = np.array([0.125, 0.25, 0.5, 0.375, 0.75, 0.875])
    assert choose_threshold(y, s, "fpr=0.01") == 0.625
    assert choose_threshold(y, s, "fpr=0.4") == 0.3125
    assert 0.375 <= choose_threshold(y, s, "eer") <= 0.5
    near = np.array([0.5, np.nextafter(0.5, 1)])
    assert choose_threshold(np.array([0, 1], np.int8), near, "max-bacc") == near[1]
    with pytest.raises(DataError, match="one label is missing"):
        choose_threshold(y[:3], s[:3], "eer")
    with pytest.raises(DataError, match="no threshold has a false positive rate"):
        choose_threshold(y, np.ones(6), "fpr=0.1")


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_the_temperature_minimises_the_cross_entropy(columns: int) -> None:
    generator = np.random.default_rng(columns)
    targets = generator.integers(0, max(2, columns), 400)
    logits = generator.normal(0, 3, (400, columns)).astype(np.float32)
    logits[np.arange(400), 0 if columns == 1 else targets] += 2 * (targets if columns == 1 else 1)
    found = fit_temperature(logits, targets)

    def loss(temperature: float) -> float:
        z, y = torch.from_numpy(logits).double() / temperature, torch.from_numpy(targets)
        if columns == 1:
            return float(F.binary_cross_entropy_with_logits(z[:, 0], y.double()))
        return float(F.cross_entropy(z, y))

    assert 1 < found < 20
    assert loss(found) < min(loss(found * 0.99), loss(found * 1.01), loss(1.0))


def test_temperatures_are_limited() -> None:
    targets = np.array([0, 1])
    assert fit_temperature(np.array([[1, -1], [-1, 1]], np.float32), targets) == pytest.approx(0.05)
    assert fit_temperature(np.array([[-1, 1], [1, -1]], np.float32), targets) == pytest.approx(20)


@pytest.mark.parametrize("bad", [{}, {"rule": "best"}, {"rule": "fpr=1.5"}, {"rule": "eer", "split": "test"}])
def test_rules_that_do_not_load(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|split"):
        DecisionRule.model_validate(bad)


RULE = """
[threshold]
rule = "max-bacc"
level = "frame"
temperature = true
"""


@pytest.mark.slow
def test_training_keeps_them_and_the_evaluation_uses_them(tiny: SimpleNamespace, tmp_path: Path) -> None:
    protocol = tmp_path / "ruled.toml"
    protocol.write_text(tiny.protocol.read_text("utf-8") + RULE, "utf-8")
    common = {"device": "cpu", "quiet": True}
    weights = train("meso4", protocol, tiny.manifest, tmp_path / "w.safetensors", **common)
    chosen = read_card(weights).decision
    assert chosen is not None
    assert (chosen.rule, chosen.level, chosen.samples) == ("max-bacc", "frame", 32)
    assert chosen.threshold is not None
    assert chosen.temperature is not None
    assert chosen.temperature != 1.0
    ruled = evaluate("meso4", protocol, tiny.manifest, weights, tmp_path / "a", **common)
    plain = evaluate("meso4", tiny.protocol, tiny.manifest, weights, tmp_path / "b", **common)
    assert ruled.result.options["decision"] == chosen.model_dump()
    assert "decision" not in plain.result.options
    assert {m.threshold for m in ruled.result.metrics if m.name == "acc.frame"} == {chosen.threshold}
    assert {m.threshold for m in plain.result.metrics if m.name == "acc.frame"} == {0.5}
    one, two = (run.scores.dropna(subset="score") for run in (ruled, plain))
    z = np.stack(two["logits"].to_list()) / chosen.temperature
    np.testing.assert_allclose(one["score"], 1 / (1 + np.exp(z[:, 0] - z[:, 1])), rtol=1e-5)
    assert ruled.get("auc.frame").value == pytest.approx(plain.get("auc.frame").value)
    assert not [text for text in ruled.result.warnings if "threshold" in text]

    # The card of weights without them: the protocol's threshold, and a warning.
    card_path(weights).write_text(read_card(weights).model_copy(update={"decision": None}).model_dump_json(), "utf-8")
    without = evaluate("meso4", protocol, tiny.manifest, weights, tmp_path / "c", **common)
    assert {m.threshold for m in without.result.metrics if m.name == "acc.frame"} == {0.5}
    assert any("no threshold or temperature" in text for text in without.result.warnings)


def test_another_rule_is_not_used(tiny: SimpleNamespace, tmp_path: Path) -> None:
    protocol = tmp_path / "ruled.toml"
    protocol.write_text(tiny.protocol.read_text("utf-8") + RULE, "utf-8")
    rules = load_protocol(protocol)
    selection: Any = {"split": "none", "epoch": 1}
    record = DecisionRecord(rule="max-bacc", level="frame", threshold=0.25, temperature=2.0, samples=9)

    def card(**changes: Any) -> WeightCard:
        decision = record.model_copy(update=changes)
        return WeightCard(
            model="m", num_classes=2, profile="p", size=64, mini=False, selection=selection, decision=decision
        )

    fits = decision_of(rules, card())
    assert (fits.threshold, fits.temperature, fits.warning) == (0.25, 2.0, "")
    for other in (card(rule="eer"), card(level="video.mean"), card(temperature=None), None):
        found = decision_of(rules, other)
        assert (found.threshold, found.temperature, found.record) == (0.5, 1.0, None)
        assert found.warning
    assert decision_of(load_protocol(tiny.protocol), card()).threshold == 0.5
