"""How stored pixels are shown: turned and mirrored, by a display matrix, EXIF or the properties of a HEIF image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to show an image: first rows and columns are exchanged, then the axes are reversed.

    Attributes:
        transposed: whether rows become columns.
        mirrored_x: whether left and right are exchanged, after the exchange of rows and columns.
        mirrored_y: whether top and bottom are exchanged, after the exchange of rows and columns.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @property
    def is_mirror(self) -> bool:
        """Whether it is no rotation: text would be shown in mirror writing."""
        return self.transposed ^ self.mirrored_x ^ self.mirrored_y

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image as it is shown, contiguous in memory.

        Args:
            image: uint8 array (height, width, channels), as stored.

        >>> Orientation(transposed=True, mirrored_x=True).apply(np.array([[[1], [2]]], np.uint8)).tolist()
        [[[1]], [[2]]]
        """
        shown = image.swapaxes(0, 1) if self.transposed else image
        shown = shown[:, ::-1] if self.mirrored_x else shown
        return np.ascontiguousarray(shown[::-1] if self.mirrored_y else shown)


AS_STORED = Orientation()

EXIF_ORIENTATIONS = (
    AS_STORED,
    Orientation(mirrored_x=True),
    Orientation(mirrored_x=True, mirrored_y=True),
    Orientation(mirrored_y=True),
    Orientation(transposed=True),
    Orientation(transposed=True, mirrored_x=True),
    Orientation(transposed=True, mirrored_x=True, mirrored_y=True),
    Orientation(transposed=True, mirrored_y=True),
)
"""The values 1 to 8 of the EXIF tag 274, in this order."""
_EXIF_TAG = 274


def exif_orientation(tags: Mapping[int, Any]) -> Orientation:
    """Return the orientation that EXIF tags state; as stored where they state none.

    >>> exif_orientation({274: 2}) == EXIF_ORIENTATIONS[1]
    True
    """
    value = tags.get(_EXIF_TAG, 1)
    return EXIF_ORIENTATIONS[value - 1] if value in range(1, 9) else AS_STORED


def matrix_orientation(matrix: Sequence[int]) -> Orientation:
    """Return the orientation that is nearest to a display matrix.

    Args:
        matrix: a, b, u, c, d, v, x, y, w as in the track header of ISO/IEC 14496-12, which shows the pixel (p, q) at
            (a p + c q + x, b p + d q + y), with q counted downwards. Scale and shear are ignored.

    >>> matrix_orientation([-1, 0, 0, 0, 1, 0, 0, 0, 1])
    Orientation(transposed=False, mirrored_x=True, mirrored_y=False)
    """
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def frame_orientation(frame: Any) -> Orientation:
    """Return the orientation of a frame that PyAV decoded."""
    if not frame.side_data:  # most frames: looking for a matrix would cost more
        return AS_STORED
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    return AS_STORED if data is None else matrix_orientation(np.frombuffer(bytes(data), np.int32, 9).tolist())
