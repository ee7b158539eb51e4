"""Which images are explained: chosen by a hash of what they show, the same in every manipulation where possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dfbench.evaluation.dataset import RoleData
from dfbench.schema.ids import parse_sample_id, seed_from

REAL = "real"
"""The manipulation of real clips."""


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Images of one role.

    Attributes:
        data: the samples of the role.
        rows: (N,) rows of ``data.ok_table``.
    """

    data: RoleData
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> NDArray[np.str_]:
        """Return a text column of the manifests, (N,); null becomes an empty text."""
        values = self.data.ok_table[name].take(self.rows).to_pylist()
        return np.array([value or "" for value in values], dtype=np.str_)

    @cached_property
    def sample_ids(self) -> NDArray[np.str_]:
        """Ids of the samples, (N,)."""
        return self.column("sample_id")

    @cached_property
    def manipulations(self) -> NDArray[np.str_]:
        """Manipulation of each, (N,); ``real`` for reals."""
        return self.column("manipulation")

    @cached_property
    def groups(self) -> NDArray[np.str_]:
        """Scene group of each, (N,)."""
        return self.column("scene_group")

    @cached_property
    def fakes(self) -> NDArray[np.bool_]:
        """Which of them are fakes, (N,)."""
        return np.asarray(self.data.ok_table["label"].to_numpy()[self.rows] == 1)

    def where(self, mask: NDArray[np.bool_]) -> ChosenImages:
        """Return some of the images."""
        return replace(self, rows=self.rows[mask])


def choose_images(
    data: RoleData, fakes: int, reals: int, seed: int, among: NDArray[np.bool_] | None = None
) -> ChosenImages:
    """Choose images of every manipulation, from as many clips as possible.

    Every real clip and its fakes count as one base. One image of each base is taken in the order of a hash, then a
    second one, and so on; within a base the order is that of a hash of frame and face. Neither depends on the
    manipulation, so that the images of the manipulations show the same frames where all of them have those.

    Args:
        data: the samples of a role.
        fakes: number of images of each manipulation; fewer where there are fewer.
        reals: number of images of reals.
        seed: another seed gives other images.
        among: (rows of ``data.ok_table``,) which of them may be chosen; None: all.

    Returns:
        The images, ``real`` first and then the manipulations by name, each in the order of the choice.
    """
    rows = np.arange(len(data.ok)) if among is None else np.flatnonzero(among)
    manipulation = np.array(data.ok_table["manipulation"].to_pylist(), dtype=np.str_)
    bases, ids = data.bases(), data.sample_ids
    names = sorted(set(manipulation[rows].tolist()), key=lambda name: (name != REAL, name))
    chosen: list[int] = []
    for name in names:
        of_name = [int(row) for row in rows[manipulation[rows] == name]]
        order = _spread([bases[row] for row in of_name], [ids[row] for row in of_name], seed)
        chosen += [of_name[place] for place in order[: reals if name == REAL else fakes]]
    return ChosenImages(data, np.array(chosen, np.int64))


def halves(groups: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """Divide scene groups into two halves by a hash of their names.

    Args:
        groups: (N,) scene group of each sample.
        seed: another seed gives other halves.

    Returns:
        (N,) whether a sample is in the first half, which has the odd group.
    """
    names = sorted(set(groups), key=lambda name: (seed_from(name, "half of the scene groups", seed), name))
    first = set(names[: (len(names) + 1) // 2])
    return np.array([group in first for group in groups], dtype=np.bool_)


def _spread(bases: Sequence[str], ids: Sequence[str], seed: int) -> list[int]:
    """Return the order of the samples in which every base comes once before any comes twice."""

    def hash_of(base: str, sample: str) -> int:
        _, frame, face = parse_sample_id(sample)
        return seed_from(f"{base}#{frame}.{face}", "explained image", seed)

    by_hash = sorted(range(len(ids)), key=lambda i: (hash_of(bases[i], ids[i]), ids[i]))
    taken: dict[str, int] = {}
    keys: dict[int, tuple[int, int, str]] = {}
    for i in by_hash:
        turn = taken.get(bases[i], 0)
        taken[bases[i]] = turn + 1
        keys[i] = (turn, seed_from(bases[i], "explained base", seed), ids[i])
    return sorted(keys, key=lambda i: keys[i])
