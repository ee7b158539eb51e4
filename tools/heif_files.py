"""Write HEIF files (HEIC, AVIF) box by box: in tiles, turned, mirrored or cropped, for tests and the fuzzer."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Item:
    """One item: a coded image, or what is derived from others.

    Attributes:
        kind: four characters: ``hvc1``, ``av01``, ``grid``, ...
        data: its content.
        properties: boxes that describe it, in order.
        tiles: numbers of the items that it is derived from; the first item has number 1.
    """

    kind: str
    data: bytes
    properties: tuple[bytes, ...] = ()
    tiles: tuple[int, ...] = field(default=())


def box(kind: str, *content: bytes) -> bytes:
    """Return a box."""
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind.encode()) + data


def full(kind: str, *content: bytes, version: int = 0) -> bytes:
    """Return a box with a version."""
    return box(kind, struct.pack(">I", version << 24), *content)


def find(data: bytes, kind: bytes) -> bytes:
    """Return the first box of a kind, wherever it lies."""
    at = data.index(kind) - 4
    return data[at : at + struct.unpack_from(">I", data, at)[0]]


def turned(quarters: int) -> bytes:
    """Return the property that turns an image counter-clockwise."""
    return box("irot", bytes([quarters]))


def mirrored(axis: int) -> bytes:
    """Return the property that exchanges top and bottom (0) or left and right (1)."""
    return box("imir", bytes([axis]))


def clean_aperture(width: int, height: int, x: int, y: int) -> bytes:
    """Return the property that crops an image; the centre moves by x and y, in halves of a pixel."""
    return box("clap", struct.pack(">IIIIiIiI", width, 1, height, 1, x, 2, y, 2))


def coded_av1(image: np.ndarray) -> Item:
    """Encode an image by libavif."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "AVIF", quality=90, subsampling="4:4:4", speed=10)
    data = buffer.getvalue()
    return Item(
        "av01", find(data, b"mdat")[8:], tuple(find(data, kind) for kind in (b"ispe", b"av1C", b"colr", b"pixi"))
    )


def coded_hevc(image: np.ndarray) -> Item:
    """Encode an image by x265."""
    import av

    height, width = image.shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        with av.open(str(path), "w") as out:
            options = {"x265-params": "log-level=none", "crf": "8", "preset": "ultrafast"}
            stream: Any = out.add_stream("libx265", rate=1, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1, 1)
            for packet in stream.encode(frame) + stream.encode(None):
                packet.dts = packet.pts = 0  # x265 leaves the time of a single frame undefined
                out.mux(packet)
        with av.open(str(path)) as container:
            sample = bytes(next(container.demux(video=0)))
        return Item("hvc1", sample, (_size(width, height), find(path.read_bytes(), b"hvcC")))


def _size(width: int, height: int) -> bytes:
    return full("ispe", struct.pack(">II", width, height))


def grid(tiles: Sequence[Item], columns: int, width: int, height: int, *properties: bytes) -> list[Item]:
    """Return the items of an image in tiles; the image is the last."""
    shape = struct.pack(">BBBBHH", 0, 0, len(tiles) // columns - 1, columns - 1, width, height)
    numbers = tuple(range(1, len(tiles) + 1))
    return [*tiles, Item("grid", shape, (_size(width, height), *properties), numbers)]


def write_heif(path: Path, items: Sequence[Item], primary: int = 0, brand: str = "heic", inline: bool = True) -> Path:
    """Write a file.

    Args:
        path: the file.
        items: numbered from 1.
        primary: number of the image that is shown; default: the last.
        brand: major brand.
        inline: grids stand in the box ``idat``, as telephones write them, or else in the file's ``mdat``.
    """
    shared = list(dict.fromkeys(p for item in items for p in item.properties))
    links = b"".join(
        struct.pack(">HB", n, len(item.properties)) + bytes(0x80 | (shared.index(p) + 1) for p in item.properties)
        for n, item in enumerate(items, 1)
    )
    entries = [
        full("infe", struct.pack(">HH", n, 0), i.kind.encode(), b"\0", version=2) for n, i in enumerate(items, 1)
    ]
    references = [
        box("dimg", struct.pack(f">HH{len(i.tiles)}H", n, len(i.tiles), *i.tiles))
        for n, i in enumerate(items, 1)
        if i.tiles
    ]
    inside = [inline and item.kind == "grid" for item in items]
    stored = b"".join(item.data for item, is_inside in zip(items, inside, strict=True) if is_inside)
    start = box("ftyp", brand.encode(), bytes(4), b"mif1", brand.encode())

    def meta(first: int) -> bytes:
        places, at, at_inside = b"", first, 0
        for n, (item, is_inside) in enumerate(zip(items, inside, strict=True), 1):
            place = at_inside if is_inside else at
            places += struct.pack(">HHHHII", n, is_inside, 0, 1, place, len(item.data))
            at, at_inside = at + len(item.data) * (not is_inside), at_inside + len(item.data) * is_inside
        return full(
            "meta",
            full("hdlr", bytes(4), b"pict", bytes(13)),
            full("pitm", struct.pack(">H", primary or len(items))),
            full("iloc", struct.pack(">HH", 0x4400, len(items)), places, version=1),
            full("iinf", struct.pack(">H", len(items)), *entries),
            *([full("iref", *references)] if references else []),
            box("iprp", box("ipco", *shared), full("ipma", struct.pack(">I", len(items)), links)),
            *([box("idat", stored)] if stored else []),
        )

    outside = [item.data for item, is_inside in zip(items, inside, strict=True) if not is_inside]
    path.write_bytes(start + meta(len(start) + len(meta(0)) + 8) + box("mdat", *outside))
    return path
