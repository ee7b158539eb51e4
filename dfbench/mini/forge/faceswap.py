"""FaceSwap: the source's pixels warped onto the target's face, with matched colours, cloned."""

from __future__ import annotations

import cv2
import numpy as np

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
        warped = warp.sample(source.frames[other], cv2.INTER_LINEAR).astype(np.float32)
        canvas[warp.window] = np.where(warp.inside[..., None], warped, canvas[warp.window])
        window = face_window(points.xy, image)
        x1, y1, x2, y2 = window
        shrink = 0.035 * target.plan.face_width
        core = oval_mask(points.xy, window, shrink=shrink)
        new = colour_transfer(canvas[y1:y2, x1:x2], part(image, window), core, self.transfer)
        new = new + grain(new.shape, self.grain, self.noise)
        new = cloned(new, part(image, window), core)
        mask = oval_mask(points.xy, window, shrink=shrink, feather=0.7)
        return Forged(put(image, window, new, mask), points)


def cloned(new: np.ndarray, old: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Poisson-clone ``new`` into ``old`` where the mask is set (OpenCV); same shape, float32."""
    inside = (mask > 0.5).astype(np.uint8) * 255
    inside[[0, 1, -2, -1], :] = 0
    inside[:, [0, 1, -2, -1]] = 0
    x, y, w, h = cv2.boundingRect(inside)
    if w < 8 or h < 8:
        return new
    centre = (x + w // 2, y + h // 2)
    as_bytes = [np.rint(np.clip(image, 0, 255)).astype(np.uint8) for image in (new, old)]
    return np.asarray(cv2.seamlessClone(as_bytes[0], as_bytes[1], inside, centre, cv2.NORMAL_CLONE), np.float32)
