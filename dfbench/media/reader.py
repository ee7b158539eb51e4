"""Read exact frames of a clip, or a still picture, from a file of any name.

What a file is, its content decides. Frame numbers count the frames that are shown, from 0; they never come
from the frame count that a container claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.media.images import MAGIC_BYTES, decode_image, image_format

Chooser = Callable[[int], Sequence[int]]
"""Number of frames that decode -> the frame numbers wanted."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: frame number from 0.
        time_s: presentation time in seconds as the container gives it; ``None`` for pictures and for clips
            that store no such times.
        image: uint8 array (height, width, 3), RGB, upright (rotation of the container applied).
    """

    index: int
    time_s: float | None
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Reading:
    """The wanted frames of one clip or picture.

    Attributes:
        frame_count: number of frames up to the last one that decodes.
        width: width of an upright frame in pixels.
        height: height of an upright frame in pixels.
        fps: average frames per second, where the container says it.
        frames: frame number -> frame, for the wanted ones that decode.
        errors: frame number -> reason, for the wanted ones that do not.
        mode: ``"index"`` where only what the wanted frames need was decoded, ``"sequential"`` where everything
            was, ``"image"`` for a still picture.
    """

    frame_count: int
    width: int
    height: int
    fps: float | None
    frames: dict[int, Frame]
    errors: dict[int, str]
    mode: Literal["index", "sequential", "image"]


def read(path: Path, choose: Chooser, decoder: str = "pyav") -> Reading:
    """Decode the wanted frames of a clip, or a still picture.

    Args:
        path: the file.
        choose: called with the number of frames that decode, returns the frame numbers wanted, in any order;
            it may be called again with a smaller number when a clip turns out to be cut off.
        decoder: name of the video decoder; see :func:`decoder_names`.

    Raises:
        DataError: the file is missing, unreadable, no clip or picture, or none of its frames decodes.
        SetupError: the decoder is not installed.
        UsageError: the decoder's name is unknown, or ``choose`` asks for frames that do not exist.
    """
    if decoder not in _DECODERS:
        raise unknown_name("decoder", decoder, _DECODERS)
    path = Path(path)
    if image_format(_head(path)):
        return _read_picture(path, choose)
    return _DECODERS[decoder](path, choose)


def decoder_names() -> tuple[str, ...]:
    """The names of the video decoders."""
    return tuple(sorted(_DECODERS))


def check_decoder(name: str) -> None:
    """Refuse a decoder that is unknown or not installed, before any clip is opened.

    Raises:
        UsageError: the name is unknown.
        SetupError: it is not installed.
    """
    if name not in _DECODERS:
        raise unknown_name("decoder", name, _DECODERS)
    if name == "decord":
        from dfbench.media.decord_decoder import load_decord

        load_decord()


def wanted(choose: Chooser, count: int, path: Path) -> list[int]:
    """The sorted, distinct frame numbers that ``choose`` wants of ``count`` frames.

    Raises:
        UsageError: one of them does not exist.
    """
    numbers = sorted({int(i) for i in choose(count)})
    outside = [i for i in numbers if not 0 <= i < count]
    if outside:
        raise UsageError(
            f"frame {outside[0]} was asked of {path}, which has {count} frames", f"numbers run from 0 to {count - 1}"
        )
    return numbers


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(MAGIC_BYTES)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", "check the path, and that the disk is mounted") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} can not be read: {why}", "check what it is and its permissions") from error
    if not head:
        raise DataError(f"{path} is empty", "copy or download it again")
    return head


def _read_picture(path: Path, choose: Chooser) -> Reading:
    try:
        image = decode_image(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} can not be read: {error.strerror}", "check the file and its disk") from error
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    height, width = image.shape[:2]
    frames = {i: Frame(i, None, image) for i in wanted(choose, 1, path)}
    return Reading(1, width, height, None, frames, {}, "image")


def _read_with_pyav(path: Path, choose: Chooser) -> Reading:
    from dfbench.media.pyav_decoder import read_clip

    return read_clip(path, choose)


def _read_with_decord(path: Path, choose: Chooser) -> Reading:
    from dfbench.media.decord_decoder import read_clip

    return read_clip(path, choose)


_DECODERS: Mapping[str, Callable[[Path, Chooser], Reading]] = MappingProxyType(
    {"pyav": _read_with_pyav, "decord": _read_with_decord}
)
