"""Read an image sequence, whose images are the frames of one clip, as if it were one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media.images import MAGIC_BYTES, decode_image, image_format
from dfbench.media.keeper import Frame, Keeper, Look
from dfbench.media.reader import Chooser, Reading, wanted
from dfbench.schema.media import sequence_order

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".gif"})


class Pictures(Protocol):
    """Where the images of a sequence lie."""

    def names(self) -> Sequence[str]:
        """File names of all images, in any order.

        Raises:
            DataError: the place can not be read.
        """
        ...

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """The bytes of some of the images; those that can not be read are left away."""
        ...


class FolderPictures:
    """The images that lie directly in a folder; links are followed only to files inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> Sequence[str]:
        """See :meth:`Pictures.names`; hidden files and what has no picture's extension are passed over."""
        try:
            found = list(self.folder.iterdir())
        except OSError as error:
            raise DataError(f"{self.folder} can not be read: {error.strerror}", "check path and rights") from error
        home = self.folder.resolve()
        return [
            p.name
            for p in found
            if p.suffix.lower() in IMAGE_SUFFIXES
            and not p.name.startswith(".")
            and p.is_file()
            and (not p.is_symlink() or p.resolve().is_relative_to(home))
        ]

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See :meth:`Pictures.load`."""
        out = {}
        for name in names:
            try:
                out[name] = (self.folder / name).read_bytes()
            except OSError:
                continue
        return out


def read_sequence(pictures: Pictures, choose: Chooser, where: str, look: Look | None = None) -> Reading:
    """Decode the wanted images of a sequence.

    Frames are numbered by their place in the numerical order of the file names: gaps in the names are no gaps in the
    numbers, and 10 comes after 9.

    Args:
        pictures: the images.
        choose: number of images -> numbers wanted; see :func:`dfbench.media.reader.read`.
        where: what to call the sequence in messages.
        look: what to do with them; see :func:`dfbench.media.reader.read`.

    Raises:
        DataError: there is no image, or none of the wanted ones decodes.
        UsageError: ``choose`` asks for images that do not exist.
    """
    names = sorted(pictures.names(), key=sequence_order)
    if not names:
        raise DataError(f"{where} holds no image", "copy or unpack it again")
    numbers = wanted(choose, len(names), Path(where))
    # Image 0 stands in where nothing is wanted, so that a damaged sequence does not pass for readable.
    asked = numbers or [0]
    keeper = Keeper(look if numbers else None)
    errors: dict[int, str] = {}
    for number in asked:
        try:
            picture = _decode(pictures.load([names[number]]).get(names[number]))
        except DataError as error:
            errors[number] = f"{names[number]}: {error.message}"
        else:
            keeper.add(Frame(number, None, picture))
    keeper.finish()
    if keeper.size is None:
        first = next(iter(errors.values()))
        raise DataError(f"no image of {where} that is wanted decodes: {first}", "copy or unpack it again")
    height, width = keeper.size
    frames, seen = keeper.of(numbers)
    return Reading(len(names), width, height, None, frames, errors if numbers else {}, "image", seen)


def _decode(data: bytes | None) -> NDArray[np.uint8]:
    if data is None:
        raise DataError("it can not be read", "check the file and its disk")
    if image_format(data[:MAGIC_BYTES]) is None:
        raise DataError("not a picture in a known format", "JPEG, PNG, WebP, BMP, TIFF and JPEG 2000 are read")
    return decode_image(data)
