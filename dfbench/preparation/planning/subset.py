"""The media that a recipe takes of those that were found: by name, and drawn by lot where it says how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dfbench.datasets.adapter import Counts, flat, label_name, nested
from dfbench.preparation.planning.recipe import Part, Recipe
from dfbench.schema.media import FAKE, REAL, Media


def taken_media(media: Sequence[Media], recipe: Recipe) -> tuple[Media, ...]:
    """Those of the media that some part of the recipe takes, in their order."""
    chosen: set[str] = set()
    for part in recipe.parts:
        mine = _named(media, part)
        names = {m.media_id for m in mine}
        chosen |= names if part.take is None else part.take.select((m.media_id, m.label) for m in mine)
    return tuple(m for m in media if m.media_id in chosen)


def expected_of(counts: Counts, recipe: Recipe) -> Counts:
    """The counts of what a recipe takes by name; where it draws by lot, nothing certain is expected."""
    whole = [part for part in recipe.parts if part.take is None]
    return nested((c, n) for c, n in flat(counts) if any(part.takes(c[0], c[1], c[3]) for part in whole))


def too_few(media: Sequence[Media], recipe: Recipe) -> tuple[str, ...]:
    """A sentence for each draw that asks for more media than were found."""
    out = []
    for part in recipe.parts:
        found = Counter(m.label for m in _named(media, part))
        for label in (REAL, FAKE):
            number = None if part.take is None else part.take.number(label)
            if number is not None and found[label] < number:
                out.append(f"{number} {label_name(label)} media were to be drawn, but there are only {found[label]}")
    return tuple(out)


def _named(media: Sequence[Media], part: Part) -> list[Media]:
    return [m for m in media if part.takes(m.subset, m.split, m.manipulation)]
