"""The sampling rule of every clip: totals of a class are distributed over its clips before any clip is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.datasets.adapter import Counts, nested
from dfbench.schema.media import FAKE, Media
from dfbench.schema.sampling import FaceRule, FrameSampling, Rule, TotalSampling

__all__ = ["FrameSampling", "MediaJob", "Rule", "RuleOf", "TotalSampling", "assign", "shortfall", "without_base"]

RuleOf = Callable[[str, str, str], Rule]
"""Subset, split and manipulation -> the rule of that class."""


@dataclass(frozen=True)
class MediaJob:
    """One medium and the rule that chooses its frames.

    Attributes:
        media: the clip, image or image sequence.
        sampling: which frames.
    """

    media: Media
    sampling: FrameSampling

    @property
    def rows_planned(self) -> int:
        """Expected number of rows, for sharding and estimates."""
        return rows_planned(self.media, self.sampling)

    @property
    def rows_if_unreadable(self) -> int:
        """Number of rows if no frame can be read."""
        return 1 if self.media.kind == "image" else self.sampling.rows_if_unreadable


def rows_planned(media: Media, rule: FrameSampling) -> int:
    """Expected number of rows of a medium: one of a still image, whatever the rule."""
    return 1 if media.kind == "image" else rule.rows_planned


def assign(media: Sequence[Media], rule_of: RuleOf) -> dict[str, FrameSampling]:
    """The rule of every medium, by its id; media that get no frame of a total are excluded.

    The result does not depend on the order of ``media``.
    """
    out: dict[str, FrameSampling] = {}
    shared: dict[tuple[TotalSampling, str, str, str], list[Media]] = {}
    for m in media:
        rule = rule_of(m.subset, m.split, m.manipulation)
        if isinstance(rule, TotalSampling):
            shared.setdefault((rule, m.subset, m.split, m.manipulation), []).append(m)
        else:
            out[m.media_id] = rule
    for (total, _, _, manipulation), members in shared.items():
        quotas = total.quotas([m.media_id for m in members], manipulation == "real")
        out.update({name: total.rule(quota) for name, quota in quotas.items() if quota})
    return out


def without_base(media: Sequence[Media], face_rule: FaceRule) -> tuple[str, ...]:
    """Warn of fakes whose manipulated face cannot be found by comparison; nothing for other face rules."""
    if face_rule != "manipulated":
        return ()
    present = {(m.scene_group, m.media_id) for m in media}
    lone = [m for m in media if m.label == FAKE and not m.cropped and (m.scene_group, m.base_media_id) not in present]
    if not lone:
        return ()
    return (
        f"{len(lone)} fakes have no base clip, for example {lone[0].media_id}: where several faces are found and there "
        "is no mask video, the face with the largest total area is assumed to be the manipulated one",
    )


def shortfall(tables: Iterable[pa.Table], rule_of: RuleOf) -> Counts:
    """Frames requested by totals that the clips do not have: subset -> split -> real/fake -> manipulation -> number.

    Args:
        tables: rows with the columns subset, split, label, manipulation, face_index. Of several faces of a frame only
            the first is counted, since totals are numbers of frames.
        rule_of: the rule of each class.
    """
    rows: dict[tuple[str, str, str, str], int] = {}
    names = ["subset", "split", "label", "manipulation"]
    for table in tables:
        counts = table.filter(pc.equal(table["face_index"], 0)).group_by(names).aggregate([([], "count_all")])
        for subset, split, label, method, n in zip(
            *(counts[c].to_pylist() for c in (*names, "count_all")), strict=True
        ):
            key = (subset, split, "fake" if label else "real", method)
            rows[key] = rows.get(key, 0) + n
    lacking = []
    for key, number in rows.items():
        rule = rule_of(key[0], key[1], key[3])
        if isinstance(rule, TotalSampling):
            total = rule.total_real if key[3] == "real" else rule.total_per_method
            lacking.append((key, max(0, total - number)))
    return nested((key, n) for key, n in sorted(lacking) if n)
