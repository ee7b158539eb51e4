"""Compare two images of one scene, one of which may have been cropped, rotated or brightened since."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

LONGEST_SIDE = 480
"""Frames are compared after area averaging to this longer side: it saves memory and averages out coding noise."""
LARGEST_STRETCH = 1.02
"""Images whose aspect ratios differ by more show different things and are not compared."""

SIDE = 240
"""Longer side at which the motion is estimated, pixels; larger images are shrunk to it."""
STEPS = 50
LEAST_GAIN = 1e-4
SMOOTHING = 5
CLOSER = 0.9
"""The framing of two images differs if registration leaves at most this fraction of their difference."""


def reduced(image: Image, like: Image | None = None) -> Image | None:
    """Shrink an image for comparison: to :data:`LONGEST_SIDE`, or to the size of another reduced image.

    Args:
        image: uint8 (height, width, 3).
        like: a reduced image.

    Returns:
        uint8 (height, width, 3); None if the aspect ratio differs from that of ``like``.
    """
    height, width = image.shape[:2]
    if like is None:
        factor = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
    else:
        size = like.shape[1], like.shape[0]
        stretch = (size[0] / width) / (size[1] / height)
        # Rounding by one pixel in a small image is not a stretch.
        slack = LARGEST_STRETCH + 1 / min(size)
        if not 1 / slack <= stretch <= slack:
            return None
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def difference(one: Image, other: Image) -> npt.NDArray[np.float32]:
    """Return the mean absolute difference over the channels, float32 (height, width), in grey levels."""
    return np.asarray(cv2.absdiff(one, other).mean(axis=2, dtype=np.float32), np.float32)


def registered(image: Image, like: Image) -> Image:
    """Register an image to another one, by one affine motion and one linear brightness change per channel.

    The motion is the one of greatest correlation (Evangelidis and Psarakis 2008). A part that differs, such as a
    forged face, hardly affects it; nor does it move images that are registered already.

    Args:
        image: uint8 (height, width, 3).
        like: the other, uint8 (height, width, 3).

    Returns:
        uint8 (height, width, 3): the candidate with the least mean absolute difference among the image itself, the
        moved one, and the moved one with adjusted brightness.
    """
    motion = _motion(image, like)
    moved = image if motion is None else _warped(image, motion)
    candidates = [image, moved, _relit(moved, like)]
    return min(candidates, key=_distance_to(like))


def framed_apart(image: Image, like: Image) -> float:
    """Measure how much the framing of two images of one scene differs.

    Args:
        image: uint8 (height, width, 3), not constant.
        like: the other, of the same size.

    Returns:
        The largest displacement of a corner of the image's middle half when it is registered to the other, as a
        fraction of the longer side. 0 if registration does not reduce the difference by a tenth, brightness aside:
        if only a part differs, such as a forged face, or if they show different scenes.
    """
    motion = _motion(image, like)
    if motion is None:
        return 0.0
    distance = _distance_to(like)
    if distance(_relit(_warped(image, motion), like)) > CLOSER * distance(_relit(image, like)):
        return 0.0
    height, width = like.shape[:2]
    corners = np.array([[x * width, y * height, 1] for x in (0.25, 0.75) for y in (0.25, 0.75)])
    shifts = np.linalg.norm(corners @ motion.T.astype(np.float64) - corners[:, :2], axis=1)
    return float(shifts.max() / max(height, width))


def _distance_to(like: Image) -> Callable[[Image], float]:
    return lambda image: float(cv2.absdiff(image, like).mean(dtype=np.float64))


def _motion(image: Image, like: Image) -> npt.NDArray[np.float32] | None:
    """Return (2, 3), from pixels of ``like`` to those of ``image``; None if the images cannot be registered."""
    height, width = like.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    template, moving = (
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for p in (like, image)
    )
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, LEAST_GAIN)
    everywhere = np.full(template.shape, 255, np.uint8)
    try:
        _, motion = cv2.findTransformECC(
            template, moving, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, stop, everywhere, SMOOTHING
        )
    except cv2.error:  # it does not converge: constant images, or another scene
        return None
    motion[:, 2] *= width / size[0], height / size[1]
    return np.asarray(motion, np.float32)


def _warped(image: Image, motion: npt.NDArray[np.float32]) -> Image:
    height, width = image.shape[:2]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, motion, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _relit(image: Image, like: Image) -> Image:
    """Return the image with the linear brightness change per channel that fits ``like`` best."""
    out = np.empty(image.shape, np.float32)
    for channel in range(3):
        source, target = (p[..., channel].astype(np.float64) for p in (image, like))
        variance = source.var()
        gain = ((source - source.mean()) * (target - target.mean())).mean() / variance if variance > 0 else 1.0
        out[..., channel] = target.mean() + gain * (source - source.mean())
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
