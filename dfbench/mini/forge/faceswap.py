"""FaceSwap: the source's pixels warped onto the target's face, with matched colours, cloned."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from scipy.fft import dstn, idstn

from dfbench.mini.facemodel import Floats
from dfbench.mini.forge.common import Forged, Job, colour_transfer, face_window, grain, oval_mask, part, put
from dfbench.mini.forge.face2face import mesh_triangles
from dfbench.mini.warp import warp_map

NAME = "FaceSwap"


class FaceSwap:
    """One clip: the source's face on the target's, cloned (Perez et al. 2003).

    A feathered edge instead would lower the score of face detectors, which alone would then reveal fakes.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        rng = job.stream(NAME, "blending")
        self.transfer = float(rng.uniform(0.9, 1.0))
        self.grain = float(rng.uniform(0.0, 0.5)) * job.target.noise
        self.noise = job.stream(NAME, "grain")
        self.triangles = mesh_triangles(job)

    def frame(self, index: int) -> Forged:
        """Return the forged frame ``index``; the target must be visible."""
        target, source = self.job.target, self.job.source
        image, points = target.frames[index], target.points[index]
        other = self.job.source_frame(index)
        from_points = source.points[other]
        assert points is not None
        assert from_points is not None
        height, width = image.shape[:2]
        warp = warp_map(points.xy, points.depth, from_points.xy, self.triangles, width, height)
        canvas = image.astype(np.float32)
        warped = warp.sample(source.frames[other], cv2.INTER_LINEAR)
        cv2.copyTo(warped, warp.inside.view(np.uint8), canvas[warp.window])
        window = face_window(points.xy, image)
        x1, y1, x2, y2 = window
        shrink = 0.035 * target.plan.face_width
        core = oval_mask(points.xy, window, shrink=shrink)
        new = colour_transfer(canvas[y1:y2, x1:x2], part(image, window), core, self.transfer)
        new = new + grain(new.shape, self.grain, self.noise)
        new = cloned(new, part(image, window), core)
        mask = oval_mask(points.xy, window, shrink=shrink, feather=0.7)
        return Forged(put(image, window, new, mask), points)


def cloned(new: Floats, old: Floats, mask: Floats) -> Floats:
    """Poisson-clone ``new`` into ``old`` where the mask is set; (h, w, 3) float32.

    The result has the gradients of ``new`` in the mask, except in the three pixels at its edge, those of ``old``
    elsewhere in the mask's bounding box, and the values of ``old`` at the border of the box, like OpenCV's
    ``seamlessClone``. Its difference to ``old`` has the gradients of ``new - old`` in the mask and 0 elsewhere; a sine
    transform solves this Poisson equation.
    """
    inside = (mask > 0.5).astype(np.uint8)
    inside[[0, 1, -2, -1], :] = 0
    inside[:, [0, 1, -2, -1]] = 0
    x, y, w, h = cv2.boundingRect(inside)
    if w < 8 or h < 8:
        return new
    core = cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=3)[y : y + h, x : x + w].astype(np.float32)
    planes = np.ascontiguousarray((new - old)[y : y + h, x : x + w].transpose(2, 0, 1))
    right = (planes[:, :, 1:] - planes[:, :, :-1]) * core[:, :-1]
    down = (planes[:, 1:] - planes[:, :-1]) * core[:-1]
    divergence = right[:, 1:-1, 1:] - right[:, 1:-1, :-1] + down[:, 1:, 1:-1] - down[:, :-1, 1:-1]
    spectrum = dstn(divergence, type=1, axes=(1, 2))
    spectrum /= _second_difference(h - 2)[:, None] + _second_difference(w - 2)
    out = old.copy()
    out[y + 1 : y + h - 1, x + 1 : x + w - 1] += idstn(spectrum, type=1, axes=(1, 2)).transpose(1, 2, 0)
    return out


@lru_cache(maxsize=256)
def _second_difference(count: int) -> Floats:
    """Return the eigenvalues (count,) of the second difference of ``count`` points between two zeros."""
    return np.asarray(2 * np.cos(np.pi * np.arange(1, count + 1) / (count + 1)) - 2, np.float32)
