"""References to protocols in runs and cards: name, version, hash, and hashes by earlier versions of dfbench."""

from __future__ import annotations

import csv
from functools import cache

from dfbench.protocols.protocol import Protocol
from dfbench.resources import protocols_folder
from dfbench.schema.result import ProtocolRef

EARLIER = "earlier.csv"
"""File beside the shipped protocols: their hashes in earlier versions of dfbench and the current ones."""


def protocol_ref(protocol: Protocol) -> ProtocolRef:
    """Return the reference to a protocol for runs and cards.

    A shipped protocol has the earlier hashes listed in ``earlier.csv``. Any other protocol has the one that version
    0.1.0 would compute from the current file, because its version number was not raised when the hash changed.

    >>> from dfbench.protocols.files import load_protocol
    >>> ref = protocol_ref(load_protocol("mini"))
    >>> ref.name, ref.hash != ref.earlier[0]
    ('mini', True)
    """
    earlier = _earlier().get(protocol.hash, (protocol.hash_with_prose,))
    return ProtocolRef(name=protocol.name, version=protocol.version, hash=protocol.hash, earlier=earlier)


@cache
def _earlier() -> dict[str, tuple[str, ...]]:
    """Return hash of a shipped protocol -> its earlier hashes."""
    found: dict[str, tuple[str, ...]] = {}
    with (protocols_folder() / EARLIER).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["hash"]] = (*found.get(row["hash"], ()), row["earlier_hash"])
    return found
