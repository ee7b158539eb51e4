"""From a recipe and a tree to shards: the tree is listed, the recipe's media are selected and cut into shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfbench.datasets.adapter import Counts, Scan, flat, label_name, nested
from dfbench.datasets.layout import is_read_for_listing
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.preparation.planning.recipe import MediaSelection, PreparationRecipe
from dfbench.preparation.planning.sampling import assign, rows_planned, without_base
from dfbench.preparation.planning.sharding import Shard, cut, rows_per_shard
from dfbench.schema.media import FAKE, REAL, Media, split_archive_path
from dfbench.schema.sampling import FrameSampling
from dfbench.storage import StagedTree, StoredPath, StoredTree


@dataclass(frozen=True)
class ShardPlan:
    """The shards of a manifest.

    Attributes:
        recipe: what decides rows and pixels.
        root: the data set's tree.
        scan: what was found there, within the recipe.
        shards: the work, in order.
        found: all media of the tree that the adapter lists, also those that the recipe does not select.
        stored: the tree in an object store, whose names and label files ``root`` holds; None: ``root`` is the tree.
    """

    recipe: PreparationRecipe
    root: Path
    scan: Scan
    shards: tuple[Shard, ...]
    found: tuple[Media, ...] = ()
    stored: StoredTree | None = None

    @property
    def place(self) -> Path:
        """The tree as messages name it."""
        return self.root if self.stored is None else self.stored.place

    def staged(self, media: Iterable[Media]) -> StagedTree | None:
        """Where the files of some media are, if they must be copied before they are read."""
        if self.stored is None:
            return None
        return self.stored.part(self.root, {m.path: _files(m) for m in media})


def plan_shards(recipe: PreparationRecipe, root: Path) -> ShardPlan:
    """List the tree and cut the media that the recipe selects into shards. No medium is opened.

    Raises:
        DataError: the tree holds none of the media that the recipe selects.
    """
    stored = StoredTree(root, is_read_for_listing) if isinstance(root, StoredPath) else None
    found = _scan(recipe, root, stored)
    media = select_media(found.media, recipe)
    if not recipe.uses_masks:  # mask videos that are not used must not make finished shards unfit
        media = tuple(replace(m, mask_path=None) if m.mask_path else m for m in media)
    if not media:
        raise DataError(f"the recipe selects no clip of {root}", "loosen --subset, --split and --manipulation")
    scan = Scan(
        root=found.root,
        media=media,
        expected=_expected(found.expected, recipe),
        missing=_expected(found.missing, recipe),
        excluded=found.excluded,
        warnings=(
            *found.warnings,
            *without_base(media, recipe.face_rule),
            *(_without_mask(media) if recipe.masks else ()),
            *_too_few(found.media, recipe),
        ),
    )
    return ShardPlan(recipe, found.root, scan, _cut(media, recipe), found.media, stored)


def _files(media: Media) -> tuple[str, ...]:
    inside = split_archive_path(media.path) if media.kind == "sequence" else None
    own = media.path if inside is None else inside[0]
    return (own,) if media.mask_path is None else (own, media.mask_path)


def _scan(recipe: PreparationRecipe, root: Path, stored: StoredTree | None) -> Scan:
    folder = root if stored is None else stored.folder
    try:
        return get_adapter(recipe.dataset).scan(
            folder,
            _union([s.subsets for s in recipe.selections]),
            _union([s.splits for s in recipe.selections]),
            _union([s.manipulations for s in recipe.selections]),
        )
    except DataError as error:  # a stored tree is named by its URL
        raise DataError(error.message.replace(str(folder), str(root)), error.hint) from error


def select_media(media: Sequence[Media], recipe: PreparationRecipe) -> tuple[Media, ...]:
    """The media that the recipe selects: by name, and at random where it gives a number; in their order."""
    whole = [selection for selection in recipe.selections if selection.take is None]
    drawn: set[str] = set()
    for selection in recipe.selections:
        if selection.take is not None:
            drawn |= selection.take.select((m.media_id, m.label) for m in _named(media, selection))
    return tuple(
        m
        for m in media
        if any(s.takes(m.subset, m.split, m.manipulation) for s in whole) or (drawn and m.media_id in drawn)
    )


def _cut(media: Sequence[Media], recipe: PreparationRecipe) -> tuple[Shard, ...]:
    if isinstance(recipe.sampling, FrameSampling) and not any(s.sampling for s in recipe.selections):
        rule = recipe.sampling
        return cut(media, rule.rows_planned, rows_per_shard(sum(rows_planned(m, rule) for m in media)))
    rules = assign(media, recipe.rule_of)
    planned = sum(rows_planned(m, rules[m.media_id]) for m in media if m.media_id in rules)
    return cut(media, 0, rows_per_shard(planned), rules)


def _expected(counts: Counts, recipe: PreparationRecipe) -> Counts:
    # Where media are selected at random, no counts are expected.
    whole = [selection for selection in recipe.selections if selection.take is None]
    return nested((key, n) for key, n in flat(counts) if any(s.takes(key[0], key[1], key[3]) for s in whole))


def _too_few(media: Sequence[Media], recipe: PreparationRecipe) -> tuple[str, ...]:
    # A warning for each random selection of more media than were found.
    out = []
    for selection in recipe.selections:
        found = Counter(m.label for m in _named(media, selection))
        for label in (REAL, FAKE):
            number = None if selection.take is None else selection.take.number(label)
            if number is not None and found[label] < number:
                name = label_name(label)
                out.append(f"{number} {name} media were to be sampled at random, but only {found[label]} were found")
    return tuple(out)


def _without_mask(media: Sequence[Media]) -> tuple[str, ...]:
    fakes = [m for m in media if m.label == FAKE]
    lone = [m for m in fakes if m.mask_path is None]
    if not lone:
        return ()
    return (
        f"{len(lone)} of {len(fakes)} fakes have no mask video, for example {lone[0].media_id}: their masks are null",
    )


def _named(media: Sequence[Media], selection: MediaSelection) -> list[Media]:
    return [m for m in media if selection.takes(m.subset, m.split, m.manipulation)]


def _union(choices: Sequence[tuple[str, ...]]) -> list[str]:
    # An empty choice means all, and so does a union with one.
    return sorted({name for names in choices for name in names}) if all(choices) else []
