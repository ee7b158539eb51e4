"""Which technique made a fake, by the cosine similarity of its map to the mean map of every technique.

Wang and Deng (CVPR 2021) compare the forgery attention map of a new fake with the mean maps of 100 images per
technique. Mean maps resemble each other, with cosines close to 1, since every detector looks at the face; what
distinguishes them is left when the grand mean, the mean of the mean maps, is subtracted from means and maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError

UNDECIDED = -1
"""Number of the technique of a map that is zero, or equal to the grand mean: no cosine is defined."""
_CHUNK = 256  # maps in float64 at once

Maps = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class TechniqueMeans:
    """The mean maps of techniques.

    Attributes:
        techniques: names of the K techniques.
        means: (K, D) float64, means over maps of unit length.
        centred: whether the grand mean is subtracted before cosines are taken.
    """

    techniques: tuple[str, ...]
    means: NDArray[np.float64]
    centred: bool = True

    @classmethod
    def of(cls, maps: Maps, techniques: Sequence[str] | NDArray[np.str_], *, centred: bool = True) -> TechniqueMeans:
        """Compute the mean map of every technique.

        Args:
            maps: (N, ...) maps; each is divided by its length, so that every image counts the same.
            techniques: (N,) technique of each.
            centred: whether the grand mean is subtracted.

        Raises:
            DataError: no maps, or another number of techniques.
        """
        if not len(maps) or len(maps) != len(techniques):
            raise DataError(f"{len(maps)} maps and {len(techniques)} techniques", "give one technique for each map")
        names = tuple(sorted(set(np.asarray(techniques).tolist())))
        sums = np.zeros((len(names), int(np.prod(maps.shape[1:]))), np.float64)
        number = {name: i for i, name in enumerate(names)}
        numbers = np.array([number[name] for name in np.asarray(techniques).tolist()])
        for start, units in _unit_rows(maps):
            np.add.at(sums, numbers[start : start + len(units)], units)
        return cls(names, sums / np.bincount(numbers)[:, None], centred)

    @property
    def grand_mean(self) -> NDArray[np.float64]:
        """Mean of the mean maps, (D,): every technique counts the same."""
        return np.asarray(self.means.mean(axis=0), np.float64)

    def similarities(self, maps: Maps) -> NDArray[np.float64]:
        """Return the cosine similarity of maps to every mean, (N, K); NaN where none is defined."""
        origin = self.grand_mean if self.centred else np.zeros(self.means.shape[1])
        axes = self.means - origin
        found = [_cosines(units - origin * units.any(axis=1, keepdims=True), axes) for _, units in _unit_rows(maps)]
        return np.concatenate(found) if found else np.zeros((0, len(self.means)))

    def classify(self, maps: Maps) -> NDArray[np.int64]:
        """Return the number of the most similar technique for each map, (N,), or :data:`UNDECIDED`."""
        similarity = self.similarities(maps)
        undecided = np.isnan(similarity).any(axis=1)
        best = np.argmax(np.where(np.isnan(similarity), -np.inf, similarity), axis=1)
        return np.where(undecided, UNDECIDED, best).astype(np.int64)

    def cosines(self) -> NDArray[np.float64]:
        """Return the cosines between the mean maps themselves, as they are, (K, K)."""
        return _cosines(self.means, self.means)


def _unit_rows(maps: Maps) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the maps in parts as rows of unit length, float64, with the number of the first; zero maps stay zero."""
    for start in range(0, len(maps), _CHUNK):
        rows = np.asarray(maps[start : start + _CHUNK], np.float64)
        rows = rows.reshape(len(rows), -1)
        # The largest value first: squares of tiny gradients would become 0.
        rows = rows / _or_one(np.abs(rows).max(axis=1, keepdims=True))
        yield start, rows / _or_one(np.linalg.norm(rows, axis=1, keepdims=True))


def _or_one(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(lengths > 0, lengths, 1.0)


def _cosines(rows: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(axes, axis=1)[None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(lengths > 0, rows @ axes.T / lengths, np.nan), np.float64)
