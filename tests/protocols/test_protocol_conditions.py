"""Conditions in protocol files: lists, suites, the short form, and refusal of what does not exist."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dfbench.degrade import read_conditions, suite
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol

PLAIN: dict[str, Any] = {
    "name": "p",
    "version": 1,
    "source": "tests",
    "summary": "one part",
    "data": [{"role": "test", "dataset": "mini", "split": "test"}],
}


def load(**changes: Any) -> Protocol:
    return Protocol.model_validate(PLAIN | changes)


def test_the_short_form_is_the_long_one() -> None:
    name = "suite:robustness/v1"
    assert load(conditions=name).hash == load(conditions={"test": [name]}).hash == load(conditions=[name]).hash
    assert load(conditions=["clean"]).hash == load().hash
    assert load(conditions=["JP60"]).hash != load().hash
    assert load(conditions={"train": "JP60"}).conditions.test == ("clean",)


def test_protocols_that_say_nothing_of_degradations_keep_their_hash() -> None:
    # Weights are told apart by it; the content of the file has not changed.
    assert "degradations" not in load_protocol("mini").model_dump_json()
    assert load_protocol("mini").hash == "b5e5362cc7819cba4ba9f5938054acc710c8b574a4266a873e7565f24cc8156f"
    flip = {"flip": 0.5}
    assert (
        load(training={"augmentation": flip}).hash == load(training={"augmentation": flip | {"degradations": []}}).hash
    )


@pytest.mark.parametrize(
    ("conditions", "match"),
    [
        (["jpg:q=60"], "did you mean 'jpeg'"),
        (["mean:k=4"], "an odd number from 3 to 99"),
        ({"train": "h264:crf=99"}, "out of range"),
        ("suite:robustness/v2", "did you mean 'robustness/v1'"),
        ([], "at least 1"),
        ({"train": "suite:robustness/v1"}, "unknown degradation"),
    ],
)
def test_what_does_not_exist_does_not_load(conditions: Any, match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        load(conditions=conditions)


def test_every_condition_counts_once_and_named_ones_as_named() -> None:
    asked = read_conditions(["clean", "suite:robustness/v1", "jpeg:q=60", "jpeg:q=61"])
    names = [a.condition.name for a in asked]
    assert names == ["clean", *(c.name for c in suite("robustness/v1")), "jpeg:q=61"]
    assert [a.condition.name for a in asked if not a.of_suite] == ["clean", "JP60", "jpeg:q=61"]


@pytest.mark.parametrize("name", ["robustness/v1", "robustness/mini"])
def test_the_robustness_protocols_train_clean_and_test_under_the_suite(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.conditions.train == "clean"
    assert len(read_conditions(protocol.conditions.test)) == len(suite("robustness/v1"))
    assert {part.subsets for part in protocol.data} == {("c23",)}
