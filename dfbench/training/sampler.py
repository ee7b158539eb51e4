"""The samples of an epoch and their order: a pure function of labels, epoch and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
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
            of the clip it was made from, so that a batch differs by the forgery rather than by people and scenes. The
            reals of a clip are used in shuffled rounds that continue over epochs, and the fakes of a clip are spread
            evenly: an epoch with twice as many fakes of a clip as it has reals shows all of these. A fake whose clip
            has no real sample takes a real one of a clip without fakes, or any if there is none. ``reals``: the real
            samples alone, each of which gives two images: in shuffled rounds that continue over epochs.
        count: images of the epoch; default: the number of samples, for ``reals`` twice that of the real ones.
        bases: for every sample the real clip that it is or was made from; for ``paired``.

    Raises:
        DataError: no samples, ``balanced`` with one label only, or ``reals`` without real samples.
    """
    y = np.asarray(labels)
    if not len(y):
        raise DataError("there are no training samples", "check the manifest: dfbench inspect")
    total = count or len(y)
    if sampling == "natural":
        return _rounds(np.arange(len(y)), epoch * total, total, seed, "natural")
    parts = [np.flatnonzero(y == label) for label in (0, 1)]
    if sampling == "reals":
        if not len(parts[0]):
            raise DataError("there are no real training samples", "see: dfbench inspect")
        rows = max(1, count // 2) if count else len(parts[0])
        return _rounds(parts[0], epoch * rows, rows, seed, "real")
    if not all(map(len, parts)):
        raise DataError(
            "balanced sampling needs real and fake training samples; one label is missing", "see: dfbench inspect"
        )
    half = max(1, total // 2)
    if sampling == "paired":
        return _paired(y, bases or (), epoch * half, half, seed)
    chosen = [_rounds(part, epoch * half, half, seed, name) for part, name in zip(parts, ("real", "fake"), strict=True)]
    generator = np.random.default_rng(seed_from(f"epoch {epoch}", "training order", seed))
    # Real and fake alternate before a local shuffle would matter: every batch of even size is balanced.
    pairs = np.stack([generator.permutation(part) for part in chosen], axis=1)
    return pairs.reshape(-1)


def _paired(y: NDArray[Any], bases: Sequence[str], start: int, count: int, seed: int) -> Indices:
    """Return ``count`` pairs (real, fake), one after the other, from the pair ``start`` of an endless sequence.

    A round of the sequence holds every fake once; the fakes of a base are spread evenly over it. The fakes of a base
    take its reals in shuffled rounds, which continue over epochs. Nothing is stored between epochs: the number of a
    fake among those of its base follows from its round, and random numbers are hashes of seed, round and sample.
    """
    codes = np.asarray(pa.array(bases, pa.string()).dictionary_encode().indices, np.int64)
    reals, fakes = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    without_reals = len(codes)  # stands for all bases that have no real sample
    fake_codes, real_codes = codes[fakes], codes[reals]
    fake_codes = np.where(np.isin(fake_codes, real_codes), fake_codes, without_reals)
    unused = reals[~np.isin(real_codes, fake_codes)]
    # The reals that the fakes of a base choose from, base by base.
    spare = unused if len(unused) else reals
    pool = np.concatenate([reals, spare])
    pool_codes = np.concatenate([real_codes, np.full(len(spare), without_reals)])
    pool = pool[np.argsort(pool_codes, kind="stable")]
    sizes = np.bincount(pool_codes, minlength=without_reals + 1)
    starts = np.cumsum(sizes) - sizes

    rounds = range(start // len(fakes), (start + count - 1) // len(fakes) + 1)
    spread = [_spread_round(fake_codes, number, seed) for number in rounds]
    window = slice(start - rounds[0] * len(fakes), start - rounds[0] * len(fakes) + count)
    places = np.concatenate([order for order, _ in spread])[window]
    turns = np.concatenate([turn for _, turn in spread])[window]
    base = fake_codes[places]
    chosen = _shuffled_entries(pool, starts[base], sizes[base], turns, seed)
    return np.stack([chosen, fakes[places]], axis=1).reshape(-1)


def _spread_round(codes: Indices, number: int, seed: int) -> tuple[Indices, Indices]:
    """Return a shuffled order in which equal codes are spread evenly, and the turn of each entry within its code.

    Args:
        codes: (N,), at least 0.
        number: of the round.
        seed: the training seed.

    Returns:
        The order, (N,), and for each of its entries how many of the same code came before it, all rounds included.
    """
    every = np.arange(len(codes))
    by_code = np.lexsort((_hashes(every, number, seed, "fake"), codes))
    sizes = np.bincount(codes)
    ranks = np.empty_like(every)
    ranks[by_code] = every - np.repeat(np.cumsum(sizes) - sizes, sizes)
    counts = sizes[codes]
    # Fractions in [0, 1): the k-th of n entries of a code lies at random in the k-th of n equal parts of the round.
    fractions = _hashes(every, number, seed, "place").astype(np.float64) / 2.0**64
    order = np.argsort((ranks + fractions) / counts, kind="stable")
    return order, (number * counts + ranks)[order]


def _shuffled_entries(pool: Indices, starts: Indices, sizes: Indices, turns: Indices, seed: int) -> Indices:
    """Return entries of parts of a pool: entry ``turn`` of the endless sequence of shuffled rounds over each part.

    Args:
        pool: (P,) values.
        starts: (N,), where the part begins in the pool.
        sizes: (N,), number of its values.
        turns: (N,), entry of its sequence.
        seed: the training seed.
    """
    number = turns // sizes
    # One group per part and round that occurs: its values are put into the order of their hashes.
    keys, first, group = np.unique(starts * (number.max() + 1) + number, return_index=True, return_inverse=True)
    lengths = sizes[first]
    begins = np.cumsum(lengths) - lengths
    members = np.repeat(np.arange(len(keys)), lengths)
    values = pool[np.arange(int(lengths.sum())) + np.repeat(starts[first] - begins, lengths)]
    order = np.lexsort((_hashes(values, number[first][members], seed, "partner"), members))
    shuffled: Indices = values[order]
    return shuffled[begins[group.reshape(-1)] + turns % sizes]


def _hashes(values: Indices, number: Indices | int, seed: int, purpose: str) -> NDArray[np.uint64]:
    """Return a random number of 64 bits per value, a function of value, round, seed and purpose (SplitMix64)."""
    start = np.asarray(number, np.uint64) + np.uint64(seed_from(purpose, "training pairs", seed) >> 1)
    return _mix(_mix(np.atleast_1d(start)) + values.astype(np.uint64))


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _rounds(indices: Indices, start: int, count: int, seed: int, name: str) -> Indices:
    """Return ``count`` entries, beginning at ``start``, of an endless sequence of shuffled rounds over ``indices``."""
    size = len(indices)
    found: list[Indices] = []
    for number in range(start // size, (start + count - 1) // size + 1):
        generator = np.random.default_rng(seed_from(f"{name} round {number}", "training order", seed))
        found.append(generator.permutation(indices))
    offset = start - (start // size) * size
    return np.concatenate(found)[offset : offset + count]
