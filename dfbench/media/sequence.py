"""Read an image sequence: a folder, or a folder inside an archive, whose images are the frames of one clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media import limits
from dfbench.media.frames import Chooser, Frame, FrameCallback, FrameCollector, Reading, T, requested_frames
from dfbench.media.images import MAGIC_BYTES, SUPPORTED, decode_image, image_format
from dfbench.schema.media import sequence_order
from dfbench.text import one_line
from dfbench.untrusted import is_clutter, open_regular

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".gif"})


class ImageSource(Protocol):
    """Lists and loads the images of a sequence."""

    def names(self) -> Sequence[str]:
        """Return the file names of all images, in any order.

        Raises:
            DataError: the folder or archive cannot be read.
        """
        ...

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the bytes of some of the images; those that cannot be read are omitted."""
        ...


class FolderImages:
    """The images directly in a folder; symbolic links are followed only to files inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> Sequence[str]:
        """See :meth:`ImageSource.names`; hidden files and files without an image extension are skipped."""
        try:
            found = list(self.folder.iterdir())
        except OSError as error:
            raise DataError(
                f"{self.folder} cannot be read: {error.strerror}", "check the path and its permissions"
            ) from error
        home = self.folder.resolve()
        return [
            p.name
            for p in found
            if p.suffix.lower() in IMAGE_SUFFIXES
            and not p.name.startswith(".")
            and not is_clutter(p.name)
            and p.is_file()
            and (not p.is_symlink() or p.resolve().is_relative_to(home))
        ]

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See :meth:`ImageSource.load`; files over :data:`~dfbench.media.limits.LARGEST_IMAGE_FILE` are not read."""
        out = {}
        for name in names:
            try:
                with open_regular(self.folder / name) as stream:
                    if os.fstat(stream.fileno()).st_size <= limits.LARGEST_IMAGE_FILE:
                        out[name] = stream.read()
            except (OSError, DataError):
                continue
        return out


@overload
def read_sequence(images: ImageSource, choose: Chooser, name: str, callback: None = ...) -> Reading[Any]: ...
@overload
def read_sequence(images: ImageSource, choose: Chooser, name: str, callback: FrameCallback[T] = ...) -> Reading[T]: ...
def read_sequence(
    images: ImageSource, choose: Chooser, name: str, callback: FrameCallback[Any] | None = None
) -> Reading[Any]:
    """Decode the requested images of a sequence.

    Frames are numbered by their position in the numerical order of the file names: gaps in the names are no gaps in
    the numbers, and 10 comes after 9.

    Args:
        images: the images.
        choose: number of images -> requested frame numbers; see :func:`dfbench.media.reader.read`.
        name: name of the sequence for messages.
        callback: see :func:`dfbench.media.reader.read`.

    Raises:
        DataError: there is no image, or none of the requested ones decodes.
        UsageError: ``choose`` requests images that do not exist.
    """
    names = sorted(images.names(), key=sequence_order)
    if not names:
        raise DataError(f"{name} holds no image", "copy or unpack it again")
    numbers = requested_frames(choose, len(names), Path(name))
    collected = FrameCollector(callback if numbers else None)
    errors: dict[int, str] = {}
    # If nothing is requested, image 0 is decoded, so that a damaged sequence does not count as readable.
    for number in numbers or [0]:
        try:
            image = _decode(images.load([names[number]]).get(names[number]))
        except DataError as error:
            errors[number] = one_line(f"{names[number]}: {error.message}")
        else:
            collected.add(Frame(number, None, image))
    collected.flush()
    if collected.size is None:
        first = next(iter(errors.values()))
        raise DataError(f"no requested image of {name} decodes: {first}", "copy or unpack it again")
    return collected.reading(numbers, len(names), None, "image", errors)


def _decode(data: bytes | None) -> NDArray[np.uint8]:
    if data is None:
        raise DataError(
            f"it cannot be read, or has more than {limits.LARGEST_IMAGE_FILE} bytes", "check the file and its disk"
        )
    if image_format(data[:MAGIC_BYTES]) is None:
        raise DataError("not an image in a known format", SUPPORTED)
    return decode_image(data)
