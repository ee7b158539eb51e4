"""Piecewise affine warps of the face mesh: a triangle map drawn from far to near, then one remap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import Floats

_FLAT = 0.02
"""Twice the area in square pixels up to which a triangle is not drawn."""
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
    x, y = xy[:, 0], xy[:, 1]
    left, top, right, bottom = float(x.min()), float(y.min()), float(x.max()), float(y.max())
    x1 = min(max(math.floor(left) - margin, 0), width - 1)
    y1 = min(max(math.floor(top) - margin, 0), height - 1)
    return (
        x1,
        y1,
        min(max(math.ceil(right) + margin, x1 + 1), width),
        min(max(math.ceil(bottom) + margin, y1 + 1), height),
    )


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
    x1, y1, x2, y2 = window_of(to_xy[: int(triangles.max()) + 1], width, height)
    target = to_xy[triangles] - np.array([x1, y1], np.float32)
    source = from_xy[triangles]
    area = _doubled_area(target)
    kept = (np.sign(area) == np.sign(_doubled_area(source))) & (np.abs(area) > _FLAT)
    order = np.argsort(-depth[triangles].sum(1), kind="stable")
    order = order[kept[order]]
    index = _drawn(target[order], order.astype(np.int16), x2 - x1, y2 - y1)
    drawn = index >= 0
    closed = cv2.morphologyEx(drawn.view(np.uint8), cv2.MORPH_CLOSE, _CLOSE).view(np.bool_)
    holes = closed & ~drawn
    if holes.any():
        index[holes] = cv2.dilate(index, _CLOSE)[holes]
    a, b, c, d, e, f = _affine(target, source, area).take(np.maximum(index, 0), axis=1)
    xs, ys = np.arange(x2 - x1, dtype=np.float32)[None, :], np.arange(y2 - y1, dtype=np.float32)[:, None]
    return WarpMap(
        left=x1,
        top=y1,
        x=np.asarray(cv2.medianBlur(a * xs + b * ys + c, 5), np.float32),
        y=np.asarray(cv2.medianBlur(d * xs + e * ys + f, 5), np.float32),
        inside=closed,
    )


def _doubled_area(corners: Floats) -> Floats:
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    return np.asarray((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))


def _affine(target: Floats, source: Floats, area: Floats) -> Floats:
    """Return the six numbers of each triangle's map, (6, T): x = a u + b v + c and y = d u + e v + f.

    Args:
        target: (T, 3, 2) corners u, v.
        source: (T, 3, 2) the same corners x, y.
        area: (T,) twice the signed area of the target; the map of flat triangles is finite, nothing more.
    """
    (u1, v1), (u2, v2) = (target[:, 1] - target[:, 0]).T, (target[:, 2] - target[:, 0]).T
    u1, v1, u2, v2 = np.stack([u1, v1, u2, v2]) / np.where(np.abs(area) > _FLAT, area, np.float32(1))
    rows = []
    for axis in range(2):
        first, second = source[:, 1, axis] - source[:, 0, axis], source[:, 2, axis] - source[:, 0, axis]
        along, down = first * v2 - second * v1, second * u1 - first * u2
        rows += [along, down, source[:, 0, axis] - along * target[:, 0, 0] - down * target[:, 0, 1]]
    return np.stack(rows)


def _drawn(corners: Floats, numbers: NDArray[np.int16], width: int, height: int) -> NDArray[np.int16]:
    """Draw triangles over each other, later over earlier ones, and return the number at each pixel (-1: none).

    A triangle covers the pixels whose square it touches, so that no gaps remain between triangles. All rows of all
    triangles are handled at once: the edges of a triangle, cut to the height of a row, give the row's first and last
    pixel.

    Args:
        corners: (T, 3, 2) x, y; pixel centres have integer coordinates.
        numbers: (T,) what to draw.
        width: width of the image in pixels.
        height: its height in pixels.
    """
    # Corners a, b, c from top to bottom: the edge ac is on one side of each row, ab or bc on the other.
    a, b, c = _by_height(corners)
    first = np.maximum(np.ceil(a[1] - 0.5), 0).astype(np.int32)
    rows = np.maximum(np.minimum(np.floor(c[1] + 0.5), height - 1).astype(np.int32) - first + 1, 0)
    row = _ranges(first, rows)
    table = np.stack([*a, _slope(a, c), *b, _slope(a, b), _slope(b, c), c[1]])
    xa, ya, ac, xb, yb, ab, bc, yc = np.repeat(table, rows, axis=1)
    from_a, to_a = np.maximum(row - np.float32(0.5), ya), np.minimum(row + np.float32(0.5), yc)
    from_b, to_b = from_a - yb, to_a - yb
    from_a -= ya
    to_a -= ya
    ends = (
        xa + from_a * ac,
        xa + to_a * ac,
        xb + from_b * np.where(from_b < 0, ab, bc),
        xb + to_b * np.where(to_b < 0, ab, bc),
    )
    corner = np.where((from_b < 0) & (to_b > 0), xb, ends[0])
    left, right = corner, corner.copy()
    for end in ends:
        np.minimum(left, end, out=left)
        np.maximum(right, end, out=right)
    begin = np.maximum(np.ceil(left - 0.5), 0).astype(np.int32)
    pixels = np.maximum(np.minimum(np.floor(right + 0.5), width - 1).astype(np.int32) - begin + 1, 0)
    image = np.full(width * height, -1, np.int16)
    # Where pixels recur, the last one counts.
    image[_ranges(row * np.int32(width) + begin, pixels)] = np.repeat(np.repeat(numbers, rows), pixels)
    return image.reshape(height, width)


def _by_height(corners: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the three corners of triangles (T, 3, 2), each (2, T), by increasing y."""
    a, b, c = np.ascontiguousarray(corners.transpose(1, 2, 0))
    for _ in range(2):
        swap = a[1] > b[1]
        a, b = np.where(swap, b, a), np.where(swap, a, b)
        swap = b[1] > c[1]
        b, c = np.where(swap, c, b), np.where(swap, b, c)
    return a, b, c


def _slope(start: Floats, end: Floats) -> Floats:
    """Return by how much x changes per row between points (2, T); 0 if they are on one row."""
    down = end[1] - start[1]
    return np.asarray((end[0] - start[0]) / np.where(down > 0, down, np.float32(np.inf)))


def _ranges(start: NDArray[np.int32], length: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the numbers of all ranges, ``start`` and the ``length`` - 1 after it, one behind the other.

    >>> _ranges(np.array([5, 0, 8], np.int32), np.array([2, 0, 3], np.int32))
    array([ 5,  6,  8,  9, 10], dtype=int32)
    """
    ends = np.cumsum(length, dtype=np.int32)
    numbers = np.repeat(start - (ends - length), length)
    numbers += np.arange(len(numbers), dtype=np.int32)
    return numbers


def filled(points: Floats, left: int, top: int, width: int, height: int) -> Floats:
    """Return an antialiased filled polygon (height, width) float32 in 0..1, drawn in a window at (left, top)."""
    canvas = np.zeros((height, width), np.uint8)
    corners = np.round((points - [left, top]) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, cv2.LINE_AA, 4)
    return np.asarray(canvas.astype(np.float32) / np.float32(255), np.float32)
