"""CenterFace: face boxes.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2020.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.faces.bundled_weights import load_any_size_centerface
from dfbench.faces.session import runtime_of, session, suffix
from dfbench.media.limits import beat

LONG_SIDE = 640
LARGEST_LONG_SIDE = 1920
LEAST_LONG_SIDE = 128
STRIDE = 32
LARGEST_TILE = 1024
TILE_OVERLAP = 128
THRESHOLD = 0.5
OVERLAP = 0.3

_OUTPUTS = ("537", "538", "539")  # heat map of centres, log sizes, offsets of centres
_MAP_STRIDE = 4  # pixels of the network's input per pixel of its output maps


class CenterFace:
    """Face boxes by CenterFace, one frame per call.

    Frames are shrunk to a longer side of 640 pixels by default; smaller frames keep their size.

    Args:
        threads: CPU threads of the network.
        device: see :func:`dfbench.faces.session.session`.

    Attributes:
        fingerprint: what the execution provider adds to a face detector's fingerprint.
        runtime: what runs the network, with version.
    """

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._session = session(load_any_size_centerface(), threads, device)
        self.fingerprint = suffix(self._session)
        self.runtime = runtime_of(self._session)

    def boxes(
        self, frame: NDArray[np.uint8], long_side: int = LONG_SIDE, threshold: float = THRESHOLD
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Find faces.

        Args:
            frame: uint8 (height, width, 3), RGB.
            long_side: larger frames are shrunk to this longer side.
            threshold: boxes with at most this score are dropped. Those with a score above :data:`THRESHOLD` do not
                depend on it.

        Returns:
            Boxes (n, 4) x1 y1 x2 y2 in pixels of the frame, float32, and scores (n,) in [threshold, 1], best first.
        """
        net_width, net_height = input_size(frame.shape[1], frame.shape[0], long_side)
        resized, shown = shrink(frame, net_width, net_height)
        found = [
            self._in_tile(resized, left, top, width, height, threshold)
            for top, height in tiles(net_height)
            for left, width in tiles(net_width)
        ]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = suppress(boxes, scores, OVERLAP)
        scale = np.array([shown[0] / net_width, shown[1] / net_height] * 2)
        return (boxes[kept] * scale).astype(np.float32), scores[kept].astype(np.float32)

    def _in_tile(
        self, image: NDArray[np.uint8], left: int, top: int, width: int, height: int, threshold: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return boxes in pixels of the image, and scores, of the faces in one rectangle of it."""
        beat()  # a batch of large frames without a face takes long on a slow machine
        tile = image[top : top + height, left : left + width]
        planes = np.ascontiguousarray(tile.transpose(2, 0, 1)[None], np.float32)
        heat, sizes, offsets = (out[0] for out in self._session.run(_OUTPUTS, {"input.1": planes}))
        boxes, scores = decode(heat[0], sizes, offsets, width, height, threshold)
        return boxes + np.array([left, top] * 2), scores


def input_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Return width and height of the network's input for a frame, multiples of 32.

    >>> input_size(1280, 720), input_size(320, 240), input_size(360, 288)
    ((640, 384), (320, 256), (384, 288))
    """
    scale = min(1.0, long_side / max(width, height))
    # Without the small slack, 1280 * (640 / 1280) could come out a rounding error above 640.
    net_width, net_height = (max(1, math.ceil(side * scale / STRIDE - 1e-9)) * STRIDE for side in (width, height))
    return net_width, net_height


def tiles(length: int) -> list[tuple[int, int]]:
    """Split a side of the network's input, so that the memory it needs does not grow with the frame.

    Args:
        length: in pixels, a multiple of 32.

    Returns:
        Start and length of each part, multiples of 32, the length at most 1024. Neighbours overlap by at least 128
        pixels: a face that is too small for a shrunk frame lies in one of them as a whole.

    >>> tiles(640), tiles(1088), tiles(1920)
    ([(0, 640)], [(0, 608), (480, 608)], [(0, 1024), (896, 1024)])
    """
    count = max(1, math.ceil((length - TILE_OVERLAP) / (LARGEST_TILE - TILE_OVERLAP))) if length > LARGEST_TILE else 1
    part = math.ceil((length + (count - 1) * TILE_OVERLAP) / count / STRIDE) * STRIDE
    return [(min(n * (part - TILE_OVERLAP), length - part), part) for n in range(count)]


def shrink(frame: NDArray[np.uint8], width: int, height: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Resize a frame: halve it by means of 2 x 2 pixels while it is at least twice as large, then resample linearly.

    ``cv2.INTER_AREA`` without the halving takes several times as long and finds no more faces.

    Args:
        frame: uint8 (height, width, 3), RGB.
        width: of the result in pixels.
        height: of the result in pixels.

    Returns:
        The resized frame, and width and height of the part of the frame that it shows: halving drops the last columns
        and rows that it cannot pair.
    """
    halvings = 0
    while max(frame.shape[1] / width, frame.shape[0] / height) >= 2 ** (halvings + 1):
        halvings += 1
    step = 2**halvings
    shown = frame.shape[1] // step * step, frame.shape[0] // step * step
    image = frame[: shown[1], : shown[0]]
    for _ in range(halvings):
        half = image.shape[1] // 2, image.shape[0] // 2
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8), shown


def larger_long_side(width: int, height: int) -> int | None:
    """Return the longer side at which a frame is searched for faces that are too small for the first search.

    Returns:
        That of the frame, at most 1920; None if the frame is no larger than the first search needs.

    >>> larger_long_side(1280, 720), larger_long_side(3840, 2160), larger_long_side(640, 480)
    (1280, 1920, None)
    """
    longest = max(width, height)
    return min(longest, LARGEST_LONG_SIDE) if longest > LONG_SIDE else None


def smaller_long_side(width: int, height: int, scale: float) -> int | None:
    """Return the longer side, a multiple of 32, of a frame shrunk by ``scale``; None if that saves less than a fifth.

    >>> smaller_long_side(1280, 720, 0.2), smaller_long_side(640, 480, 0.1), smaller_long_side(640, 480, 0.9)
    (256, 128, None)
    """
    longest = max(width, height)
    side = max(LEAST_LONG_SIDE, math.ceil(longest * scale / STRIDE - 1e-9) * STRIDE)
    return side if side <= 0.8 * min(longest, LONG_SIDE) else None


def decode(
    heat: NDArray[np.float32],
    sizes: NDArray[np.float32],
    offsets: NDArray[np.float32],
    width: int,
    height: int,
    threshold: float = THRESHOLD,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return boxes (n, 4) in pixels of the network's input, and scores (n,), from its output maps.

    Args:
        heat: (h, w) score of a face centre.
        sizes: (2, h, w) logarithm of height and width in map pixels.
        offsets: (2, h, w) vertical and horizontal offset of the centre in map pixels.
        width: width of the network's input in pixels, to which boxes are clipped.
        height: its height in pixels.
        threshold: least score, exclusive.
    """
    rows, columns = np.nonzero(heat > threshold)
    box_height, box_width = np.exp(sizes[:, rows, columns].astype(np.float64)) * _MAP_STRIDE
    down, right = offsets[:, rows, columns].astype(np.float64)
    left = np.clip((columns + right + 0.5) * _MAP_STRIDE - box_width / 2, 0, width)
    top = np.clip((rows + down + 0.5) * _MAP_STRIDE - box_height / 2, 0, height)
    boxes = np.stack([left, top, np.minimum(left + box_width, width), np.minimum(top + box_height, height)], axis=1)
    return boxes, heat[rows, columns].astype(np.float64)


def suppress(boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float) -> NDArray[np.intp]:
    """Apply greedy non-maximum suppression.

    Args:
        boxes: (n, 4) x1 y1 x2 y2, corners included (a side is ``x2 - x1 + 1``).
        scores: (n,).
        overlap: boxes whose intersection over union with a better one exceeds this are dropped.

    Returns:
        Indices of the boxes kept, best first; equal scores keep their order.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.intp)
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.maximum(0, np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1)
        height = np.maximum(0, np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1)
        common = width * height
        order = rest[common / (areas[best] + areas[rest] - common) <= overlap]
    return np.array(kept, np.intp)
