"""NeuralTextures: the target's mouth region redrawn with the source's speech and a learnt texture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from dfbench.mini import facemodel as mesh
from dfbench.mini.forge.common import Forged, Job, Window, colour_transfer, grain, part, put, resized
from dfbench.mini.forge.face2face import moved
from dfbench.mini.render import draw_head
from dfbench.mini.shape import Placed
from dfbench.mini.warp import window_of

NAME = "NeuralTextures"


class NeuralTextures:
    """One clip: mouth and chin rendered with the source's jaw and smile at a lower resolution."""

    def __init__(self, job: Job) -> None:
        self.job = job
        rng = job.stream(NAME, "texture")
        self.scale = float(rng.uniform(0.5, 0.75))
        self.transfer = float(rng.uniform(0.5, 0.8))
        self.grain = float(rng.uniform(0.0, 0.4)) * job.target.noise
        self.feather = float(rng.uniform(0.03, 0.06)) * job.target.plan.face_width
        self.noise = job.stream(NAME, "grain")
        self.head = job.target.head

    def frame(self, index: int) -> Forged:
        """Return the forged frame ``index``; the target must be visible."""
        target = self.job.target
        image, points = target.frames[index], target.points[index]
        assert points is not None
        own = target.motion.expressions[index]
        other = self.job.source.motion.expressions[self.job.source_frame(index)]
        face = replace(own, smile=other.smile, jaw=other.jaw)
        new_points = moved(self.job, index, face)
        window, mask = mouth_region(new_points.xy, image, self.feather)
        x1, y1, x2, y2 = window
        size = (max(round((x2 - x1) * self.scale), 8), max(round((y2 - y1) * self.scale), 8))
        zoom = np.array([size[0] / (x2 - x1), size[1] / (y2 - y1)], np.float32)
        old = part(image, window)
        canvas = resized(old, size, cv2.INTER_AREA)
        low = Placed((new_points.xy - [x1, y1] + 0.5).astype(np.float32) * zoom - np.float32(0.5), new_points.depth)
        draw_head(canvas, self.job.model, self.head, low, face)
        new = resized(canvas, (x2 - x1, y2 - y1), cv2.INTER_CUBIC)
        new = colour_transfer(new, old, mask, self.transfer)
        new = new + grain(new.shape, self.grain, self.noise)
        return Forged(put(image, window, new, mask), new_points)


def mouth_region(xy: np.ndarray, image: np.ndarray, feather: float) -> tuple[Window, np.ndarray]:
    """Return the window x1 y1 x2 y2 and the soft ellipse (h, w) around mouth and chin."""
    wide = float(np.linalg.norm(xy[454] - xy[234]))
    corners = [*mesh.LIP_CORNERS, 2, 152, 205, 425, 150, 379]
    window = window_of(xy[corners], image.shape[1], image.shape[0], margin=round(0.08 * wide + 2 * feather))
    x1, y1, x2, y2 = window
    centre = 0.5 * (0.5 * (xy[2] + xy[152]) + xy[[61, 291]].mean(0)) - [x1, y1]
    across = xy[454] - xy[234]
    axes = (0.33 * wide, 0.5 * float(np.linalg.norm(xy[152] - xy[2])) * 0.97)
    mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    box = ((float(centre[0]), float(centre[1])), (2 * axes[0], 2 * axes[1]), angle)
    cv2.ellipse(mask, box, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(mask, (0, 0), feather).astype(np.float32) / 255
    # The border of the window does not change, so that no straight edge is visible.
    soft[[0, -1], :] = 0
    soft[:, [0, -1]] = 0
    return window, soft
