"""The master of an original clip: planned, rendered, encoded once (as by a video site) and decoded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from dfbench.media.encode import write_clip
from dfbench.mini.camera import Light, draw_light
from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.motion import FPS, Motion, make_motion
from dfbench.mini.person import Person, make_person
from dfbench.mini.plan import ClipPlan, plan_clip
from dfbench.mini.publication import margin_of
from dfbench.mini.render import Head, make_actor, render_clip
from dfbench.mini.settings import PRESET, MiniSettings, stream
from dfbench.mini.shape import Placed, Pose


@dataclass(frozen=True, eq=False)
class Original:
    """An original as the forging methods receive it.

    ``frames`` are uint8 RGB, larger than the published image by the publication's margin at each side; ``head`` is the
    main person's, ``points`` are the main person's points in each frame (``None`` if absent), ``second`` those of the
    second person.
    """

    plan: ClipPlan
    person: Person
    light: Light
    head: Head
    motion: Motion
    frames: tuple[NDArray[np.uint8], ...]
    points: tuple[Placed | None, ...]
    second: tuple[Placed | None, ...]
    noise: float

    @property
    def present(self) -> tuple[int, ...]:
        """Indices of the frames that show the main person."""
        return tuple(i for i, points in enumerate(self.points) if points is not None)

    def pose(self, index: int) -> Pose:
        """Return the pose of the main person's head in a frame, without the camera's movement."""
        return self.motion.poses[index]


def make_original(model: FaceModel, clip: str, settings: MiniSettings) -> Original:
    """Plan, render, encode and decode original ``clip``."""
    plan, seed, name = plan_clip(clip, settings), settings.seed, f"clip/{clip}"
    margin = margin_of(settings.size)
    large = (settings.size[0] + 2 * margin, settings.size[1] + 2 * margin)
    light = draw_light(name, seed)
    centre = (plan.centre[0] + margin, plan.centre[1] + margin)
    motion = make_motion(name, plan.frames, seed, centre=centre, face_width=plan.face_width, absent=plan.absent)
    person = make_person(model, plan.person_slot, seed)
    actors = [make_actor(model, person, light, motion, seed, large, centre, plan.face_width)]
    if plan.second is not None:
        x, y, face = plan.second[0] + margin, plan.second[1] + margin, plan.second[2]
        other = make_person(model, plan.second_slot, seed)
        walk = make_motion(f"{name}/second", plan.frames, seed, centre=(x, y), face_width=face)
        actors.append(make_actor(model, other, light, walk, seed, large, (x, y), face))
    shots = list(render_clip(model, name, seed, large, tuple(actors)))
    crf = int(stream(name, "master quality", seed).integers(17, 21))
    frames = tuple(decoded([shot.image for shot in shots], crf))
    points = tuple(shot.points[0] for shot in shots)
    second = tuple(shot.points[1] if len(shot.points) > 1 else None for shot in shots)
    return Original(plan, person, light, actors[0].head, motion, frames, points, second, noise_level(frames))


def decoded(frames: list[NDArray[np.uint8]], crf: int) -> list[NDArray[np.uint8]]:
    """Return frames that were encoded and decoded once."""
    with tempfile.TemporaryDirectory(prefix="dfbench-mini-") as folder:
        path = Path(folder) / "master.mp4"
        write_clip(path, frames, FPS, crf, preset=PRESET)
        converter = VideoReformatter()
        with av.open(str(path)) as container:
            container.streams.video[0].thread_count = 1
            images = (converter.reformat(frame, format="rgb24", threads=1) for frame in container.decode(video=0))
            return [np.asarray(image.to_ndarray(), np.uint8) for image in images]


def noise_level(frames: tuple[NDArray[np.uint8], ...]) -> float:
    """Return the noise of a clip in grey levels: robust, from diagonal second differences (Immerkaer 1996)."""
    levels = []
    for frame in frames[:: max(len(frames) // 3, 1)]:
        grey: Floats = np.asarray(cv2.transform(frame.astype(np.float32), np.full((1, 3), 1 / 3)), np.float32)
        d = grey[:-1, :-1] - grey[1:, :-1] - grey[:-1, 1:] + grey[1:, 1:]
        levels.append(float(np.median(np.abs(d))) / 0.6745 / 2)
    return float(np.median(levels))
