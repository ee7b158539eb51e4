"""Boxes of faces: suppression of doubles, squares, cut-outs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


def suppress(boxes: FloatArray, scores: FloatArray, overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: (n, 4) x1 y1 x2 y2, corners counted in (a side is ``x2 - x1 + 1``).
        scores: (n,).
        overlap: boxes whose intersection over union with a better one exceeds this are dropped.

    Returns:
        Indices of the boxes kept, the best first; equal scores keep their order.
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


def squared(boxes: FloatArray) -> FloatArray:
    """Squares with the centres and the longer sides of the boxes, (n, 4)."""
    side = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    left = (boxes[:, 0] + boxes[:, 2] - side) / 2
    top = (boxes[:, 1] + boxes[:, 3] - side) / 2
    return np.stack([left, top, left + side, top + side], axis=1)


def cut_out(image: NDArray[np.uint8], box: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """The box (x1 y1 x2 y2, whole pixels) of an image, shrunk or enlarged to a square; black beyond the border."""
    height, width = image.shape[:2]
    x1, y1 = int(box[0]), int(box[1])
    x2, y2 = max(int(box[2]), x1 + 1), max(int(box[3]), y1 + 1)
    inner = image[max(y1, 0) : max(min(y2, height), 0), max(x1, 0) : max(min(x2, width), 0)]
    if inner.size == 0:
        return np.zeros((side, side, 3), np.uint8)
    margins = (max(0, -y1), max(0, y2 - height), max(0, -x1), max(0, x2 - width))
    if any(margins):
        inner = np.asarray(cv2.copyMakeBorder(inner, *margins, cv2.BORDER_CONSTANT), np.uint8)
    return np.asarray(cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
