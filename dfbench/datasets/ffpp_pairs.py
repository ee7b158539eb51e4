"""FaceForensics++: names of clips, and the pairs of clips that were forged into each other, with their split.

``071.mp4`` is a real clip; ``071_054.mp4`` is a fake of scene 071 with the face or expression of 054.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dfbench.errors import DataError
from dfbench.resources import facts_folder
from dfbench.schema.media import SPLITS, Split
from dfbench.untrusted import read_json

_REAL = re.compile(r"^(?P<target>[0-9]{3})\.[A-Za-z0-9]{2,4}$")
_FAKE = re.compile(r"^(?P<target>[0-9]{3})_(?P<source>[0-9]{3})\.[A-Za-z0-9]{2,4}$")


@dataclass(frozen=True)
class ClipName:
    """A parsed file name.

    Attributes:
        target: the clip that provides the scene; for a real clip, itself.
        source: the clip that provides the face or expression; None for a real clip.
    """

    target: str
    source: str | None = None

    @property
    def name(self) -> str:
        """The clip's name without extension."""
        return self.target if self.source is None else f"{self.target}_{self.source}"


def parse_name(file_name: str, real: bool) -> ClipName | None:
    """Parse the file name of a real clip or of a fake; return None if it is not one. The file's type is not checked.

    >>> parse_name("033_097.mp4", real=False)
    ClipName(target='033', source='097')
    >>> parse_name("033_097.mp4", real=True) is None
    True
    """
    match = (_REAL if real else _FAKE).match(file_name)
    return None if match is None else ClipName(**match.groupdict())


@dataclass(frozen=True)
class ClipPair:
    """Clips ``a`` and ``b`` of one split: the reals a and b, and the fakes a_b and b_a of every method."""

    split: Split
    a: str
    b: str

    @property
    def group(self) -> str:
        """``a_b`` in the published order: the name of the scene group."""
        return f"{self.a}_{self.b}"


@dataclass(frozen=True)
class ClipPairs:
    """All pairs of a data set; every clip is in exactly one."""

    pairs: tuple[ClipPair, ...]

    @cached_property
    def by_clip(self) -> dict[str, ClipPair]:
        """Clip id -> its pair."""
        return {clip: pair for pair in self.pairs for clip in (pair.a, pair.b)}

    def of_fake(self, target: str, source: str) -> ClipPair | None:
        """Return the pair of a fake ``target_source``; None if the two are not a pair."""
        pair = self.by_clip.get(target)
        return pair if pair is not None and {pair.a, pair.b} == {target, source} and target != source else None


def make_pairs(rows: Iterable[tuple[str, str, str]], where: str) -> ClipPairs:
    """Build pairs from (split, a, b) rows and check them: known splits, three-digit ids, every id once.

    Raises:
        DataError: a row is invalid; the message names it.
    """
    pairs: list[ClipPair] = []
    used: set[str] = set()
    for split, a, b in rows:
        if split not in SPLITS or not all(len(i) == 3 and i.isascii() and i.isdigit() for i in (a, b)):
            raise DataError(f"{where}: not a pair of clips: {split!r}, {a!r}, {b!r}")
        for clip in (a, b):
            if clip in used:
                raise DataError(f"{where}: clip {clip} is in more than one pair")
            used.add(clip)
        pairs.append(ClipPair(split, a, b))
    return ClipPairs(tuple(pairs))


def official_pairs() -> ClipPairs:
    """Return the 500 published pairs: 360 train, 70 val, 70 test (FaceForensics ``dataset/splits``).

    >>> official_pairs().of_fake("033", "097").split
    'train'
    """
    file = facts_folder() / "ffpp_pairs.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        return make_pairs(((r["split"], r["a"], r["b"]) for r in csv.DictReader(stream)), file.name)


def pairs_from_json(root: Path) -> ClipPairs:
    """Read pairs from ``train.json``, ``val.json`` and ``test.json`` in a tree's root or its ``splits`` folder.

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
            rows += [(split, str(a), str(b)) for a, b in read_json(file)]
        except (DataError, ValueError, TypeError) as error:
            raise DataError(
                f"{file} is not a JSON list of pairs: {error}", 'the format is [["071", "054"], ...]'
            ) from error
    if not found:
        raise DataError(
            f"no split files in {root}", "it needs train.json, val.json and test.json, in the root or in splits/"
        )
    return make_pairs(rows, f"the split files of {root.name}")
