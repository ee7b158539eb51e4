"""Cut media into shards: whole scene groups, in sorted order, at places that stay while a data set grows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import numpy as np

from dfbench.errors import DataError
from dfbench.io import canonical_hash
from dfbench.preparation.planning.sampling import MediaJob, rows_planned
from dfbench.schema.media import Media
from dfbench.schema.sampling import FrameSampling, Rule

MOST_ROWS = 1024
LEAST_ROWS = 64
FEWEST_SHARDS = 32
SMALLEST_SHARE = 8  # a shard holds at least this part of the most rows, if its scene groups are small enough


_ALL_FIELDS = attrgetter(*(field.name for field in dataclasses.fields(Media)))
_FIELDS_OF_FORMAT_2 = attrgetter(
    *(f.name for f in dataclasses.fields(Media) if f.name not in ("source_media_id", "mask_path"))
)


@dataclass(frozen=True)
class Shard:
    """One shard: its number and its media, in the order of its rows.

    ``rules`` are the sampling rules of the media, in their order; empty: the rule of the recipe.
    """

    number: int
    media: tuple[Media, ...]
    rules: tuple[FrameSampling, ...] = ()

    def jobs(self, default: Rule) -> tuple[MediaJob, ...]:
        """The media with their rules; the recipe's where the shard has none."""
        if self.rules:
            return tuple(MediaJob(m, rule) for m, rule in zip(self.media, self.rules, strict=True))
        assert isinstance(default, FrameSampling), "totals are distributed when shards are cut"
        return tuple(MediaJob(m, default) for m in self.media)

    @property
    def file(self) -> str:
        """File name in the manifest's folder."""
        return f"shard-{self.number:05d}.parquet"

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all that is known of the media and over their rules: what this shard must hold."""
        return self._hash_of([_ALL_FIELDS(m) for m in self.media])

    @cached_property
    def groups(self) -> tuple[tuple[Media, ...], ...]:
        """The media by scene group, in their order."""
        return tuple(tuple(members) for _, members in groupby(self.media, key=lambda m: m.scene_group))

    @cached_property
    def group_hashes(self) -> tuple[str, ...]:
        """A digest of 64 bits of each scene group: of all that is known of its media and their rules."""
        rules = iter(self.rules)
        found = []
        for group in self.groups:
            of_group = [next(rules).text for _ in group] if self.rules else []
            found.append(canonical_hash([[_ALL_FIELDS(m) for m in group], of_group])[:16])
        return tuple(found)

    @cached_property
    def hash_of_format_2(self) -> str:
        """The same as format 2 stated it, which upgraded shards keep."""
        return self._hash_of([_FIELDS_OF_FORMAT_2(m) for m in self.media])

    def _hash_of(self, media: list[Any]) -> str:
        rules = [rule.text for rule in self.rules]
        return canonical_hash([media, rules] if rules else media)


def rows_per_shard(planned_rows: int) -> int:
    """Most rows per shard: 1024, fewer for small sets, so that about 32 shards keep every worker busy.

    It is a power of two, so that it stays the same while a data set grows, but for a few sizes.

    >>> rows_per_shard(1_000_000), rows_per_shard(4480), rows_per_shard(10)
    (1024, 256, 64)
    """
    wanted = max(1, 2 * planned_rows // FEWEST_SHARDS)
    return max(LEAST_ROWS, min(MOST_ROWS, 1 << (wanted.bit_length() - 1)))


def cut(
    media: Sequence[Media], rows_per_media: int, most: int, rules: Mapping[str, FrameSampling] | None = None
) -> tuple[Shard, ...]:
    """Cut the sorted scene groups into shards at places that depend on their content.

    Every scene group has a priority, the hash of its name. What is more than ``most`` rows is cut in two before the
    scene group of the lowest priority that leaves at least an eighth of ``most`` rows on both sides, and so on. An
    additional scene group changes the shard that it belongs to, and rarely a neighbour, but not where others are cut.

    Args:
        media: of one data set, in any order.
        rows_per_media: planned rows of each medium, but one of a still image; ignored where ``rules`` are given.
        most: largest number of planned rows per shard; a larger scene group gets a shard of its own.
        rules: media id -> sampling rule; media without one are excluded.

    Raises:
        DataError: two media have the same id, or a scene group belongs to two splits.
    """
    ordered = sorted(media, key=lambda m: (m.scene_group, m.media_id))
    _check(ordered)
    if rules is not None:
        ordered = [m for m in ordered if m.media_id in rules]
    groups = [list(members) for _, members in groupby(ordered, key=lambda m: m.scene_group)]
    rows = [sum(_rows(m, rows_per_media, rules) for m in members) for members in groups]
    shards = []
    for number, (first, end) in enumerate(_pieces([g[0].scene_group for g in groups], rows, most)):
        held = [m for members in groups[first:end] for m in members]
        of_media = () if rules is None else tuple(rules[m.media_id] for m in held)
        shards.append(Shard(number, tuple(held), of_media))
    return tuple(shards)


def _rows(media: Media, rows_per_media: int, rules: Mapping[str, FrameSampling] | None) -> int:
    if rules is not None:
        return rows_planned(media, rules[media.media_id])
    return 1 if media.kind == "image" else rows_per_media


def _pieces(groups: Sequence[str], rows: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield the first and one after the last scene group of each shard, in rising order."""
    digests = [hashlib.sha256(name.encode()).digest() for name in groups]
    priority = np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)
    before = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
    least = most // SMALLEST_SHARE
    todo = [(0, len(groups))] if groups else []
    while todo:
        first, end = todo.pop()
        if before[end] - before[first] <= most or end - first == 1:
            yield first, end
            continue
        low = max(first + 1, int(np.searchsorted(before, before[first] + least, "left")))
        high = min(end - 1, int(np.searchsorted(before, before[end] - least, "right")) - 1)
        if low > high:  # large groups: no place leaves enough on both sides
            low, high = first + 1, end - 1
        at = low + int(np.argmin(priority[low : high + 1]))
        todo += [(at, end), (first, at)]


def _check(media: Sequence[Media]) -> None:
    """Raise unless ids are unique and every scene group, of media sorted by it, belongs to one split."""
    for before, m in pairwise(media):
        if before.scene_group == m.scene_group and before.split != m.split:
            raise DataError(f"scene group {m.scene_group} belongs to two splits: {before.split} and {m.split}")
    # Eight bytes an id instead of the ids of a million media at once.
    digests = np.fromiter((hash(m.media_id) for m in media), np.int64, len(media))
    if len(np.unique(digests)) == len(media):
        return
    paths: dict[str, str] = {}
    for m in media:
        if m.media_id in paths:
            raise DataError(f"two media have the same id {m.media_id}: {paths[m.media_id]} and {m.path}")
        paths[m.media_id] = m.path
