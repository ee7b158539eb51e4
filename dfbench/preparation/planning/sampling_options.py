"""From options and protocols to sampling and face rules: one for all media, or others for some splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dfbench.errors import UsageError, unknown_name
from dfbench.preparation.planning.recipe import MediaSelection
from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.media import SPLITS
from dfbench.schema.sampling import FACE_RULES, FaceRule, FrameSampling, Rule, TotalSampling, parse_rule


def parse_options(texts: Sequence[str], seed: int) -> tuple[Rule | None, dict[str, Rule]]:
    """The rules of ``--sampling [SPLIT:]RULE``: the one without a split, and those of splits.

    Args:
        texts: as typed.
        seed: of random rules that give no seed.

    Raises:
        UsageError: a text is not a rule, a split is unknown, or a split has two rules.

    >>> parse_options(["test:all"], 0)[1]["test"].description
    'all'
    """
    rules: dict[str, Rule] = {}
    for text in texts:
        split, colon, rule = text.rpartition(":")
        if colon and split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if split in rules:
            raise UsageError(f"two sampling rules were given for {split or 'all splits'}", "give one per split")
        rules[split] = _seeded(parse_rule(rule), rule, seed)
    return rules.pop("", None), rules


def _seeded(rule: Rule, text: str, seed: int) -> Rule:
    draws = isinstance(rule, TotalSampling) or rule.random is not None
    return replace(rule, seed=seed) if draws and "seed" not in text else rule


def part_rule(protocol: Protocol, part: DataPart) -> Rule | None:
    """The rule of a protocol's data part where it differs from the protocol's; else None."""
    rule = protocol.sampling_of(part).rule
    return None if rule == protocol.sampling.rule else rule


def split_rules(selections: Sequence[MediaSelection], rules: Mapping[str, Rule]) -> tuple[MediaSelection, ...]:
    """Give the media of some splits their own rules; selections of several splits are divided where needed."""
    if not rules:
        return tuple(selections)
    out = []
    for selection in selections:
        splits = selection.splits or SPLITS
        plain = tuple(split for split in splits if split not in rules)
        if plain:
            out.append(replace(selection, splits=plain))
        out += [replace(selection, splits=(split,), sampling=rules[split]) for split in splits if split in rules]
    return tuple(out)


def face_rule_of(dataset: str, given: str | None, protocol: Protocol | None) -> FaceRule:
    """The face rule: as given, else the protocol's for this data set, else ``largest``.

    Raises:
        UsageError: an unknown name.
    """
    if given is not None:
        for rule in FACE_RULES:
            if rule == given:
                return rule
        raise unknown_name("face rule", given, FACE_RULES)
    parts = [p for p in protocol.data if p.dataset == dataset] if protocol is not None else []
    return protocol.sampling_of(parts[0]).faces if protocol is not None and parts else "largest"


def default_rule(frames: int | None, every: int | None, most: int | None, other: Rule | None) -> Rule | None:
    """The rule of ``--frames``, ``--every`` with ``--max``, or ``--sampling``; None where none is given.

    Raises:
        UsageError: several are given.
    """
    if frames is None and every is None and most is None:
        return other
    if other is not None:
        raise UsageError("give exactly one sampling rule", "give either --sampling, or --frames, or --every with --max")
    return FrameSampling(frames, every, most)
