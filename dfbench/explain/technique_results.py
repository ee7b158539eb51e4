"""Accuracies of naming the technique by several kinds of maps, with intervals, on the same fakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.explain.record import TechniqueAccuracy, TechniqueDifference, Techniques
from dfbench.explain.selection import ChosenImages
from dfbench.explain.technique import UNDECIDED, Maps, TechniqueMeans
from dfbench.metrics import bootstrap_interval, confusion_matrix, paired_difference

CROP = "crop"
"""Name of the crops themselves as maps."""


@dataclass(frozen=True, eq=False)
class NamedTechniques:
    """The outcome of naming techniques.

    Attributes:
        record: numbers; None where there are fewer than two techniques.
        means: kind of map -> mean maps of the techniques.
        named: (N,) technique that the first kind of map names for each classified image; empty where it is not a fake
            of a technique with a mean, or where there is no decision.
        notes: what is missing or limits the numbers.
    """

    record: Techniques | None
    means: Mapping[str, TechniqueMeans]
    named: NDArray[np.str_]
    notes: tuple[str, ...]


def name_techniques(
    averaged: ChosenImages,
    classified: ChosenImages,
    maps: Mapping[str, tuple[Maps, Maps]],
    *,
    centred: bool = True,
    seed: int = 0,
) -> NamedTechniques:
    """Name the technique of fakes by their similarity to the mean maps.

    Args:
        averaged: images of the means; reals are ignored.
        classified: images to be named; reals, and fakes of techniques without a mean, are ignored.
        maps: kind -> maps of the averaged and of the classified images, the detector's own first.
        centred: subtract the grand mean.
        seed: of the bootstrap.
    """
    of_mean, techniques = averaged.fakes, averaged.manipulations[averaged.fakes]
    known = sorted(set(techniques.tolist()))
    notes = _missing(known, classified)
    empty = np.full(len(classified), "", dtype=np.str_)
    means = {}
    if known:
        means = {
            kind: TechniqueMeans.of(first[of_mean], techniques, centred=centred) for kind, (first, _) in maps.items()
        }
    used = classified.fakes & np.isin(classified.manipulations, known)
    if len(known) < 2 or not used.any():
        why = f"validation data have fakes of {len(known)} manipulation{'' if len(known) == 1 else 's'}"
        if len(known) >= 2:
            why = "no fake that was to be named is of a manipulation with a mean map"
        return NamedTechniques(None, means, empty, (*notes, f"techniques are not named: {why}"))
    truth = np.searchsorted(known, classified.manipulations[used])
    groups = classified.groups[used]
    called = {kind: means[kind].classify(second[used]) for kind, (_, second) in maps.items()}
    right = {kind: (names == truth).astype(np.float64) for kind, names in called.items()}
    first = next(iter(maps))
    named = np.array([*known, ""])[called[first]]  # the last name for UNDECIDED
    every = empty.astype(named.dtype)
    every[used] = named
    counts = Counter(classified.manipulations[used].tolist())
    record = Techniques(
        names=tuple(known),
        centred=centred,
        mean_images=dict(sorted(Counter(techniques.tolist()).items())),
        classified={name: counts[name] for name in known},
        n_groups=len(set(groups.tolist())),
        chance=max(counts.values()) / len(truth),
        accuracies=tuple(_accuracy(kind, called[kind], truth, groups, means[kind], seed) for kind in maps),
        differences=tuple(_difference(right[first], right[kind], groups, kind, seed) for kind in list(maps)[1:]),
    )
    return NamedTechniques(record, means, every, notes)


def _missing(known: list[str], classified: ChosenImages) -> tuple[str, ...]:
    names = Counter(classified.manipulations[classified.fakes].tolist())
    strange = sorted(set(names) - set(known))
    if not strange or not known:
        return ()
    count = sum(names[name] for name in strange)
    return (f"{count} fakes are of manipulations without validation data and are not named: {', '.join(strange)}",)


def _accuracy(
    kind: str,
    called: NDArray[np.int64],
    truth: NDArray[np.int64],
    groups: NDArray[np.str_],
    means: TechniqueMeans,
    seed: int,
) -> TechniqueAccuracy:
    decided = called != UNDECIDED
    count = len(means.techniques)
    # A right answer is a sample that is called what it is: the accuracy of dfbench's metrics on these is the share.
    right = (called == truth).astype(np.float64)
    found = bootstrap_interval("acc", np.ones(len(right), np.int8), right, groups, seed=seed)
    between = means.cosines()[np.triu_indices(count, 1)]
    return TechniqueAccuracy(
        name=kind,
        accuracy=found.value,
        low=found.low,
        high=found.high,
        interval_method=found.method or None,
        interval_note=found.note,
        matrix=tuple(map(tuple, confusion_matrix(truth[decided], called[decided], count).tolist())),
        undecided=int((~decided).sum()),
        cosines=(float(np.nanmin(between)), float(np.nanmax(between))) if np.isfinite(between).any() else (0.0, 0.0),
    )


def _difference(
    first: NDArray[np.float64], second: NDArray[np.float64], groups: NDArray[np.str_], kind: str, seed: int
) -> TechniqueDifference:
    found = paired_difference("acc", np.ones(len(first), np.int8), first, second, groups, seed=seed)
    return TechniqueDifference(
        second=kind, value=found.value, low=found.low, high=found.high, p=found.p, note=found.note
    )
