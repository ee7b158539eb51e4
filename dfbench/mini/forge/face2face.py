"""Face2Face: the target's pixels warped into the source's expression, with eyes and mouth redrawn."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from dfbench.mini import facemodel as mesh
from dfbench.mini.features import draw_eyes, draw_mouth
from dfbench.mini.forge.common import Forged, Job, face_window, grain, oval_mask, put
from dfbench.mini.shape import Expression, Placed, expressed, project
from dfbench.mini.warp import warp_map

NAME = "Face2Face"


def moved(job: Job, index: int, face: Expression) -> Placed:
    """Return the target's points in frame ``index`` with another expression."""
    target = job.target
    points, identity = target.points[index], target.person.identity
    assert points is not None
    pose = target.pose(index)
    before = project(expressed(job.model, identity, target.motion.expressions[index]), pose)
    after = project(expressed(job.model, identity, face), pose)
    return Placed(points.xy + (after.xy - before.xy), after.depth)


def mesh_triangles(job: Job) -> np.ndarray:
    """Return the triangles of the face without hair and ring."""
    triangles = job.model.triangles
    return triangles[(triangles < mesh.MESH).all(axis=1)]


class Face2Face:
    """One clip: the source's smile, jaw, lids and brows on the target's face."""

    def __init__(self, job: Job) -> None:
        self.job = job
        rng = job.stream(NAME, "transfer")
        self.blur = float(rng.uniform(0.3, 0.65))
        self.grain = float(rng.uniform(0.45, 1.15)) * job.target.noise
        self.strength = float(rng.uniform(0.8, 1.0))
        self.feather = float(rng.uniform(0.8, 3.0))
        self.noise = job.stream(NAME, "grain")
        self.head = job.target.head
        self.triangles = mesh_triangles(job)

    def expression(self, index: int) -> Expression:
        """Return the source's expression with the target's gaze."""
        own = self.job.target.motion.expressions[index]
        other = self.job.source.motion.expressions[self.job.source_frame(index)]

        def mix(a: float, b: float) -> float:
            return a + self.strength * (b - a)

        return replace(
            own,
            smile=mix(own.smile, other.smile),
            jaw=mix(own.jaw, other.jaw),
            blink=mix(own.blink, other.blink),
            brow=mix(own.brow, other.brow),
        )

    def frame(self, index: int) -> Forged:
        """Return the forged frame ``index``; the target must be visible."""
        target = self.job.target
        image, points = target.frames[index], target.points[index]
        assert points is not None
        face = self.expression(index)
        new_points = moved(self.job, index, face)
        height, width = image.shape[:2]
        warp = warp_map(new_points.xy, new_points.depth, points.xy, self.triangles, width, height)
        canvas = image.astype(np.float32)
        warped = warp.sample(image, cv2.INTER_CUBIC)
        cv2.copyTo(warped, warp.inside.view(np.uint8), canvas[warp.window])
        wide = float(np.linalg.norm(points.xy[454] - points.xy[234]))
        draw_mouth(canvas, new_points.xy, wide, self.head.teeth)
        draw_eyes(canvas, new_points.xy, wide, self.head.iris, self.head.white, face.gaze)
        window = face_window(new_points.xy, image)
        x1, y1, x2, y2 = window
        new = cv2.GaussianBlur(canvas[y1:y2, x1:x2], (3, 3), self.blur)
        new = new + grain(new.shape, self.grain, self.noise)
        mask = oval_mask(new_points.xy, window, shrink=2.0 * self.feather, feather=self.feather)
        return Forged(put(image, window, new, mask), new_points)
