"""The detector at work on the rows of files, several stills at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.models.card import Intended
from dfbench.preparation.extraction.rows import Row
from dfbench.scoring.weights import Chosen

Scored = tuple[list[Row], NDArray[np.float64], NDArray[np.float32]]
"""The rows of a file; of those with status ok P(fake), (N,), and logits, (N, C)."""


class Scorer:
    """A detector with its weights, loaded where it is to run.

    Args:
        chosen: detector, weights and crops.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        batch_size: crops a step.
        precision: ``fp32`` or ``bf16``.

    Attributes:
        weights: what identifies the weights: file, hash, card.
        device: what it runs on.

    Raises:
        ModelError: the weights do not fit their card, or a user's own detector does not run.
        SetupError: the device is not here.
    """

    def __init__(self, chosen: Chosen, device: str, batch_size: int, precision: str) -> None:
        from dfbench.evaluation.detector import Loaded, as_it_comes
        from dfbench.evaluation.pictures import put_on
        from dfbench.models.device import device_label, resolve_device
        from dfbench.models.weights import golden_scores, load_weights

        self._chosen, self._batch_size, self._precision = chosen, batch_size, precision
        self._where = resolve_device(device)
        if chosen.weights is None:
            loaded = as_it_comes(chosen.model, 2, chosen.size)
        else:
            network, card = load_weights(chosen.weights, Intended(model=chosen.model))
            loaded = Loaded(network, card.sha256, card)
            if chosen.size != card.size:
                golden_scores(network, chosen.size)  # one made for a single size says so before any file is opened
        self._model = put_on(loaded.model, self._where)
        self.device = device_label(self._where)
        self.weights: dict[str, Any] = {
            "file": chosen.weights.name if chosen.weights else None,
            "sha256": loaded.sha256,
            "card": loaded.card.model_dump(mode="json") if loaded.card else {},
        }

    def each(self, looks: Iterable[list[Row]]) -> Iterator[Scored]:
        """Score the rows of each file, in their order."""
        for lot in _lots(looks, self._batch_size):
            p_fake, logits = self._score([row for rows in lot for row in _aligned(rows)])
            start = 0
            for rows in lot:
                end = start + len(_aligned(rows))
                yield rows, p_fake[start:end], logits[start:end]
                start = end

    def _score(self, rows: list[Row]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        from dfbench.evaluation.pictures import score_pictures

        return score_pictures(
            self._model,
            [row[f"crop_{self._chosen.size}"]["bytes"] for row in rows],
            self._where,
            self._chosen.real_classes,
            batch_size=self._batch_size,
            precision=self._precision,
        )


def _aligned(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "ok"]


def _lots(looks: Iterable[list[Row]], crops: int) -> Iterator[list[list[Row]]]:
    """Files joined until they have so many crops, or are so many themselves."""
    lot: list[list[Row]] = []
    for rows in looks:
        lot.append(rows)
        if sum(len(_aligned(one)) for one in lot) >= crops or len(lot) >= crops:
            yield lot
            lot = []
    if lot:
        yield lot
