"""Piecewise affine warps of the face mesh: a triangle map drawn from far to near, then one remap."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import Floats

_SHIFT = 4
_CLOSE = np.ones((5, 5), np.uint8)


@dataclass(frozen=True, eq=False)
class WarpMap:
    """Source position of each pixel of a window of the image: ``x``, ``y`` (h, w) float32, ``inside`` (h, w) bool.

    ``left``, ``top`` is the window's corner in the image.
    """

    left: int
    top: int
    x: Floats
    y: Floats
    inside: NDArray[np.bool_]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        height, width = self.x.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def sample(self, image: Floats | NDArray[np.uint8], interpolation: int = cv2.INTER_LINEAR) -> Floats:
        """Return the image (H, W, C) sampled through the map: (h, w, C) float32."""
        out = cv2.remap(image, self.x, self.y, interpolation, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(out, np.float32)


def window_of(xy: Floats, width: int, height: int, margin: int = 3) -> tuple[int, int, int, int]:
    """Return the integer box x1 y1 x2 y2 around points, inside the image (empty boxes have one pixel)."""
    low, high = np.floor(xy.min(0)) - margin, np.ceil(xy.max(0)) + margin
    x1, y1 = int(np.clip(low[0], 0, width - 1)), int(np.clip(low[1], 0, height - 1))
    return x1, y1, int(np.clip(high[0], x1 + 1, width)), int(np.clip(high[1], y1 + 1, height))


def warp_map(
    to_xy: Floats, depth: Floats, from_xy: Floats, triangles: NDArray[np.int32], width: int, height: int
) -> WarpMap:
    """Return the map of an image (width, height) that shows the image of ``from_xy`` at ``to_xy``.

    Args:
        to_xy: (P, 2) points in the new image.
        depth: (P,) depth of the points; near triangles cover far ones.
        from_xy: (P, 2) the same points in the image or texture that is sampled.
        triangles: (T, 3) point indices.
        width: width of the new image in pixels.
        height: its height in pixels.
    """
    x1, y1, x2, y2 = window_of(to_xy[triangles.ravel()], width, height)
    target, source = to_xy[triangles].astype(np.float64), from_xy[triangles].astype(np.float64)
    area = _doubled_area(target)
    facing = np.sign(area) == np.sign(_doubled_area(source))
    kept = facing & (np.abs(area) > 0.02)
    order = np.argsort(-depth[triangles].mean(1), kind="stable")
    order = order[kept[order]]
    index = np.full((y2 - y1, x2 - x1), -1, np.int16)
    corners = np.round((target - [x1, y1]) * (1 << _SHIFT)).astype(np.int32)
    for number in order:
        cv2.fillConvexPoly(index, corners[number], int(number), cv2.LINE_8, _SHIFT)
    closed = cv2.morphologyEx((index >= 0).astype(np.uint8), cv2.MORPH_CLOSE, _CLOSE) > 0
    holes = closed & (index < 0)
    if holes.any():
        index[holes] = cv2.dilate(index, _CLOSE)[holes]
    system = np.concatenate([target, np.ones((len(target), 3, 1))], axis=2)
    flat = np.abs(area) <= 0.02
    system[flat] = np.eye(3)
    matrix = np.linalg.solve(system, source).astype(np.float32)  # (T, 3, 2)
    found = matrix[np.maximum(index, 0)]
    xs = np.arange(x1, x2, dtype=np.float32)[None, :, None]
    ys = np.arange(y1, y2, dtype=np.float32)[:, None, None]
    where = xs * found[:, :, 0] + ys * found[:, :, 1] + found[:, :, 2]
    return WarpMap(
        left=x1,
        top=y1,
        x=np.asarray(cv2.medianBlur(np.ascontiguousarray(where[..., 0]), 5), np.float32),
        y=np.asarray(cv2.medianBlur(np.ascontiguousarray(where[..., 1]), 5), np.float32),
        inside=index >= 0,
    )


def _doubled_area(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.asarray((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))


def filled(points: Floats, left: int, top: int, width: int, height: int) -> Floats:
    """Return an antialiased filled polygon (height, width) float32 in 0..1, drawn in a window at (left, top)."""
    canvas = np.zeros((height, width), np.uint8)
    corners = np.round((points - [left, top]) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, cv2.LINE_AA, 4)
    return np.asarray(canvas.astype(np.float32) / np.float32(255), np.float32)
