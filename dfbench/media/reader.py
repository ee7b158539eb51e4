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

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.media.images import MAGIC_BYTES, decode_image, image_format
from dfbench.media.keeper import Frame, Glimpse, Keeper, Look

__all__ = ["Chooser", "Frame", "Glimpse", "Look", "Reading", "check_decoder", "decoder_names", "read", "wanted"]

Chooser = Callable[[int], Sequence[int]]
"""Number of frames that decode -> the frame numbers wanted."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The wanted frames of one clip or picture.

    Attributes:
        frame_count: number of frames up to the last one that decodes.
        width: width of an upright frame in pixels.
        height: height of an upright frame in pixels.
        fps: average frames per second, where the container says it.
        frames: frame number -> frame, for the wanted ones that decode; empty where they were looked at instead.
        errors: frame number -> reason, for the wanted ones that do not.
        mode: ``"index"`` where only what the wanted frames need was decoded, ``"sequential"`` where everything
            was, ``"image"`` for a still picture.
        seen: frame number -> what the look made of it; empty without one.
    """

    frame_count: int
    width: int
    height: int
    fps: float | None
    frames: dict[int, Frame]
    errors: dict[int, str]
    mode: Literal["index", "sequential", "image"]
    seen: dict[int, Glimpse]


def read(path: Path, choose: Chooser, decoder: str = "pyav", look: Look | None = None) -> Reading:
    """Decode the wanted frames of a clip, or a still picture.

    Args:
        path: the file.
        choose: called with the number of frames that decode, returns the frame numbers wanted, in any order;
            it may be called again with a smaller number when a clip turns out to be cut off.
        decoder: name of the video decoder; see :func:`decoder_names`.
        look: handed the wanted frames as they come, a few at a time; what it makes of them is kept in their stead.

    Raises:
        DataError: the file is missing, unreadable, no clip or picture, or none of its frames decodes.
        SetupError: the decoder is not installed.
        UsageError: the decoder's name is unknown, or ``choose`` asks for frames that do not exist.
    """
    if decoder not in _DECODERS:
        raise unknown_name("decoder", decoder, _DECODERS)
    path = Path(path)
    if image_format(_head(path)):
        return _read_picture(path, choose, look)
    return _DECODERS[decoder](path, choose, look)


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


def _read_picture(path: Path, choose: Chooser, look: Look | None) -> Reading:
    try:
        image = decode_image(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} can not be read: {error.strerror}", "check the file and its disk") from error
    except DataError as error:
        raise DataError(f"{path}: {error.message}", error.hint) from error
    height, width = image.shape[:2]
    keeper = Keeper(look)
    for number in wanted(choose, 1, path):
        keeper.add(Frame(number, None, image))
    keeper.finish()
    return Reading(1, width, height, None, keeper.frames, {}, "image", keeper.seen)


def _read_with_pyav(path: Path, choose: Chooser, look: Look | None) -> Reading:
    from dfbench.media.pyav_decoder import read_clip

    return read_clip(path, choose, look)


def _read_with_decord(path: Path, choose: Chooser, look: Look | None) -> Reading:
    from dfbench.media.decord_decoder import read_clip

    return read_clip(path, choose, look)


_DECODERS: Mapping[str, Callable[[Path, Chooser, Look | None], Reading]] = MappingProxyType(
    {"pyav": _read_with_pyav, "decord": _read_with_decord}
)
