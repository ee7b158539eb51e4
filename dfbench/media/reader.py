"""Read exact frames of a clip, or a still image, from a file of any name.

The content of a file decides what it is, not its name. Frame numbers count the frames that are shown, from 0; they
never come from the frame count that a container claims.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media.animation import MAY_MOVE, decode_images, image_count
from dfbench.media.frames import Chooser, Decoder, Frame, FrameCallback, FrameCollector, Reading, T, requested_frames
from dfbench.media.heif_boxes import is_heif
from dfbench.media.images import MAGIC_BYTES, decode_image, image_format
from dfbench.media.limits import LARGEST_IMAGE_FILE
from dfbench.registry import Registry, instance_of
from dfbench.untrusted import open_regular


@overload
def read(path: Path, choose: Chooser, decoder: str = ..., callback: None = ...) -> Reading[Any]: ...
@overload
def read(path: Path, choose: Chooser, decoder: str = ..., callback: FrameCallback[T] = ...) -> Reading[T]: ...
def read(
    path: Path, choose: Chooser, decoder: str = "pyav", callback: FrameCallback[Any] | None = None
) -> Reading[Any]:
    """Decode the requested frames of a clip, or a still image.

    Args:
        path: the file.
        choose: called with the number of frames that decode, returns the requested frame numbers, in any order;
            it may be called again with a smaller number if a clip turns out to be truncated.
        decoder: name of the video decoder; see :func:`decoder_names`.
        callback: called with the requested frames as they are decoded, a few at a time; its results are kept
            instead of the frames.

    Raises:
        DataError: the file is missing, unreadable, neither clip nor image, or none of its frames decodes.
        SetupError: the decoder is not installed.
        UsageError: the decoder's name is unknown, or ``choose`` requests frames that do not exist.
    """
    chosen = DECODERS.get(decoder)
    path = Path(path)
    kind = image_format(_head(path))
    if kind is not None:
        return _read_image_file(path, kind, choose, callback)
    if is_heif(path):
        from dfbench.media.heif import decode_heif  # PyAV is imported on first use

        return _read_image(path, lambda: decode_heif(path), choose, callback)
    with DECODERS.blame(decoder):
        return chosen.read(path, choose, callback)


def is_still(path: Path) -> bool:
    """Whether a file holds one image, by its content; False for clips, animations, and what cannot be read."""
    try:
        kind = image_format(_head(path))
        return is_heif(path) if kind is None else kind not in MAY_MOVE or image_count(kind, _content(path)) == 1
    except DataError:
        return False


def decoder_names() -> tuple[str, ...]:
    """Return the names of the video decoders."""
    return tuple(sorted(DECODERS))


def check_decoder(name: str) -> None:
    """Raise unless a decoder is known and installed; to be called before any clip is opened.

    Raises:
        UsageError: the name is unknown.
        SetupError: it is not installed.
    """
    decoder = DECODERS.get(name)
    with DECODERS.blame(name):
        decoder.check()


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            head = file.read(MAGIC_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its disk") from error
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise DataError(f"{path} does not exist", "check the path, and that the disk is mounted") from error
        raise
    if not head:
        raise DataError(f"{path} is empty", "copy or download it again")
    return head


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_IMAGE_FILE:
                raise DataError(f"{path} has {size} bytes, more than the limit of {LARGEST_IMAGE_FILE}", "shrink it")
            return file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its disk") from error


def _read_image_file(path: Path, kind: str, choose: Chooser, callback: FrameCallback[Any] | None) -> Reading[Any]:
    data = _content(path)
    count = image_count(kind, data) if kind in MAY_MOVE else 1
    if count == 1:
        return _read_image(path, lambda: decode_image(data), choose, callback)
    numbers = requested_frames(choose, count, path)
    collected = FrameCollector(callback if numbers else None)
    errors: dict[int, str] = {}
    try:
        # If nothing is requested, image 0 is decoded, so that a damaged file does not count as readable.
        for found in decode_images(kind, data, numbers or [0]):
            if found.image is None:
                errors[found.index] = found.error
            else:
                collected.add(Frame(found.index, found.time_s, found.image))
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    collected.flush()
    if collected.size is None:
        first = next(iter(errors.values()))
        raise DataError(f"{path}: {first}", "the file is damaged: copy or download it again")
    return collected.reading(numbers, count, None, "sequential", errors)


def _read_image(
    path: Path, decode: Callable[[], NDArray[np.uint8]], choose: Chooser, callback: FrameCallback[Any] | None
) -> Reading[Any]:
    try:
        image = decode()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its disk") from error
    except DataError as error:
        named = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise DataError(named, error.hint) from error
    collected = FrameCollector(callback)
    collected.size = image.shape[0], image.shape[1]
    numbers = requested_frames(choose, 1, path)
    for number in numbers:
        collected.add(Frame(number, None, image))
    collected.flush()
    return collected.reading(numbers, 1, None, "image")


def _read_with_pyav(path: Path, choose: Chooser, callback: FrameCallback[Any] | None) -> Reading[Any]:
    from dfbench.media.pyav_decoder import read_clip

    return read_clip(path, choose, callback)


def _read_with_decord(path: Path, choose: Chooser, callback: FrameCallback[Any] | None) -> Reading[Any]:
    from dfbench.media.decord_decoder import read_clip

    return read_clip(path, choose, callback)


def _check_decord() -> None:
    from dfbench.media.decord_decoder import load_decord

    load_decord()


DECODERS: Registry[Decoder] = Registry(
    "decoder",
    "dfbench.decoders",
    {
        "pyav": Decoder(_read_with_pyav, "PyAV (FFmpeg): exact frames of every format; the default"),
        "decord": Decoder(
            _read_with_decord, "decord: the same frames where its FFmpeg reads the format", _check_decord
        ),
    },
    check=instance_of(Decoder),
    listing="dfbench list decoders",
    describer=lambda decoder: decoder.summary,
)
