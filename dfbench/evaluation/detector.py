"""The detector of a run with its weights, checked against where it is about to be used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfbench.config import weights_home
from dfbench.degrade import Condition, parse
from dfbench.errors import ModelError
from dfbench.io import data_sha256
from dfbench.models.build import build_seeded, check_size
from dfbench.models.card import Intended, WeightCard
from dfbench.models.registry import get_spec
from dfbench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from torch import nn


NO_WEIGHTS = "no weights were given: the detector was taken as its constructor made it"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A detector ready to score, what identifies its weights, and their card if they came from a file."""

    model: nn.Module
    sha256: str
    card: WeightCard | None


def default_weights(model: str, protocol: Protocol, condition: Condition | None = None) -> Path:
    """Where ``train`` keeps the weights of a detector for a protocol.

    Args:
        model: the detector.
        protocol: the protocol.
        condition: training condition in place of the protocol's; None: the protocol's.
    """
    name = get_spec(model).name
    if condition is not None and condition.name != parse(protocol.conditions.train).name:
        name += "-" + re.sub(r"[^A-Za-z0-9.]+", "-", condition.name)
    return weights_home() / protocol.name / f"{name}.safetensors"


def find_weights(model: str, protocol: Protocol, weights: str | Path | None) -> Path | None:
    """The weight file of a detector; None for a user's own model that brings its own weights.

    Raises:
        ModelError: there is none.
    """
    if weights is not None:
        return Path(weights)
    if get_spec(model).provenance == "user":
        return None
    place = default_weights(model, protocol)
    if not place.is_file():
        raise ModelError(
            f"there are no weights of {model!r} for protocol {protocol.name!r} in {place}",
            f"train them: dfbench train --model {model} --protocol {protocol.typed}; or give --weights FILE",
        )
    return place


def load_detector(model: str, protocol: Protocol, weights: str | Path | None, intended: Intended) -> Loaded:
    """The detector with its weights, checked against where it is about to be used.

    Raises:
        ModelError: see :func:`dfbench.models.weights.load_weights`; also a crop size that it can not take.
    """
    from dfbench.models.weights import load_weights

    spec = get_spec(model)
    check_size(spec, protocol.crops.size)
    place = find_weights(model, protocol, weights)
    if place is not None:
        network, card = load_weights(place, intended)
        return Loaded(network, card.sha256, card)
    return as_it_comes(model, protocol.num_classes, protocol.crops.size)


def as_it_comes(model: str, num_classes: int, size: int) -> Loaded:
    """A user's own detector with the weights that it brings itself.

    Raises:
        ModelError: it can not be built, or does not run on such crops.
    """
    network = build_seeded(model, "as it comes", 0, num_classes, size)
    tensors = sorted(network.state_dict().items())
    digest = data_sha256(name.encode() + t.detach().cpu().contiguous().numpy().tobytes() for name, t in tensors)
    return Loaded(network.eval(), digest, None)
