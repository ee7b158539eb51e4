"""CenterFace: boxes of faces.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2020.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.faces.bundled_weights import load_any_size_centerface
from dfbench.faces.centerface import suppress
from dfbench.faces.session import session, suffix

LONG_SIDE = 640
LEAST_LONG_SIDE = 128
STRIDE = 32
THRESHOLD = 0.5
OVERLAP = 0.3

_OUTPUTS = ("537", "538", "539")  # heat map of centres, log sizes, offsets of centres
_CELL = 4  # pixels of the network's input per cell of its maps


class CenterFace:
    """Boxes of faces by CenterFace, one frame a call.

    Frames are looked at with their longer side at 640 pixels, or at their own size where they are smaller.

    Attributes:
        fingerprint: what the execution provider adds to a face detector's fingerprint.
    """

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._session = session(load_any_size_centerface(), threads, device)
        self.fingerprint = suffix(self._session)

    def boxes(
        self, frame: NDArray[np.uint8], long_side: int = LONG_SIDE
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Find faces.

        Args:
            frame: uint8 (height, width, 3), RGB.
            long_side: larger frames are shrunk to this longer side.

        Returns:
            Boxes (n, 4) x1 y1 x2 y2 in pixels of the frame, float32, and scores (n,) in [0.5, 1], the best first.
        """
        height, width = frame.shape[:2]
        net_width, net_height = input_size(width, height, long_side)
        # Shrinking needs averaging; the rounding up to the stride of an unshrunk frame is a slight enlargement.
        method = cv2.INTER_AREA if max(width, height) > long_side else cv2.INTER_LINEAR
        resized = cv2.resize(frame, (net_width, net_height), interpolation=method)
        planes = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], np.float32)
        heat, sizes, offsets = (out[0] for out in self._session.run(_OUTPUTS, {"input.1": planes}))
        boxes, scores = decode(heat[0], sizes, offsets, net_width, net_height)
        kept = suppress(boxes, scores, OVERLAP)
        scale = np.array([width / net_width, height / net_height] * 2)
        return (boxes[kept] * scale).astype(np.float32), scores[kept].astype(np.float32)


def input_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height at which the network looks at a frame, multiples of 32.

    >>> input_size(1280, 720), input_size(320, 240), input_size(360, 288)
    ((640, 384), (320, 256), (384, 288))
    """
    scale = min(1.0, long_side / max(width, height))
    # Without the small slack, 1280 * (640 / 1280) could come out a rounding error above 640.
    net_width, net_height = (max(1, math.ceil(side * scale / STRIDE - 1e-9)) * STRIDE for side in (width, height))
    return net_width, net_height


def smaller_long_side(width: int, height: int, scale: float) -> int | None:
    """The longer side, a multiple of 32, of a frame shrunk by ``scale``; None where that saves less than a fifth.

    >>> smaller_long_side(1280, 720, 0.2), smaller_long_side(640, 480, 0.1), smaller_long_side(640, 480, 0.9)
    (256, 128, None)
    """
    longest = max(width, height)
    side = max(LEAST_LONG_SIDE, math.ceil(longest * scale / STRIDE - 1e-9) * STRIDE)
    return side if side <= 0.8 * min(longest, LONG_SIDE) else None


def decode(
    heat: NDArray[np.float32], sizes: NDArray[np.float32], offsets: NDArray[np.float32], width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes (n, 4) in pixels of the network's input, and scores (n,), from its maps.

    Args:
        heat: (h, w) score of a face centre.
        sizes: (2, h, w) logarithm of height and width in cells.
        offsets: (2, h, w) vertical and horizontal offset of the centre in cells.
        width: width of the network's input, to which boxes are clipped.
        height: likewise its height.
    """
    rows, columns = np.nonzero(heat > THRESHOLD)
    box_height, box_width = np.exp(sizes[:, rows, columns].astype(np.float64)) * _CELL
    down, right = offsets[:, rows, columns].astype(np.float64)
    left = np.clip((columns + right + 0.5) * _CELL - box_width / 2, 0, width)
    top = np.clip((rows + down + 0.5) * _CELL - box_height / 2, 0, height)
    boxes = np.stack([left, top, np.minimum(left + box_width, width), np.minimum(top + box_height, height)], axis=1)
    return boxes, heat[rows, columns].astype(np.float64)
