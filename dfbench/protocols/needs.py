"""What a protocol needs of each data set, in words, and the command that makes it."""

from __future__ import annotations

from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.media import SPLITS


def needs(protocol: Protocol) -> dict[str, str]:
    """Data set -> its splits, subsets and methods, the frames and the crops that the protocol takes.

    >>> from dfbench.protocols.files import load_protocol
    >>> needs(load_protocol("mini"))["mini"]
    'train c23, 8 a clip; val c23, 8 a clip; test c23 c40, 8 a clip; native crops of 128 px'
    """
    crops = f"{protocol.crops.profile} crops of {protocol.crops.size} px"
    return {
        name: "; ".join([*(_words(protocol, part) for part in _media(protocol, name)), crops])
        for name in protocol.datasets()
    }


def prepare_commands(protocol: Protocol, base: Protocol | None = None) -> tuple[str, ...]:
    """The commands that make the manifests of a protocol, one a data set.

    Args:
        protocol: the protocol.
        base: of a variant, the protocol itself; where both need the same, its command makes the manifest of both.
    """
    of_base = needs(base) if base is not None else {}
    return tuple(
        f"dfbench prepare {name} --protocol {base.name if base and of_base.get(name) == words else protocol.name}"
        for name, words in needs(protocol).items()
    )


def _media(protocol: Protocol, dataset: str) -> list[DataPart]:
    """Parts that differ in more than their role and share, by split."""
    parts = [p for p in protocol.data if p.dataset == dataset]
    alike = {p.model_copy(update={"role": "test", "share": None}): p for p in reversed(parts)}
    return sorted(alike.values(), key=lambda p: (SPLITS.index(p.split), parts.index(p)))


def _words(protocol: Protocol, part: DataPart) -> str:
    names = " ".join([part.split, *part.subsets])
    if part.manipulations == ("real",):
        names += ", reals alone"
    if part.take is not None:
        drawn = [f"{n} {label}" for label in ("real", "fake") if (n := getattr(part.take, label)) is not None]
        names += f", {' and '.join(drawn)} clips drawn by lot"
    return f"{names}, {protocol.sampling_of(part).rule.words}"
