"""Cut media into shards: whole scene groups, in sorted order, by a rule that does not depend on the workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from dfbench.errors import DataError
from dfbench.io import canonical_hash
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media
from dfbench.schema.sampling import FrameSampling, Rule

MOST_ROWS = 1024
LEAST_ROWS = 64
FEWEST_SHARDS = 32


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

    @property
    def hash(self) -> str:
        """SHA-256 over the ids and paths of the media and their rules: what this shard must hold."""
        media = [(m.media_id, m.path, m.split, m.scene_group) for m in self.media]
        rules = [rule.text for rule in self.rules]
        return canonical_hash([media, rules] if rules else media)


def rows_per_shard(planned_rows: int) -> int:
    """Rows per shard: about 1024, fewer for small sets, so that about 32 shards keep every worker busy.

    >>> rows_per_shard(1_000_000), rows_per_shard(4480), rows_per_shard(10)
    (1024, 140, 64)
    """
    return max(LEAST_ROWS, min(MOST_ROWS, -(-planned_rows // FEWEST_SHARDS)))


def cut(
    media: Sequence[Media], rows_per_media: int, target: int, rules: Mapping[str, FrameSampling] | None = None
) -> tuple[Shard, ...]:
    """Fill shards with whole scene groups until the next one would exceed ``target`` planned rows.

    Args:
        media: of one data set, in any order.
        rows_per_media: planned rows of each medium; ignored where ``rules`` are given.
        target: rows per shard; a group that is larger gets a shard of its own.
        rules: media id -> sampling rule, which gives the planned rows; media without one are excluded.

    Raises:
        DataError: two media have the same id, or a scene group belongs to two splits.
    """
    ordered = sorted(media, key=lambda m: (m.scene_group, m.media_id))
    _check(ordered)
    if rules is not None:
        ordered = [m for m in ordered if m.media_id in rules]
    shards: list[Shard] = []
    filling: list[Media] = []
    planned = 0
    for _, group in groupby(ordered, key=lambda m: m.scene_group):
        members = list(group)
        rows = sum(rules[m.media_id].rows_planned if rules is not None else rows_per_media for m in members)
        if filling and planned + rows > target:
            shards.append(_shard(len(shards), filling, rules))
            filling, planned = [], 0
        filling += members
        planned += rows
    if filling:
        shards.append(_shard(len(shards), filling, rules))
    return tuple(shards)


def _shard(number: int, media: Sequence[Media], rules: Mapping[str, FrameSampling] | None) -> Shard:
    return Shard(number, tuple(media), tuple(rules[m.media_id] for m in media) if rules is not None else ())


def _check(media: Sequence[Media]) -> None:
    paths: dict[str, str] = {}
    splits: dict[str, str] = {}
    for m in media:
        if m.media_id in paths:
            raise DataError(f"two media have the same id {m.media_id}: {paths[m.media_id]} and {m.path}")
        paths[m.media_id] = m.path
        if splits.setdefault(m.scene_group, m.split) != m.split:
            raise DataError(f"scene group {m.scene_group} belongs to two splits: {splits[m.scene_group]} and {m.split}")
