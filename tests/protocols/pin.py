"""Write name, version and hash of every shipped protocol into pinned.csv: python tests/protocols/pin.py"""

from __future__ import annotations

import csv
from pathlib import Path

from dfbench.protocols.files import load_protocol, protocol_names

if __name__ == "__main__":
    with Path(__file__).with_name("pinned.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["name", "version", "hash"])
        for name in protocol_names():
            protocol = load_protocol(name)
            writer.writerow([name, protocol.version, protocol.hash])
