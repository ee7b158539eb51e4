"""The pairs of FaceForensics++: which two clips were forged into each other, and in which split."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dfbench.errors import DataError
from dfbench.resources import facts_folder
from dfbench.schema.media import SPLITS, Split


@dataclass(frozen=True)
class Pair:
    """Clips ``a`` and ``b``: the reals a and b, the fakes a_b and b_a of every method, all in one split."""

    split: Split
    a: str
    b: str

    @property
    def group(self) -> str:
        """``a_b`` in the published order: the name of the scene group."""
        return f"{self.a}_{self.b}"


@dataclass(frozen=True)
class Pairs:
    """All pairs of a data set, each clip in exactly one."""

    pairs: tuple[Pair, ...]

    @cached_property
    def by_clip(self) -> dict[str, Pair]:
        """Clip id -> its pair."""
        return {clip: pair for pair in self.pairs for clip in (pair.a, pair.b)}

    def of_fake(self, target: str, source: str) -> Pair | None:
        """The pair that a fake ``target_source`` belongs to; None if the two are not a pair."""
        pair = self.by_clip.get(target)
        return pair if pair is not None and {pair.a, pair.b} == {target, source} and target != source else None


def make_pairs(rows: Iterable[tuple[str, str, str]], where: str) -> Pairs:
    """Check (split, a, b) rows: known splits, three-digit ids, every id once.

    Raises:
        DataError: a row does not fit; the message names it.
    """
    pairs: list[Pair] = []
    seen: set[str] = set()
    for split, a, b in rows:
        if split not in SPLITS or not all(len(i) == 3 and i.isascii() and i.isdigit() for i in (a, b)):
            raise DataError(f"{where}: not a pair of clips: {split!r}, {a!r}, {b!r}")
        for clip in (a, b):
            if clip in seen:
                raise DataError(f"{where}: clip {clip} stands in more than one pair")
            seen.add(clip)
        pairs.append(Pair(split, a, b))
    return Pairs(tuple(pairs))


def official_pairs() -> Pairs:
    """The 500 published pairs: 360 train, 70 val, 70 test (FaceForensics ``dataset/splits``).

    >>> official_pairs().of_fake("033", "097").split
    'train'
    """
    file = facts_folder() / "ffpp_pairs.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        return make_pairs(((r["split"], r["a"], r["b"]) for r in csv.DictReader(stream)), file.name)


def pairs_from_json(root: Path) -> Pairs:
    """Pairs from ``train.json``, ``val.json`` and ``test.json`` in a tree's root or its ``splits`` folder.

    Raises:
        DataError: no such file, or one that is not a list of pairs.
    """
    rows: list[tuple[str, str, str]] = []
    found = False
    for split in SPLITS:
        file = next((f for f in (root / "splits" / f"{split}.json", root / f"{split}.json") if f.is_file()), None)
        if file is None:
            continue
        found = True
        try:
            rows += [(split, str(a), str(b)) for a, b in json.loads(file.read_text("utf-8"))]
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{file} is not a JSON list of pairs: {error}", 'it reads like [["071", "054"], ...]'
            ) from error
    if not found:
        raise DataError(
            f"no split files in {root}", "it needs train.json, val.json and test.json, in the root or in splits/"
        )
    return make_pairs(rows, f"the split files of {root.name}")
