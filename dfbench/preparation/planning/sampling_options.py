"""From options and protocols to frame rules: one for all, or other ones for some splits or data parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dfbench.errors import UsageError, unknown_name
from dfbench.preparation.planning.recipe import Part
from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.media import SPLITS
from dfbench.schema.sampling import FACE_RULES, FaceRule, FrameSampling, Rule, TotalSampling, parse_rule

GEOMETRIES = ("own", "shared")


def parse_options(texts: Sequence[str], seed: int) -> tuple[Rule | None, dict[str, Rule]]:
    """The rules of ``--sampling [SPLIT:]RULE``: that without a split, and those of splits.

    Args:
        texts: as typed.
        seed: of rules that draw and name no seed.

    Raises:
        UsageError: a text is no rule, a split is unknown, or a split has two rules.

    >>> parse_options(["test:all"], 0)[1]["test"].description
    'all'
    """
    rules: dict[str, Rule] = {}
    for text in texts:
        split, colon, rule = text.rpartition(":")
        if colon and split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if split in rules:
            raise UsageError(f"two sampling rules were given for {split or 'all splits'}", "give one for each split")
        rules[split] = _seeded(parse_rule(rule), rule, seed)
    return rules.pop("", None), rules


def _seeded(rule: Rule, text: str, seed: int) -> Rule:
    draws = isinstance(rule, TotalSampling) or rule.random is not None
    return replace(rule, seed=seed) if draws and "seed" not in text else rule


def part_rule(protocol: Protocol, part: DataPart) -> Rule | None:
    """The rule of a data part where it is not the protocol's."""
    rule = protocol.sampling_of(part).rule
    return None if rule == protocol.sampling.rule else rule


def by_split(parts: Sequence[Part], rules: Mapping[str, Rule]) -> tuple[Part, ...]:
    """Give the media of some splits their own rules, cutting parts where they reach over several splits."""
    if not rules:
        return tuple(parts)
    out = []
    for part in parts:
        splits = part.splits or SPLITS
        plain = tuple(split for split in splits if split not in rules)
        if plain:
            out.append(replace(part, splits=plain))
        out += [replace(part, splits=(split,), sampling=rules[split]) for split in splits if split in rules]
    return tuple(out)


def face_rule_of(dataset: str, asked: str | None, protocol: Protocol | None) -> FaceRule:
    """The face rule: as asked for, else the protocol's for this data set, else ``largest``.

    Raises:
        UsageError: an unknown name.
    """
    if asked is not None:
        for rule in FACE_RULES:
            if rule == asked:
                return rule
        raise unknown_name("face rule", asked, FACE_RULES)
    parts = [p for p in protocol.data if p.dataset == dataset] if protocol is not None else []
    return protocol.sampling_of(parts[0]).faces if protocol is not None and parts else "largest"


def check_geometry(name: str) -> str:
    """The name of a geometry.

    Raises:
        UsageError: an unknown name.
    """
    if name not in GEOMETRIES:
        raise unknown_name("geometry", name, GEOMETRIES)
    return name


def default_rule(frames: int | None, every: int | None, most: int | None, other: Rule | None) -> Rule | None:
    """The rule of ``--frames``, ``--every`` with ``--max``, or ``--sampling``; None where none is given.

    Raises:
        UsageError: several are given.
    """
    if frames is None and every is None and most is None:
        return other
    if other is not None:
        raise UsageError("choose frames by one rule", "give either --sampling, or --frames, or --every with --max")
    return FrameSampling(frames, every, most)
