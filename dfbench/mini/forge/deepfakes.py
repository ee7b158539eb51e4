"""Deepfakes: the source's face redrawn by a weak generator and blended as a small blurred region."""

from __future__ import annotations

import cv2
import numpy as np

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import Floats
from dfbench.mini.forge.common import (
    Forged,
    Job,
    colour_transfer,
    face_window,
    grain,
    oval_mask,
    part,
    put,
    resized,
    similarity_2d,
)  # fmt: skip
from dfbench.mini.person import to_rgb
from dfbench.mini.render import Head, draw_head, light_head
from dfbench.mini.shape import Placed, expressed, project

NAME = "Deepfakes"
_ANCHORS = np.array([*mesh.OVAL, *mesh.IRIS_CENTRES, 1, *mesh.LIP_CORNERS])


class Deepfakes:
    """One clip: the source's identity with fewer components, in the target's expression, pose and light."""

    def __init__(self, job: Job) -> None:
        self.job = job
        rng = job.stream(NAME, "generator")
        self.kept = int(rng.integers(11, 23))
        self.side = int(rng.integers(64, 105))
        rng = job.stream(NAME, "blending")
        self.sharpening = float(rng.uniform(0.2, 1.0))
        self.grain = float(rng.uniform(0.15, 0.7)) * job.target.noise
        self.transfer = float(rng.uniform(0.9, 1.0))
        self.shrink = float(rng.uniform(0.02, 0.06))
        self.noise = job.stream(NAME, "grain")
        self.identity, self.head = self._generator()

    def _generator(self) -> tuple[Floats, Head]:
        """Return what a weak generator has learnt about the source: a rough shape and a smooth texture."""
        model, person = self.job.model, self.job.source.person
        c = person.coefficients.copy()
        c[self.kept :] = 0
        gain = (person.smooth.mean((0, 1)) + 1) / (to_rgb(model.identity_texture(person.coefficients)).mean((0, 1)) + 1)
        texture = np.clip(to_rgb(model.identity_texture(c)) * gain, 0, 255)
        return model.identity_shape(c), light_head(model, person, self.job.target.light, texture)

    def frame(self, index: int) -> Forged:
        """Return the forged frame ``index``; the target must be visible."""
        target = self.job.target
        image, points = target.frames[index], target.points[index]
        assert points is not None
        face = target.motion.expressions[index]
        drawn = project(expressed(self.job.model, self.identity, face), target.pose(index))
        matrix, shift = similarity_2d(drawn.xy[_ANCHORS], points.xy[_ANCHORS])
        drawn = Placed((drawn.xy @ matrix.T + shift).astype(np.float32), drawn.depth)
        window = face_window(points.xy, image, margin=round(0.07 * target.plan.face_width))
        x1, y1, x2, y2 = window
        scale = self.side / max(x2 - x1, y2 - y1)
        small = (max(round((x2 - x1) * scale), 8), max(round((y2 - y1) * scale), 8))
        zoom = np.array([small[0] / (x2 - x1), small[1] / (y2 - y1)], np.float32)
        canvas = resized(part(image, window), small, cv2.INTER_AREA)
        low = Placed((drawn.xy - [x1, y1] + 0.5).astype(np.float32) * zoom - np.float32(0.5), drawn.depth)
        draw_head(canvas, self.job.model, self.head, low, face)
        canvas = np.rint(np.clip(canvas, 0, 255)).astype(np.uint8).astype(np.float32)
        new = resized(canvas, (x2 - x1, y2 - y1), cv2.INTER_CUBIC)
        new = new + np.float32(self.sharpening) * (new - cv2.GaussianBlur(new, (0, 0), 1.5))
        old = part(image, window)
        mask = oval_mask(points.xy, window)
        new = colour_transfer(new, old, mask, self.transfer)
        new = new + grain(new.shape, self.grain, self.noise)
        wide = target.plan.face_width
        soft = oval_mask(points.xy, window, shrink=(0.05 + self.shrink) * wide, feather=0.04 * wide)
        return Forged(put(image, window, new, soft), drawn)
