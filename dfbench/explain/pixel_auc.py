"""How well a map finds the manipulated pixels: its AUC against the mask of a fake, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.degrade import Condition
from dfbench.evaluation.dataset import RoleData
from dfbench.explain.record import PixelAuc
from dfbench.explain.selection import ChosenImages
from dfbench.manifest.crops import StoredCrops
from dfbench.manifest.shard_source import shard_source
from dfbench.media.images import decode_crop
from dfbench.metrics import IntervalEstimate, auc
from dfbench.metrics.definitions import FEWEST_GROUPS
from dfbench.metrics.metric_intervals import SMALLEST, influence_spread
from dfbench.metrics.t_intervals import t_interval

FAM, CAM, UNTRAINED, CENTRE = "fam", "cam", "fam untrained", "centre"
"""Kinds of maps: of the detector, of its final features, of the untrained network, and nearness to the middle."""
NO_MASKS = "no masks: maps are not compared with manipulated pixels (prepare --masks, where a data set has mask videos)"
MASKED = 128
"""Mean RGB value of a mask's pixel from which on it is manipulated."""
_LEVEL = 0.95
_METHOD = "clustered-t"


def pixel_auc(pixels: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Compute the AUC of a map: how often a manipulated pixel has a larger value than another one, ties counting half.

    Args:
        pixels: (H, W) the map.
        mask: (H, W) whether a pixel is manipulated.

    Returns:
        The AUC; NaN where all pixels are manipulated, or none is.

    >>> pixel_auc(np.array([[0.1, 0.9], [0.2, 0.3]]), np.array([[False, True], [False, False]]))
    1.0
    """
    if mask.all() or not mask.any():
        return float("nan")
    values = np.asarray(pixels, np.float64).ravel()
    low, high = values.min(), values.max()
    return auc(mask.ravel(), (values - low) / (high - low) if high > low else np.zeros(len(values)))


def centre_map(size: int) -> NDArray[np.float64]:
    """Return a map that depends on no image, larger the nearer the centre: what masks in the middle of crops give away.

    >>> centre_map(2).shape
    (2, 2)
    """
    at = np.arange(size) - (size - 1) / 2
    return np.asarray(-np.hypot(at[:, None], at[None]), np.float64)


class Masks:
    """The masks of a role's samples, decoded when they are asked for.

    Args:
        data: the samples.
    """

    def __init__(self, data: RoleData) -> None:
        self._size = data.protocol.crops.size
        self._data = data

    @cached_property
    def _places(self) -> dict[int, tuple[StoredCrops, int]]:
        """Row of ``data.ok_table`` -> the masks of its manifest, and its place among them."""
        column = f"mask_{self._size}"
        found: dict[int, tuple[StoredCrops, int]] = {}
        for manifest, ok, rows in self._data.ok_parts:
            if column in manifest.columns:
                known = ok.select([f"sha256_{column}"])[0].is_valid().to_numpy(zero_copy_only=False)
                with_mask = np.flatnonzero(known)
                stored = StoredCrops(shard_source(manifest.path), manifest.info.shards, ok.rows[with_mask], column)
                found |= {row: (stored, place) for place, row in enumerate(rows[with_mask].tolist())}
        return found

    def __contains__(self, row: int) -> bool:
        """Whether a row of ``data.ok_table`` has a mask."""
        return row in self._places

    def of(self, row: int) -> NDArray[np.bool_] | None:
        """Return the mask of a row of ``data.ok_table``, (S, S); None if it has none.

        Raises:
            DataError: it cannot be read, or has another size.
        """
        if row not in self._places:
            return None
        stored, place = self._places[row]
        return np.asarray(decode_crop(stored[place], self._size).mean(axis=2) >= MASKED)


def mean_interval(values: ArrayLike, groups: Sequence[str] | NDArray[np.str_]) -> IntervalEstimate:
    """Compute the mean of values in [0,1] with its 95 % interval over groups.

    The variance is that of the sums of deviations over whole groups, the interval that of
    :mod:`dfbench.metrics.t_intervals`.

    Args:
        values: (N,) numbers in [0,1], at least one.
        groups: (N,) scene group of each.
    """
    x = np.asarray(values, np.float64)
    units = np.unique(np.asarray(groups), return_inverse=True)[1]
    value, n_groups = float(x.mean()), int(units.max()) + 1

    def without(note: str) -> IntervalEstimate:
        return IntervalEstimate(value, None, None, len(x), n_groups, note)

    if n_groups < FEWEST_GROUPS:
        return without(f"{n_groups} scene groups; at least {FEWEST_GROUPS} are needed")
    spread = influence_spread((x - value) / len(x), units)
    if spread.variance < SMALLEST or not 0 < value < 1:
        return without("every scene group gives the same value, from which no interval can be computed")
    low, high = t_interval(np.array(value), np.array(spread.variance), np.array(spread.df), (0.0, 1.0), _LEVEL)
    return IntervalEstimate(value, float(low), float(high), len(x), n_groups, None, _METHOD)


def pixel_auc_records(
    images: ChosenImages, found: Mapping[str, Mapping[int, float]], condition: Condition
) -> tuple[tuple[PixelAuc, ...], tuple[str, ...]]:
    """Average the AUCs of every kind of map, over all fakes and over those of every manipulation.

    Args:
        images: the images.
        found: kind of map -> place of an image -> its AUC, NaN where the mask has none.
        condition: of the crops.

    Returns:
        The means with their intervals, and notes on what is missing.
    """
    if not found:
        return (), (NO_MASKS,)
    notes = []
    masked = len(found[FAM])
    fakes = int(images.fakes.sum())
    if masked < fakes:
        notes.append(f"{fakes - masked} of {fakes} fakes have no mask")
    plain = sum(np.isnan(value) for value in found[FAM].values())
    if plain:
        notes.append(f"{plain} masks are empty or cover the crop, and have no AUC")
    if not condition.is_clean:
        notes.append(f"masks are those of clean crops, maps those of crops under {condition.name}")
    values = []
    for kind in (k for k in (FAM, CAM, UNTRAINED, CENTRE) if k in found):
        known = {place: value for place, value in found[kind].items() if not np.isnan(value)}
        names = sorted({str(images.manipulations[place]) for place in known})
        for name in ("all", *(names if len(names) > 1 else ())):
            places = [p for p in known if name in ("all", images.manipulations[p])]
            if not places:
                continue
            estimate = mean_interval([known[p] for p in places], images.groups[places])
            values.append(
                PixelAuc(
                    name=kind,
                    manipulation=name,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    n=estimate.n,
                    n_groups=estimate.n_groups,
                    interval_note=estimate.note,
                )
            )
    return tuple(values), tuple(notes)
