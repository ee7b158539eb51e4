"""The samples of an epoch and their order: a pure function of labels, epoch and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.schema.ids import seed_from

Indices = NDArray[np.int64]


def epoch_order(
    labels: Sequence[int],
    epoch: int,
    seed: int,
    sampling: str,
    count: int | None = None,
    bases: Sequence[str] | None = None,
) -> Indices:
    """Return the indices of the samples of one epoch, in order.

    Args:
        labels: (N,) 0 real, 1 fake.
        epoch: counted from 0.
        seed: the training seed.
        sampling: ``natural``: every sample once, shuffled. ``balanced``: as many reals as fakes; the samples of
            a label are used in shuffled rounds that continue over epochs, so that none is used twice before every
            other one of its label was used once. ``paired``: balanced, and every fake is accompanied by a real sample
            of the clip it was made from, so that a batch differs by the forgery rather than by people and scenes.
        count: samples of the epoch; default: the number of samples.
        bases: for every sample the real clip that it is or was made from; for ``paired``.

    Raises:
        DataError: no samples, or ``balanced`` with one label only.
    """
    y = np.asarray(labels)
    if not len(y):
        raise DataError("there are no training samples", "check the manifest: dfbench inspect")
    total = count or len(y)
    if sampling == "natural":
        return _rounds(np.arange(len(y)), epoch * total, total, seed, "natural")
    parts = [np.flatnonzero(y == label) for label in (0, 1)]
    if not all(map(len, parts)):
        raise DataError(
            "balanced sampling needs real and fake training samples; one label is missing", "see: dfbench inspect"
        )
    half = max(1, total // 2)
    if sampling == "paired":
        fakes = _rounds(parts[1], epoch * half, half, seed, "fake")
        return np.stack([_partners(fakes, parts[0], bases or (), epoch, seed), fakes], axis=1).reshape(-1)
    chosen = [_rounds(part, epoch * half, half, seed, name) for part, name in zip(parts, ("real", "fake"), strict=True)]
    generator = np.random.default_rng(seed_from(f"epoch {epoch}", "training order", seed))
    # Real and fake alternate before a local shuffle would matter: every batch of even size is balanced.
    pairs = np.stack([generator.permutation(part) for part in chosen], axis=1)
    return pairs.reshape(-1)


def _partners(fakes: Indices, reals: Indices, bases: Sequence[str], epoch: int, seed: int) -> Indices:
    """Return for every fake a real sample of its base clip, or any real sample if the base clip has none."""
    generator = np.random.default_rng(seed_from(f"epoch {epoch}", "training partners", seed))
    by_base: dict[str, list[int]] = {}
    for place in reals.tolist():
        by_base.setdefault(bases[place], []).append(place)
    return np.array([generator.choice(by_base.get(bases[fake]) or reals) for fake in fakes.tolist()], np.int64)


def _rounds(indices: Indices, start: int, count: int, seed: int, name: str) -> Indices:
    """Return ``count`` entries, beginning at ``start``, of an endless sequence of shuffled rounds over ``indices``."""
    size = len(indices)
    found: list[Indices] = []
    for number in range(start // size, (start + count - 1) // size + 1):
        generator = np.random.default_rng(seed_from(f"{name} round {number}", "training order", seed))
        found.append(generator.permutation(indices))
    offset = start - (start // size) * size
    return np.concatenate(found)[offset : offset + count]


def batches(order: Indices, size: int, smallest: int = 2) -> list[list[int]]:
    """Cut an order into batches; a last one below ``smallest`` joins the previous (batch norm needs two per device)."""
    cut = [order[i : i + size].tolist() for i in range(0, len(order), size)]
    if len(cut) > 1 and len(cut[-1]) < smallest:
        cut[-2:] = [cut[-2] + cut[-1]]
    return cut


def device_part(batch: list[int], rank: int, devices: int) -> list[int]:
    """Return a device's part of a batch: consecutive samples; sizes differ by one at most.

    >>> [device_part([1, 2, 3, 4, 5, 6], rank, 2) for rank in range(2)]
    [[1, 2, 3], [4, 5, 6]]
    """
    return [int(row) for row in np.array_split(batch, devices)[rank]]
