"""The media, frames and crops that a protocol needs from each data set, and the commands that prepare them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from dfbench.config import manifest_beside
from dfbench.protocols.compose import SIGN, split_name
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.media import SPLITS


def needs(protocol: Protocol) -> dict[str, str]:
    """Return data set -> description of the splits, subsets, frames and crops that the protocol uses.

    >>> from dfbench.protocols.files import load_protocol
    >>> needs(load_protocol("mini"))["mini"]
    'train c23, 8 per clip; val c23, 8 per clip; test c23 c40, 8 per clip; native crops of 128 px'
    """
    crops = f"{protocol.crops.profile} crops of {protocol.crops.size} px"
    return {
        name: "; ".join([*(_description(protocol, part) for part in _media(protocol, name)), crops])
        for name in protocol.datasets()
    }


def prepare_commands(protocols: Sequence[Protocol]) -> tuple[str, ...]:
    """Return the commands that prepare the manifests of some protocols.

    Protocols with the same needs share a manifest, also where one of them uses more manipulations than the others. The
    first manifest of a data set has the default location, further ones are beside it.

    Args:
        protocols: the protocols; where several need the same manifest, the command names the first one that needs all
            of it, which may be the protocol of which they are variants.
    """
    alike: dict[str, dict[str, list[Protocol]]] = {}
    for protocol in protocols:
        for dataset, needed in needs(protocol).items():
            alike.setdefault(dataset, {}).setdefault(needed, []).append(protocol)
    return tuple(
        _command(dataset, protocol, beside=number > 0)
        for dataset, groups in alike.items()
        for number, protocol in enumerate(p for group in groups.values() for p in _makers(group, dataset))
    )


def _makers(group: Sequence[Protocol], dataset: str) -> list[Protocol]:
    """Return the protocols whose manifests serve protocols that differ in manipulations alone."""
    bases = [load_protocol(split_name(p.typed)[0]) for p in group if SIGN in p.name]
    for found in (*group, *bases):
        if all(_covers(found, p, dataset) for p in group):
            return [found]
    return [p for n, p in enumerate(group) if not any(_covers(other, p, dataset) for other in group[:n])]


def _covers(one: Protocol, other: Protocol, dataset: str) -> bool:
    """Check whether the manifest of one protocol has all media that another one uses of a data set."""
    if needs(one).get(dataset) != needs(other).get(dataset):
        return False
    theirs = [part for part in one.data if part.dataset == dataset]
    return all(
        any(
            has.split == part.split
            and has.subsets == part.subsets
            and (not has.manipulations or (part.manipulations and set(part.manipulations) <= set(has.manipulations)))
            for has in theirs
        )
        for part in other.data
        if part.dataset == dataset
    )


def prepare_command(dataset: str, protocol: Protocol, base: Protocol | None = None) -> str:
    """Return the command that prepares the manifest of one data set for a protocol.

    Args:
        dataset: name of the data set.
        protocol: the protocol.
        base: for a variant, the protocol without it; if its manifest serves both, the command names this one.
    """
    return _command(dataset, base if base is not None and _covers(base, protocol, dataset) else protocol)


def _command(dataset: str, protocol: Protocol, beside: bool = False) -> str:
    out = f" --out {manifest_beside(Path('manifests') / dataset, protocol.name).as_posix()}" if beside else ""
    return f"dfbench prepare {dataset} --protocol {shlex.quote(protocol.typed)}{out}"


def _media(protocol: Protocol, dataset: str) -> list[DataPart]:
    """Return the data parts that differ in more than role and share, by split."""
    parts = [p for p in protocol.data if p.dataset == dataset]
    alike = {p.model_copy(update={"role": "test", "share": None}): p for p in reversed(parts)}
    return sorted(alike.values(), key=lambda p: (SPLITS.index(p.split), parts.index(p)))


def _description(protocol: Protocol, part: DataPart) -> str:
    names = " ".join([part.split, *part.subsets])
    if part.manipulations == ("real",):
        names += ", reals only"
    if part.take is not None:
        numbers = [f"{n} {label}" for label in ("real", "fake") if (n := getattr(part.take, label)) is not None]
        names += f", {' and '.join(numbers)} clips sampled at random"
    return f"{names}, {protocol.sampling_of(part).rule.description}"
