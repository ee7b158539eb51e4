"""What a weight card says of the training method, for rows and labels of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfbench.models.registry import get_spec, model_names
from dfbench.models.spec import SUPERVISED_METHOD


def own_method(model: str) -> str:
    """Return the training method of a detector to which none is added."""
    return get_spec(model).training_method if model in model_names() else SUPERVISED_METHOD


def method_of(card: Mapping[str, Any]) -> str:
    """Return the training method of a weight card."""
    return str(card.get("training_method", SUPERVISED_METHOD))


def changed_method_options(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the training method of a weight card that distinguish its runs from others."""
    prefix = f"{method_of(card)}."
    changed: dict[str, Any] = card.get("overrides") or {}
    return {name.removeprefix(prefix): value for name, value in changed.items() if name.startswith(prefix)}


def described(name: str, options: Mapping[str, Any]) -> str:
    """Describe a detector or a training method with its options.

    >>> described("grnet", {"fusion": "sum"})
    'grnet fusion=sum'
    """
    return " ".join([name, *(f"{k}={v}" for k, v in sorted(options.items()))])


def described_method(card: Mapping[str, Any]) -> str:
    """Describe the training method of a weight card with its changed options.

    >>> described_method({"training_method": "rfm", "overrides": {"epochs": 1, "rfm.blocks": 2}})
    'rfm blocks=2'
    """
    return described(method_of(card), changed_method_options(card))


def described_detector(model: str, card: Mapping[str, Any]) -> str:
    """Describe a detector with the training method that was added to it, and changed options of the method.

    >>> described_detector("xception", {"training_method": "rfm", "overrides": {"rfm.blocks": 2}})
    'xception + rfm blocks=2'
    >>> described_detector("rfm", {"training_method": "rfm"})
    'rfm'
    """
    method, options = method_of(card), changed_method_options(card)
    added = [f"+ {method}"] if method not in (SUPERVISED_METHOD, "unknown", own_method(model)) else []
    return described(" ".join([model, *added]), options)
