"""Motion of a person in a clip: expression, pose and presence in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.mini.settings import stream
from dfbench.mini.shape import Expression, Pose

FPS = 25


@dataclass(frozen=True)
class Motion:
    """Expression and pose of one person in every frame, and whether the person is visible."""

    expressions: tuple[Expression, ...]
    poses: tuple[Pose, ...]
    visible: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.poses)


def _wave(rng: np.random.Generator, seconds: NDArray[np.float64], slow: float, fast: float) -> NDArray[np.float64]:
    """Return a smooth curve of about unit size: three sines with frequencies between ``slow`` and ``fast`` Hz."""
    total = np.zeros_like(seconds)
    for _ in range(3):
        frequency, phase, size = rng.uniform(slow, fast), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.0)
        total += size * np.sin(2 * np.pi * frequency * seconds + phase)
    return total / 1.3


def make_motion(
    name: str, frames: int, seed: int, *, centre: tuple[float, float], face_width: float, absent: range | None = None
) -> Motion:
    """Return a random motion.

    Args:
        name: name of the random streams.
        frames: number of frames.
        seed: the data set's seed.
        centre: mean position of the point between the eyes in pixels.
        face_width: mean face width in pixels.
        absent: frames in which the person is not visible.
    """
    seconds = np.arange(frames) / FPS
    rng = stream(name, "smile", seed)
    smile = np.clip(rng.uniform(-1.2, 0.6) + 0.6 * _wave(rng, seconds, 0.2, 1.0), -1.6, 1.4)
    rng = stream(name, "speech", seed)
    talks = rng.uniform(0.15, 0.75)
    jaw = np.clip(talks * (0.35 + 0.7 * _wave(rng, seconds, 1.5, 5.0)), 0, 1)
    rng = stream(name, "blink", seed)
    blink = np.zeros(frames)
    if rng.random() < 0.55:
        at = rng.uniform(0, frames)
        blink = np.clip(1.25 - np.abs(np.arange(frames) - at) / 2.0, 0, 1)
    rng = stream(name, "brow", seed)
    brow = np.clip(0.25 + 0.45 * _wave(rng, seconds, 0.3, 1.2), -0.3, 1)
    rng = stream(name, "gaze", seed)
    gaze = np.stack(
        [rng.uniform(-0.25, 0.25) + 0.12 * _wave(rng, seconds, 0.3, 1.0), 0.06 * _wave(rng, seconds, 0.3, 1.0)], 1
    )
    rng = stream(name, "pose", seed)
    yaw = rng.uniform(-7, 7) + rng.uniform(1, 5) * _wave(rng, seconds, 0.25, 1.1)
    pitch = rng.uniform(-4, 4) + rng.uniform(0.5, 2.5) * _wave(rng, seconds, 0.3, 1.4)
    roll = rng.uniform(-4, 4) + rng.uniform(0.5, 2.5) * _wave(rng, seconds, 0.25, 1.0)
    sway = face_width * 0.03
    x = centre[0] + sway * _wave(rng, seconds, 0.2, 0.9)
    y = centre[1] + 0.6 * sway * _wave(rng, seconds, 0.2, 0.9)
    size = face_width * (1 + 0.012 * _wave(rng, seconds, 0.2, 0.7))
    yaw, pitch = np.clip(yaw, -12, 12), np.clip(pitch, -8, 8)
    away = absent if absent is not None else range(0)
    return Motion(
        tuple(
            Expression(
                float(smile[i]), float(jaw[i]), float(blink[i]), float(brow[i]), (float(gaze[i, 0]), float(gaze[i, 1]))
            )
            for i in range(frames)
        ),
        tuple(
            Pose(float(yaw[i]), float(pitch[i]), float(roll[i]), float(x[i]), float(y[i]), float(size[i]))
            for i in range(frames)
        ),
        tuple(i not in away for i in range(frames)),
    )
