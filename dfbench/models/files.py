"""Kind, size and hash of a weight file, without torch."""

from __future__ import annotations

import re
from pathlib import Path

from dfbench.errors import ModelError
from dfbench.io import file_sha256
from dfbench.models.card import MethodWeights, WeightCard

_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?a-z]", re.IGNORECASE)
_STARTS = {
    b"{": "a JSON file (the card of some weights?)",
    b"PK\x03\x04": "a zip file (a pickle of torch.save)",
    b"\x80": "a pickle",
}


def check_file(path: Path, card: WeightCard | MethodWeights) -> None:
    """Compare size and hash of a weight file with its card, or those of a method's with their part; needs no torch.

    Raises:
        ModelError: they differ; the message says whether it is truncated, of another kind, or another file.
    """
    size = path.stat().st_size
    kind = looks_like(path)
    if kind != "a damaged file":
        raise ModelError(f"{path} is {kind}, not a safetensors file", bad_file_hint(path))
    if size < card.bytes:
        raise ModelError(f"{path} is truncated: {size} of {card.bytes} bytes", "copy it again, or train again")
    if file_sha256(path) != card.sha256:
        raise ModelError(
            f"{path} is not the file that its card describes (SHA-256 differs)",
            "copy weights and card together, or train again: dfbench train",
        )


def looks_like(path: Path) -> str:
    """Describe a file that is not a complete safetensors file, by its first bytes."""
    with path.open("rb") as stream:
        start = stream.read(64)
    if not start.strip():
        return "an empty file"
    # A safetensors file starts with eight bytes, the length of its header, which can be those of anything else.
    if start[8:9] == b"{":
        return "a damaged file"
    if _HTML.match(start):
        return "an HTML page"
    return next((name for head, name in _STARTS.items() if start.startswith(head)), "a damaged file")


def bad_file_hint(path: Path) -> str:
    """Return what to do about a file that is not a safetensors file."""
    if looks_like(path) == "an HTML page":
        return "the download returned a web page in place of the file; download it again"
    return (
        "weights with a card are safetensors: pickles can run code when they are opened. "
        f"Weights of another project: dfbench weights import {path.name} --model M; or train: dfbench train"
    )
