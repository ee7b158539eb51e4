"""Every clip's own rule: totals of a class are shared out to its clips, before any clip is opened."""

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
        media: the clip, picture or sequence.
        sampling: which frames.
    """

    media: Media
    sampling: FrameSampling


def assign(media: Sequence[Media], rule_of: RuleOf) -> dict[str, FrameSampling]:
    """The rule of every medium, by its id; media to which a total gives no frame are left away.

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
    """A sentence on fakes whose manipulated face can not be told by comparison; none for other face rules."""
    if face_rule != "manipulated":
        return ()
    there = {(m.scene_group, m.media_id) for m in media}
    lone = [m for m in media if m.label == FAKE and not m.cropped and (m.scene_group, m.base_media_id) not in there]
    if not lone:
        return ()
    return (
        f"{len(lone)} fakes have no base clip here, for example {lone[0].media_id}: where several faces are found and "
        "there is no mask video, the one with the largest area in sum is taken for the manipulated one",
    )


def shortfall(tables: Iterable[pa.Table], rule_of: RuleOf) -> Counts:
    """Frames that totals asked for and the clips did not have: subset -> split -> real/fake -> manipulation -> number.

    Args:
        tables: rows with the columns subset, split, label, manipulation, face_index. Of several faces of a frame the
            first counts, since totals are of frames.
        rule_of: the rule of each class.
    """
    rows: dict[tuple[str, str, str, str], int] = {}
    keys = ["subset", "split", "label", "manipulation"]
    for table in tables:
        counts = table.filter(pc.equal(table["face_index"], 0)).group_by(keys).aggregate([([], "count_all")])
        for subset, split, label, method, n in zip(*(counts[c].to_pylist() for c in (*keys, "count_all")), strict=True):
            cell = (subset, split, "fake" if label else "real", method)
            rows[cell] = rows.get(cell, 0) + n
    lacking = []
    for cell, number in rows.items():
        rule = rule_of(cell[0], cell[1], cell[3])
        if isinstance(rule, TotalSampling):
            total = rule.total_real if cell[3] == "real" else rule.total_per_method
            lacking.append((cell, max(0, total - number)))
    return nested((cell, n) for cell, n in sorted(lacking) if n)
