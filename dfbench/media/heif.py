"""Decode HEIF images (HEIC, AVIF) by FFmpeg's decoders: a single coded image, or a grid of tiles put together."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media.container import open_container, packets_of, prepare_decoder, reason
from dfbench.media.heif_boxes import HeifImage, TileGrid, read_heif_image
from dfbench.media.limits import MOST_PIXELS, beat, check_pixels, lacks_memory
from dfbench.untrusted import open_regular

_DAMAGED = "copy or download it again"
_MOST_STORED = 2 * MOST_PIXELS
"""Pixels of all tiles together; they hold less than a row and a column of tiles beyond the primary."""


def decode_heif(path: Path) -> NDArray[np.uint8]:
    """Decode the primary image of a HEIF file; thumbnails, depth maps and gain maps are not looked at.

    The image is cropped to its clean aperture, turned and mirrored as its properties say. EXIF is ignored, as HEIF
    demands.

    Args:
        path: the file.

    Returns:
        uint8 array (height, width, 3), RGB, upright.

    Raises:
        DataError: it is damaged, does not decode, is made in a way that is not supported, or has more than
            :data:`~dfbench.media.limits.MOST_PIXELS` pixels.
        MemoryError: memory ran out.
    """
    with open_regular(path) as file:
        primary = read_heif_image(file)
    grid = primary.grid
    if grid is not None:
        check_pixels(grid.width, grid.height)
    wanted = frozenset({primary.item} if grid is None else grid.tiles)
    coded = _decode(path, wanted)
    missing = wanted - coded.keys()
    if missing:
        what = "image" if grid is None else f"tile {sorted(grid.tiles.index(item) for item in missing)[0]}"
        raise DataError(f"the {what} does not decode", _DAMAGED)
    return _shown(coded[primary.item] if grid is None else _put_together(coded, grid), primary)


def _decode(path: Path, wanted: frozenset[int]) -> dict[int, NDArray[np.uint8]]:
    """Return id -> pixels of the items that decode without damage."""
    out: dict[int, NDArray[np.uint8]] = {}
    with open_container(path) as container:
        # Streams carry the ids of their items.
        streams = {s.index: s for s in container.streams.video if s.id in wanted and s.codec_context is not None}
        for stream in streams.values():
            check_pixels(stream.codec_context.width, stream.codec_context.height)
            prepare_decoder(stream.codec_context)
        stored, failure = 0, ""
        try:
            for packet in packets_of(container, *streams.values()) if streams else ():
                beat()
                stream = streams[packet.stream.index]
                for frame in packet.decode():  # the last packet of a stream is empty and fetches what is left
                    stored += frame.width * frame.height
                    if stored > _MOST_STORED:
                        raise DataError(f"its tiles have more than {_MOST_STORED / 1e6:g} million pixels", _DAMAGED)
                    if not frame.is_corrupt:
                        out.setdefault(stream.id, frame.to_ndarray(format="rgb24"))
        except (av.FFmpegError, OSError, ValueError) as error:
            if lacks_memory(error):
                raise MemoryError(reason(error)) from error
            failure = reason(error)
    if failure:  # raised here, so that a lack of memory that is the file's fault is not taken for the machine's
        raise DataError(f"the image does not decode: {failure}", _DAMAGED)
    return out


def _put_together(tiles: Mapping[int, NDArray[np.uint8]], grid: TileGrid) -> NDArray[np.uint8]:
    height, width = tiles[grid.tiles[0]].shape[:2]
    rows = len(grid.tiles) // grid.columns
    if width * grid.columns < grid.width or height * rows < grid.height:
        raise DataError(f"tiles of {width}x{height} pixels do not cover {grid.width}x{grid.height}", _DAMAGED)
    out = np.empty((grid.height, grid.width, 3), np.uint8)
    for number, item in enumerate(grid.tiles):
        tile = tiles[item]
        if tile.shape[:2] != (height, width):
            raise DataError(f"tile {number} is not of the size of the others, {width}x{height}", _DAMAGED)
        y, x = height * (number // grid.columns), width * (number % grid.columns)
        part = out[y : y + height, x : x + width]
        part[:] = tile[: part.shape[0], : part.shape[1]]
    return out


def _shown(image: NDArray[np.uint8], primary: HeifImage) -> NDArray[np.uint8]:
    if primary.crop is not None:
        image = _cropped(image, primary.crop)
    for orientation in primary.orientations:
        image = orientation.apply(image)
    return np.ascontiguousarray(image)


def _cropped(image: NDArray[np.uint8], crop: tuple[int, ...]) -> NDArray[np.uint8]:
    if 0 in crop[1::2]:
        raise DataError("the clean aperture of the image is damaged", _DAMAGED)
    width, height, x, y = (Fraction(value, by) for value, by in zip(crop[::2], crop[1::2], strict=True))
    left = (image.shape[1] - width) / 2 + x
    top = (image.shape[0] - height) / 2 + y
    box = [round(value) for value in (left, top, left + width, top + height)]
    if not (0 <= box[0] < box[2] <= image.shape[1] and 0 <= box[1] < box[3] <= image.shape[0]):
        raise DataError("the clean aperture of the image lies outside of it", _DAMAGED)
    return image[box[1] : box[3], box[0] : box[2]]
