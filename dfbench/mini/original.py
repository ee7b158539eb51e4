"""An original clip: planned, rendered, published once (encoded as a video site would), and decoded again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfbench.media.encode import write_clip
from dfbench.media.reader import read
from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.light import Light, draw_light
from dfbench.mini.person import Person, make_person
from dfbench.mini.plan import ClipPlan, plan_clip
from dfbench.mini.render import make_actor, render_clip
from dfbench.mini.settings import PRESET, MiniSettings
from dfbench.mini.shape import Placed, Pose
from dfbench.mini.streams import stream
from dfbench.mini.tracks import FPS, Track, make_track

PAD = 16
"""The published clip is larger by this much; the original is cut out of it, off the encoder's block grid."""


@dataclass(frozen=True, eq=False)
class Original:
    """A published original, as the forgers get it.

    ``frames`` are uint8 RGB (H, W, 3); ``points`` the main person's points in each frame (``None`` where absent),
    ``second`` the second person's; ``offset`` is what must be taken from the track's places to get pixels.
    """

    plan: ClipPlan
    person: Person
    light: Light
    track: Track
    frames: tuple[NDArray[np.uint8], ...]
    points: tuple[Placed | None, ...]
    second: tuple[Placed | None, ...]
    noise: float

    @property
    def present(self) -> tuple[int, ...]:
        """Numbers of the frames in which the main person is."""
        return tuple(i for i, points in enumerate(self.points) if points is not None)

    def pose(self, index: int) -> Pose:
        """Pose of the main person's head in a frame (angles and size; the place is in the track's own pixels)."""
        return self.track.poses[index]


def make_original(model: FaceModel, clip: str, settings: MiniSettings) -> Original:
    """Plan, render, publish and decode original ``clip``."""
    plan, seed, name = plan_clip(clip, settings), settings.seed, f"clip/{clip}"
    width, height = settings.size
    light = draw_light(name, seed)
    rng = stream(name, "cut", seed)
    cut = (int(rng.integers(1, PAD)), int(rng.integers(1, PAD)))
    large = (width + PAD, height + PAD)
    centre = (plan.centre[0] + cut[0], plan.centre[1] + cut[1])
    track = make_track(name, plan.frames, seed, centre=centre, face_width=plan.face_width, absent=plan.absent)
    person = make_person(model, plan.person_slot, seed)
    actors = [make_actor(model, person, light, track, seed, large, centre, plan.face_width)]
    if plan.second is not None:
        x, y, face = plan.second[0] + cut[0], plan.second[1] + cut[1], plan.second[2]
        other = make_person(model, plan.second_slot, seed)
        walk = make_track(f"{name}/second", plan.frames, seed, centre=(x, y), face_width=face)
        actors.append(make_actor(model, other, light, walk, seed, large, (x, y), face))
    shots = list(render_clip(model, name, seed, large, tuple(actors)))
    crf = int(stream(name, "published quality", seed).integers(17, 21))
    decoded = published([shot.image for shot in shots], crf)
    frames = tuple(np.ascontiguousarray(f[cut[1] : cut[1] + height, cut[0] : cut[0] + width]) for f in decoded)
    points = tuple(_cut(shot.points[0], cut) for shot in shots)
    second = tuple(_cut(shot.points[1], cut) if len(shot.points) > 1 else None for shot in shots)
    return Original(plan, person, light, track, frames, points, second, noise_level(frames))


def published(frames: list[NDArray[np.uint8]], crf: int) -> list[NDArray[np.uint8]]:
    """Encode and decode frames once."""
    with tempfile.TemporaryDirectory(prefix="dfbench-mini-") as folder:
        path = Path(folder) / "published.mp4"
        write_clip(path, frames, FPS, crf, preset=PRESET)
        reading = read(path, range)
        return [reading.frames[i].image for i in range(reading.frame_count)]


def _cut(points: Placed | None, cut: tuple[int, int]) -> Placed | None:
    if points is None:
        return None
    return Placed(points.xy - np.asarray(cut, np.float32), points.depth)


def noise_level(frames: tuple[NDArray[np.uint8], ...]) -> float:
    """Noise of a clip in grey levels: robust spread of the diagonal second difference (Immerkaer 1996)."""
    levels = []
    for frame in frames[:: max(len(frames) // 3, 1)]:
        grey: Floats = frame.astype(np.float32).mean(2)
        d = grey[:-1, :-1] - grey[1:, :-1] - grey[:-1, 1:] + grey[1:, 1:]
        levels.append(float(np.median(np.abs(d))) / 0.6745 / 2)
    return float(np.median(levels))
