"""Two pictures of one scene laid over each other: a forgery may have been cropped, turned or brightened since."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

SIDE = 240
"""Longer side at which the motion is estimated, pixels; larger pictures are shrunk to it."""
STEPS = 50
LEAST_GAIN = 1e-4
SMOOTHING = 5
CLOSER = 0.9
"""Pictures count as framed apart where laying them over each other leaves at most this share of their difference."""


def registered(picture: Picture, like: Picture) -> Picture:
    """The picture moved and lit as another of the same size, as far as one affine motion and one line a channel go.

    The motion is the one of greatest correlation (Evangelidis and Psarakis 2008). A part that differs, as a forged face
    does, hardly moves either; nor do pictures that lie over each other already.

    Args:
        picture: uint8 (height, width, 3).
        like: the other, uint8 (height, width, 3).

    Returns:
        uint8 (height, width, 3), of those tried the one with the least mean absolute difference: as it is, moved, or
        moved and lit.
    """
    motion = _motion(picture, like)
    moved = picture if motion is None else _warped(picture, motion)
    tried = [picture, moved, _lit(moved, like)]
    return min(tried, key=_distance_to(like))


def framed_apart(picture: Picture, like: Picture) -> float:
    """How far apart two pictures of one scene are framed.

    Args:
        picture: uint8 (height, width, 3), not flat.
        like: the other, of the same size.

    Returns:
        The longest way that a corner of the picture's middle half takes when it is laid over the other, as a share of
        the longer side. 0 where that does not bring the pictures closer by a tenth, brightness aside: where only a
        part differs, as a forged face does, and where they show different scenes.
    """
    motion = _motion(picture, like)
    if motion is None:
        return 0.0
    distance = _distance_to(like)
    if distance(_lit(_warped(picture, motion), like)) > CLOSER * distance(_lit(picture, like)):
        return 0.0
    height, width = like.shape[:2]
    corners = np.array([[x * width, y * height, 1] for x in (0.25, 0.75) for y in (0.25, 0.75)])
    ways = np.linalg.norm(corners @ motion.T.astype(np.float64) - corners[:, :2], axis=1)
    return float(ways.max() / max(height, width))


def _distance_to(like: Picture) -> Callable[[Picture], float]:
    return lambda picture: float(cv2.absdiff(picture, like).mean(dtype=np.float64))


def _motion(picture: Picture, like: Picture) -> npt.NDArray[np.float32] | None:
    """(2, 3), from pixels of ``like`` to those of ``picture``; None where the pictures do not fit together."""
    height, width = like.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    there, here = (
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for p in (like, picture)
    )
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, LEAST_GAIN)
    everywhere = np.full(there.shape, 255, np.uint8)
    try:
        _, motion = cv2.findTransformECC(
            there, here, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, stop, everywhere, SMOOTHING
        )
    except cv2.error:  # it does not converge: flat pictures, or another scene
        return None
    motion[:, 2] *= width / size[0], height / size[1]
    return np.asarray(motion, np.float32)


def _warped(picture: Picture, motion: npt.NDArray[np.float32]) -> Picture:
    height, width = picture.shape[:2]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(picture, motion, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _lit(picture: Picture, like: Picture) -> Picture:
    lit = np.empty(picture.shape, np.float32)
    for channel in range(3):
        here, there = (p[..., channel].astype(np.float64) for p in (picture, like))
        spread = here.var()
        gain = ((here - here.mean()) * (there - there.mean())).mean() / spread if spread > 0 else 1.0
        lit[..., channel] = there.mean() + gain * (here - here.mean())
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)
