"""What a protocol needs of each data set, in words, and the command that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfbench.config import manifest_beside
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


def prepare_commands(protocols: Sequence[Protocol]) -> tuple[str, ...]:
    """The commands that make the manifests of some protocols.

    Protocols that need the same of a data set share its manifest. The first manifest of a data set lies where it is
    looked for by default, further ones beside it.

    Args:
        protocols: in the order in which their names are preferred.
    """
    makers: dict[str, dict[str, str]] = {}
    for protocol in protocols:
        for dataset, words in needs(protocol).items():
            makers.setdefault(dataset, {}).setdefault(words, protocol.name)
    return tuple(
        _command(dataset, name, beside=number > 0)
        for dataset, names in makers.items()
        for number, name in enumerate(names.values())
    )


def prepare_command(dataset: str, protocol: Protocol, base: Protocol | None = None) -> str:
    """The command that makes one manifest of a protocol.

    Args:
        dataset: which one.
        protocol: the protocol.
        base: of a variant, the protocol itself; where both need the same, its command makes the manifest of both.
    """
    shared = base is not None and needs(base).get(dataset) == needs(protocol)[dataset]
    return _command(dataset, base.name if base is not None and shared else protocol.name)


def _command(dataset: str, name: str, beside: bool = False) -> str:
    out = f" --out {manifest_beside(Path('manifests') / dataset, name).as_posix()}" if beside else ""
    return f"dfbench prepare {dataset} --protocol {name}{out}"


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
    return f"{names}, {protocol.sampling_of(part).rule.description}"
