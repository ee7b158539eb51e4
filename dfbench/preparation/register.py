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
    moved = _moved(picture, like)
    tried = [picture, moved, _lit(moved, like)]
    return min(tried, key=_distance_to(like))


def _distance_to(like: Picture) -> Callable[[Picture], float]:
    return lambda picture: float(cv2.absdiff(picture, like).mean(dtype=np.float64))


def _moved(picture: Picture, like: Picture) -> Picture:
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
        return picture
    motion[:, 2] *= width / size[0], height / size[1]
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
