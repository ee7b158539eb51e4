"""Eyes and mouth, drawn procedurally over the face at four times the resolution."""

from __future__ import annotations

import cv2
import numpy as np

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import Floats
from dfbench.mini.warp import window_of

_UP = 4
IRIS_RADIUS = 0.0385
"""Iris radius in face widths."""

# Points of the upper edge of each eye and of the mouth, and of the lower edge on the way back; the centre of the iris.
_EYES = tuple(
    (np.array([outer, *lid, inner]), np.array(low[::-1]), centre)
    for (outer, inner, lid, low, _), centre in zip(mesh.EYES, mesh.IRIS_CENTRES, strict=True)
)
_UPPER_LIP = np.array([mesh.INNER_CORNERS[0], *mesh.UPPER_INNER, mesh.INNER_CORNERS[1]])
_LOWER_LIP = np.array(mesh.LOWER_INNER[::-1])


def draw_eyes(
    image: Floats, xy: Floats, face_width: float, iris: Floats, white: Floats, gaze: tuple[float, float]
) -> None:
    """Draw both eyes into an RGB float32 image, in place.

    Args:
        image: (H, W, 3) grey levels.
        xy: (P, 2) points of the face.
        face_width: pixels.
        iris: (3,) RGB of the iris.
        white: (3,) RGB of the eye white in this light.
        gaze: shift of the iris in units of its radius.
    """
    radius = IRIS_RADIUS * face_width
    for lid, low, centre in _EYES:
        upper = xy[lid]
        contour = np.concatenate([upper, xy[low]])
        left, top, right, bottom = window_of(contour, image.shape[1], image.shape[0], margin=4)
        size = ((right - left) * _UP, (bottom - top) * _UP)
        if min(size) < 2 * _UP:
            continue
        inside = _local(contour, left, top)
        rows = np.arange(size[1], dtype=np.float32)[:, None, None]
        lid_line = float(inside[: len(upper), 1].min())
        opening = max(float(inside[:, 1].max()) - lid_line, 1.0)
        shade = 0.62 + 0.38 * np.clip((rows - lid_line) / (0.55 * opening), 0, 1)
        canvas = np.repeat(white * shade, size[0], axis=1)
        at = _local(xy[[centre]] + radius * np.asarray(gaze, np.float32), left, top)[0]
        _disc(canvas, at, radius * _UP, iris * 0.55)
        _disc(canvas, at, radius * _UP * 0.86, iris)
        _disc(canvas, at, radius * _UP * 0.42, np.array([10, 9, 9], np.float32))
        canvas *= 0.55 + 0.45 * np.clip((rows - lid_line) / (0.30 * opening), 0, 1)
        _disc(
            canvas, at + np.array([-0.35, -0.4], np.float32) * radius * _UP, max(radius * _UP * 0.2, 1.5), white * 1.1
        )
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(mask, [np.round(inside * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        _composite(image, canvas, mask, left, top)
        lash = np.zeros((size[1], size[0]), np.uint8)
        line = np.round(_local(upper, left, top) * 16).astype(np.int32)
        cv2.polylines(lash, [line], False, 150, max(round(0.011 * face_width * _UP), 1), cv2.LINE_AA, 4)
        _composite(image, np.float32(26), lash, left, top)


def draw_mouth(image: Floats, xy: Floats, face_width: float, teeth: Floats) -> None:
    """Draw the open mouth (dark cavity, tongue, upper teeth) into an RGB float32 image, in place."""
    upper = xy[_UPPER_LIP]
    contour = np.concatenate([upper, xy[_LOWER_LIP]])
    left, top, right, bottom = window_of(contour, image.shape[1], image.shape[0])
    size = ((right - left) * _UP, (bottom - top) * _UP)
    inside = _local(contour, left, top)
    dark = np.array([[[52, 22, 20]]], np.float32) * (teeth.mean() / 200)
    canvas = np.repeat(np.repeat(dark, size[0], axis=1), size[1], axis=0)
    low, high = inside.min(0), inside.max(0)
    middle = (low + high) / 2
    tongue = (round(float(high[0] - low[0]) * 0.3), max(round(float(high[1] - low[1]) * 0.32), 1))
    cv2.ellipse(
        canvas, (round(float(middle[0])), round(float(high[1]))), tongue, 0, 0, 360, (122, 58, 56), -1, cv2.LINE_AA
    )
    edge = _local(upper, left, top)
    drop = 0.052 * face_width * _UP
    # The row of teeth is an arc: longest in the middle, vanishing at the corners.
    across = np.linspace(-1, 1, len(edge))[:, None]
    fall = np.hstack([np.zeros_like(across), drop * (1 - across**4)])
    strip = np.vstack([edge, (edge + fall)[::-1]])
    cv2.fillPoly(canvas, [np.round(strip * 16).astype(np.int32)], tuple(map(float, teeth)), cv2.LINE_AA, 4)
    shadow = tuple(map(float, teeth * 0.78))
    gaps = [float(middle[0]) + gap * 0.045 * face_width * _UP for gap in range(-4, 5)]
    for x, y in zip(gaps, np.interp(gaps, edge[:, 0], edge[:, 1]).tolist(), strict=True):
        cv2.line(canvas, (round(x), round(y + 0.35 * drop)), (round(x), round(y + drop)), shadow, 1, cv2.LINE_AA)
    rows = np.arange(size[1], dtype=np.float32)[:, None, None]
    canvas *= 0.72 + 0.28 * np.clip((rows - low[1]) / max(0.8 * drop, 1.0), 0, 1)
    sides = np.abs(np.arange(size[0], dtype=np.float32) - middle[0]) / max(float(high[0] - low[0]) / 2, 1.0)
    canvas *= (1 - 0.45 * np.clip(sides, 0, 1) ** 3)[None, :, None]
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(inside * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    _composite(image, canvas, mask, left, top)


def _local(points: Floats, left: int, top: int) -> Floats:
    """Return points of the image in the enlarged window (pixel centres stay pixel centres)."""
    return ((points - np.array([left, top], np.float32) + 0.5) * _UP - 0.5).astype(np.float32)


def _disc(canvas: Floats, at: Floats, radius: float, colour: Floats) -> None:
    centre = (round(float(at[0]) * 16), round(float(at[1]) * 16))
    cv2.circle(canvas, centre, round(radius * 16), tuple(map(float, colour)), -1, cv2.LINE_AA, 4)


def _composite(image: Floats, canvas: Floats | np.float32, mask: np.ndarray, left: int, top: int) -> None:
    """Blend a canvas (H, W, 3), or a grey level, into a window of the image where its mask (H, W) is set, in place."""
    size = (mask.shape[1] // _UP, mask.shape[0] // _UP)
    alpha = mask * np.float32(1 / 255)
    share = cv2.cvtColor(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    if isinstance(canvas, np.ndarray):
        opaque = cv2.multiply(canvas, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB))
        colour = cv2.resize(opaque, size, interpolation=cv2.INTER_AREA)
    else:
        colour = canvas * share
    window = image[top : top + size[1], left : left + size[0]]
    window *= 1 - share
    window += colour
