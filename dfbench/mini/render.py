"""Render an original clip: people in a scene, frame by frame, before any encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.camera import Light, make_sensor, shading
from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.features import draw_eyes, draw_mouth
from dfbench.mini.motion import Motion
from dfbench.mini.person import Person
from dfbench.mini.scene import MARGIN, make_background, make_body
from dfbench.mini.settings import stream
from dfbench.mini.shape import Expression, Placed, Pose, expressed, project
from dfbench.mini.warp import warp_map


@dataclass(frozen=True, eq=False)
class Head:
    """A person's head in a clip's light.

    ``texture`` (h, w, 4) is RGB and alpha in grey levels, ``smile`` (h, w, 4) its change per unit of smile; ``white``,
    ``teeth`` and ``iris`` are the colours of eyes and teeth.
    """

    person: Person
    texture: Floats
    smile: Floats
    white: Floats
    teeth: Floats
    iris: Floats


def light_head(model: FaceModel, person: Person, light: Light, texture: Floats | None = None) -> Head:
    """Shade a person's head; ``texture`` (h, w, 3) RGB replaces the person's own."""
    shade = shading(model, light)
    base = person.texture if texture is None else texture
    level = np.asarray(light.tint, np.float32) * np.float32(light.level)
    alpha = person.alpha[..., None]
    return Head(
        person=person,
        texture=np.dstack([base * shade, alpha * 255]).astype(np.float32),
        smile=np.dstack([person.smile * shade, np.zeros_like(alpha)]).astype(np.float32),
        white=np.array([206, 198, 192], np.float32) * level,
        teeth=np.array([214, 205, 192], np.float32) * level,
        iris=np.asarray(person.looks.iris, np.float32) * level,
    )


def draw_head(image: Floats, model: FaceModel, head: Head, points: Placed, face: Expression) -> None:
    """Draw a head into an RGB float32 image (H, W, 3), in place."""
    height, width = image.shape[:2]
    warp = warp_map(points.xy, points.depth, model.frame, model.triangles, width, height)
    sampled = warp.sample(np.asarray(cv2.scaleAdd(head.smile, face.smile, head.texture), np.float32))
    np.clip(sampled, 0, 255, out=sampled)
    # The triangle map has aliased edges; the stored alpha provides a soft edge inside them.
    alpha = cv2.cvtColor(sampled[..., 3] * (warp.inside * np.float32(1 / 255)), cv2.COLOR_GRAY2RGB)
    window = image[warp.window]
    window += cv2.multiply(cv2.subtract(cv2.cvtColor(sampled, cv2.COLOR_RGBA2RGB), window), alpha)
    wide = float(np.linalg.norm(points.xy[454] - points.xy[234]))
    draw_mouth(image, points.xy, wide, head.teeth)
    draw_eyes(image, points.xy, wide, head.iris, head.white, face.gaze)


def anchored(pose: Pose, shift: Floats) -> Pose:
    """Return the pose shifted by the camera."""
    return Pose(pose.yaw, pose.pitch, pose.roll, pose.x + float(shift[0]), pose.y + float(shift[1]), pose.width)


@dataclass(frozen=True, eq=False)
class Actor:
    """A person in a clip: head, body layer (RGBA, alpha-multiplied), motion, and the resting position of the body."""

    head: Head
    body: Floats
    motion: Motion
    rest: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Shot:
    """A rendered frame: uint8 RGB (H, W, 3) and each actor's points (None if not visible)."""

    image: NDArray[np.uint8]
    points: tuple[Placed | None, ...]


def make_actor(
    model: FaceModel, person: Person, light: Light, motion: Motion, seed: int, size: tuple[int, int],
    rest: tuple[float, float], face: float,
) -> Actor:  # fmt: skip
    """Prepare a person for a clip of a size (width, height), at a resting position with a face width in pixels."""
    level = np.asarray(light.tint, np.float32) * np.float32(light.level)
    body = make_body(person, seed, size[0], size[1], rest, face)
    body[..., :3] *= level
    return Actor(light_head(model, person, light), body, motion, rest)


def camera_path(name: str, frames: int, seed: int) -> Floats:
    """Return the shift (frames, 2) of the image in pixels: fixed, or hand-held."""
    rng = stream(name, "camera", seed)
    size = max(float(rng.uniform(-0.8, 1.6)), 0.0)
    t = np.arange(frames) / 25.0
    path = np.zeros((frames, 2))
    for axis in range(2):
        for _ in range(3):
            path[:, axis] += np.sin(2 * np.pi * rng.uniform(0.4, 3.0) * t + rng.uniform(0, 2 * np.pi)) / 1.5
    return (size * path).astype(np.float32)


def render_clip(
    model: FaceModel, name: str, seed: int, size: tuple[int, int], actors: tuple[Actor, ...]
) -> Iterator[Shot]:
    """Render all frames of a clip; the first actor is the main one and is in front."""
    width, height = size
    background = make_background(name, seed, width, height)
    sensor = make_sensor(name, seed, width, height)
    path = camera_path(name, len(actors[0].motion), seed)
    for i, shift in enumerate(path):
        image = _moved(background, shift, size)
        points: list[Placed | None] = []
        for actor in reversed(actors):
            if not actor.motion.visible[i]:
                points.append(None)
                continue
            pose = anchored(actor.motion.poses[i], shift)
            lag = np.array([pose.x - actor.rest[0], pose.y - actor.rest[1]], np.float32) * 0.7
            body = _moved(actor.body, lag, size)
            behind = cv2.multiply(image, cv2.cvtColor(1 - body[..., 3], cv2.COLOR_GRAY2RGB))
            image = np.asarray(cv2.add(behind, cv2.cvtColor(body, cv2.COLOR_RGBA2RGB)), np.float32)
            face = actor.motion.expressions[i]
            placed = project(expressed(model, actor.head.person.identity, face), pose)
            draw_head(image, model, actor.head, placed, face)
            points.append(placed)
        yield Shot(sensor.expose(image), tuple(reversed(points)))


def _moved(layer: Floats, shift: Floats, size: tuple[int, int]) -> Floats:
    """Return the layer without its margins, moved by ``shift`` pixels."""
    matrix = np.array([[1, 0, shift[0] - MARGIN], [0, 1, shift[1] - MARGIN]], np.float32)
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(layer, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border), np.float32)
