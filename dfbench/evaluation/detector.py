"""The detector of a run: which weights it uses, and the network loaded with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dfbench.config import weights_home
from dfbench.degrade import Condition, parse
from dfbench.errors import ModelError
from dfbench.io import data_sha256
from dfbench.models.build import build_seeded, check_size, state_sha256
from dfbench.models.card import WeightCard
from dfbench.models.output_kind import output_doubt
from dfbench.models.source import BuiltNetwork, ModelSource
from dfbench.models.weights import card_options, restore_network
from dfbench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from torch import nn


NO_WEIGHTS = "no weights were given: the detector was evaluated with the weights from its constructor"


@dataclass(frozen=True, eq=False)
class LoadedDetector:
    """A detector ready to score.

    Attributes:
        network: on the CPU, in evaluation mode.
        sha256: identifies its weights.
        card: of the weight file; None for weights from the constructor.
    """

    network: nn.Module
    sha256: str
    card: WeightCard | None


def default_weights(
    model: str, protocol: Protocol, condition: Condition | None = None, preset: str = "", method: str = ""
) -> Path:
    """Return the path where ``train`` writes the weights of a detector for a protocol.

    Args:
        model: name of the detector.
        protocol: the protocol.
        condition: training condition in place of the protocol's; None: the protocol's.
        preset: preset of the detector; empty: none.
        method: training method that is added to the detector; empty: its own.
    """
    name = "-".join(filter(None, (model, preset, method)))
    if condition is not None and condition.name != parse(protocol.conditions.train).name:
        name += "-" + re.sub(r"[^A-Za-z0-9.]+", "-", condition.name)
    return weights_home() / protocol.name / f"{name}.safetensors"


def find_weights(source: ModelSource, protocol: Protocol, given: Path | None, preset: str = "") -> Path | None:
    """Return the weight file of a detector; None where there is none and none is needed.

    A custom detector may be evaluated with the weights from its constructor; a registered one is trained first where
    the protocol is ``mini``.

    Raises:
        ModelError: the given file does not exist, or weights of a registered detector are missing.
    """
    chosen = f" --preset {preset}" if preset else ""
    train = f"train them: dfbench train --model {source.reference}{chosen} --protocol {protocol.typed}"
    if given is not None:
        if not given.is_file():
            raise ModelError(f"there are no weights at {given}", train)
        return given
    if source.is_custom:
        return None
    path = default_weights(source.name, protocol, preset=preset)
    if path.is_file():
        return path
    if protocol.name == "mini":
        return None
    raise ModelError(
        f"there are no weights of {source.reference!r} for protocol {protocol.name!r} in {path}",
        f"{train}; or give --weights FILE",
    )


def build_for_evaluation(
    source: ModelSource, num_classes: int, size: int, card: WeightCard | None, options: Mapping[str, Any]
) -> nn.Module:
    """Build a detector before its weights are loaded.

    Args:
        source: the detector.
        num_classes: classes of the task.
        size: crop size in pixels.
        card: of its weights; None: it is evaluated with the weights from its constructor, which are the same on
            each call.
        options: options of the detector that replace those of the card.

    Raises:
        ModelError: it cannot be built, or does not run on such crops.
        UsageError: an option that it does not take.
    """
    if card is None:
        return build_seeded(source, "as it comes", 0, num_classes, size, options)
    return build_seeded(source, "before loading", 0, card.num_classes, size, card_options(source.spec, card, options))


def load_detector(
    source: ModelSource,
    num_classes: int,
    size: int,
    weights: Path | None = None,
    card: WeightCard | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    built: BuiltNetwork | None = None,
) -> LoadedDetector:
    """Build a detector and load its weights.

    Args:
        source: the detector.
        num_classes: classes of the task.
        size: crop size in pixels.
        weights: a weight file that :func:`dfbench.models.weights.check_weights` has checked; None: a custom detector
            with the weights from its constructor.
        card: of the weight file.
        options: options of the detector that replace those of the card.
        built: the network, where it has already been built.

    Raises:
        ModelError: it cannot be built, does not run on such crops, or the weights do not fit.
    """
    network = built.take() if built is not None else None
    if weights is not None and card is not None:
        loaded = restore_network(source, weights, card, options=options, network=network)
        return LoadedDetector(loaded, card.sha256, card)
    if network is None:
        check_size(source.spec, size)
        network = build_for_evaluation(source, num_classes, size, None, options or {})
    return LoadedDetector(network.eval(), state_sha256(network), None)


def module_sha256(source: ModelSource, state: str) -> str:
    """Identify an ``nn.Module`` that was passed as an object: SHA-256 of its class name and its state's hash."""
    return data_sha256(f"{source.spec.target} {state}")


def doubt_of(source: ModelSource, network: nn.Module, logits: NDArray[np.floating]) -> str:
    """Say why the outputs of a detector look like probabilities that are used as logits; empty if they do not.

    Detectors of dfbench return logits, and those of the user may declare that they return probabilities.

    Args:
        source: the detector.
        network: the network.
        logits: (N, C) its logits before any temperature.
    """
    if source.spec.target.startswith("reference_models.") or getattr(network, "probabilities", False):
        return ""
    return output_doubt(logits, getattr(network, "activation", ""))
