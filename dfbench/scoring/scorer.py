"""Run the detector on the rows of files, several files per batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.models.card import IntendedUse
from dfbench.models.source import model_source
from dfbench.preparation.extraction.rows import Row
from dfbench.scoring.resolve import ResolvedDetector

Extracted = tuple[int, list[Row]]
"""Number and rows of a file."""

Scored = tuple[list[Row], NDArray[np.float64], NDArray[np.float32]]
"""The rows of a file, and P(fake), (N,), and logits, (N, C), of its rows with status ok."""


class Scorer:
    """A detector with its weights, on its device.

    Args:
        detector: detector, weights and crops.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: crops per step.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Attributes:
        weights: file, hash and card of the weights.
        device: name of the device.

    Raises:
        ModelError: the weights do not match their card, or a custom detector fails.
        SetupError: the device is not available.
    """

    def __init__(self, detector: ResolvedDetector, device: str, batch_size: int, precision: str) -> None:
        from dfbench.evaluation.detector import LoadedDetector, load_detector
        from dfbench.evaluation.inference import move_to_device
        from dfbench.models.device import device_label, resolve_device
        from dfbench.models.weights import golden_scores, load_weights

        self._detector, self._batch_size, self._precision = detector, batch_size, precision
        self._device = resolve_device(device)
        if detector.weights is None:
            loaded = load_detector(model_source(detector.model), 2, detector.size)
        else:
            network, card = load_weights(detector.weights, IntendedUse(model=detector.model))
            loaded = LoadedDetector(network, card.sha256, card)
            if detector.size != card.size:  # a network for a single size fails here, before any file is opened
                golden_scores(network, detector.size)
        self._source = model_source(detector.model)
        self._seen: list[NDArray[np.float32]] = []
        self._model = move_to_device(loaded.network, self._device)
        self.device = device_label(self._device)
        self.weights: dict[str, Any] = {
            "file": detector.weights.name if detector.weights else None,
            "sha256": loaded.sha256,
            "card": loaded.card.model_dump(mode="json") if loaded.card else {},
        }

    def score_all(self, extracted: Iterable[Extracted]) -> Iterator[tuple[int, Scored]]:
        """Yield number and scores of each file, in the order of ``extracted``, the numbers and rows of files."""
        for batch in _batches(extracted, self._batch_size):
            p_fake, logits = self._score([row for _, rows in batch for row in _aligned(rows)])
            if len(logits):
                self._seen.append(logits)
            start = 0
            for number, rows in batch:
                end = start + len(_aligned(rows))
                yield number, (rows, p_fake[start:end], logits[start:end])
                start = end

    @property
    def doubt(self) -> str:
        """Why the outputs so far look like probabilities that are used as logits; empty if they do not."""
        from dfbench.evaluation.detector import doubt_of

        logits = np.concatenate(self._seen) if self._seen else np.zeros((0, 1), np.float32)
        return doubt_of(self._source, self._model, logits * self._detector.temperature)

    def _score(self, rows: list[Row]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        from dfbench.evaluation.inference import score_encoded

        return score_encoded(
            self._model,
            [row[f"crop_{self._detector.size}"]["bytes"] for row in rows],
            self._device,
            self._detector.real_classes,
            batch_size=self._batch_size,
            precision=self._precision,
            temperature=self._detector.temperature,
        )


def _aligned(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "ok"]


def _batches(extracted: Iterable[Extracted], size: int) -> Iterator[list[Extracted]]:
    """Group files until they have ``size`` crops, or are ``size`` files."""
    batch: list[Extracted] = []
    for one in extracted:
        batch.append(one)
        if sum(len(_aligned(rows)) for _, rows in batch) >= size or len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
