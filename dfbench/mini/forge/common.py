"""Common parts of the forging methods: the job of one clip, masks, colour transfer, grain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.original import Original
from dfbench.mini.settings import channel_noise, stream
from dfbench.mini.shape import Placed
from dfbench.mini.warp import filled, window_of


@dataclass(frozen=True, eq=False)
class Job:
    """A fake to make: ``target`` provides the scene, ``source`` the identity or the expression."""

    model: FaceModel
    target: Original
    source: Original
    seed: int

    def source_frame(self, index: int) -> int:
        """Return the source's frame for a frame of the target, cycling through those that show the person."""
        present = self.source.present
        around = [*present, *present[-2:0:-1]]
        return around[index % len(around)]

    def stream(self, method: str, purpose: str) -> np.random.Generator:
        """Return a random stream of this fake."""
        return stream(f"fake/{method}/{self.target.plan.clip}_{self.source.plan.clip}", purpose, self.seed)


@dataclass(frozen=True, eq=False)
class Forged:
    """A forged frame: uint8 RGB (H, W, 3) and the true points of its face."""

    image: NDArray[np.uint8]
    points: Placed


Window = tuple[int, int, int, int]
_OVAL = np.array(mesh.OVAL)


def face_window(xy: Floats, image: NDArray[np.uint8], margin: int = 8) -> Window:
    """Return the box x1 y1 x2 y2 around the face oval."""
    return window_of(xy[_OVAL], image.shape[1], image.shape[0], margin)


def part(image: NDArray[np.uint8], window: Window) -> Floats:
    """Return a float32 copy (h, w, 3) of a window."""
    x1, y1, x2, y2 = window
    return image[y1:y2, x1:x2].astype(np.float32)


def oval_mask(xy: Floats, window: Window, shrink: float = 0.0, feather: float = 0.0) -> Floats:
    """Return the face oval in a window, (h, w) in 0..1: shrunk by pixels, then blurred (sigma in pixels)."""
    x1, y1, x2, y2 = window
    points = xy[_OVAL]
    middle = points.mean(0)
    arm = points - middle
    length = np.linalg.norm(arm, axis=1, keepdims=True)
    mask = filled(middle + arm * np.maximum(1 - shrink / length, 0.1), x1, y1, x2 - x1, y2 - y1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), feather), np.float32) if feather > 0.1 else mask


def put(image: NDArray[np.uint8], window: Window, new: Floats, mask: Floats) -> NDArray[np.uint8]:
    """Return a copy of the image with ``new`` (h, w, 3) blended into a window; pixels with mask 0 do not change."""
    x1, y1, x2, y2 = window
    old = image[y1:y2, x1:x2]
    alpha = np.where(mask > 1 / 512, mask, np.float32(0))
    change = cv2.multiply(new - old, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB))
    out = image.copy()
    out[y1:y2, x1:x2] = cv2.add(old, change, dtype=cv2.CV_8U)
    return out


def colour_transfer(new: Floats, old: Floats, mask: Floats, strength: float) -> Floats:
    """Move mean and standard deviation of ``new`` towards ``old`` in a mask, per LAB channel (Reinhard et al. 2001)."""
    if float(mask.sum()) < 20:
        return new
    lab, lab_old = _lab(new), _lab(old)
    weight = mask / mask.sum()
    (mean_new, deviation_new), (mean_old, deviation_old) = _moments(lab, weight), _moments(lab_old, weight)
    gain = np.clip((deviation_old + 0.5) / (deviation_new + 0.5), 0.6, 1.7)
    # The mixture of the image and the moved image, (lab - mean_new) * gain + mean_old, channel by channel.
    rows = lab.reshape(len(lab), -1)
    rows *= _repeated(np.float32(1 - strength) + np.float32(strength) * gain, lab)
    rows += _repeated(np.float32(strength) * (mean_old - mean_new * gain), lab)
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    rgb *= 255
    return np.asarray(rgb, np.float32)


def _lab(image: Floats) -> Floats:
    scaled = np.clip(image, 0, 255)
    scaled *= np.float32(1 / 255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), np.float32)


def resized(image: Floats, size: tuple[int, int], interpolation: int) -> Floats:
    """Resize to (width, height) with ``cv2.resize``; float32."""
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.float32)


def _moments(image: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return weighted mean and standard deviation (3,) of each channel."""
    weights = weight.ravel()
    mean = weights @ image.reshape(-1, 3)
    deviation = image.reshape(len(image), -1) - _repeated(mean, image)
    deviation *= deviation
    return mean, np.sqrt(weights @ deviation.reshape(-1, 3))


def _repeated(channels: Floats, image: Floats) -> Floats:
    """Return three numbers for each pixel of a row of an image (h, w, 3): faster to broadcast than the three alone."""
    return np.tile(channels, image.shape[1])


def grain(shape: tuple[int, ...], level: float, rng: np.random.Generator) -> Floats:
    """Return sensor-like noise (h, w, 3), slightly coarser than a pixel, like noise after an encoder."""
    height, width = shape[:2]
    # The deviation that the blur leaves: the root of the sum of the squared weights of its kernel (rows times columns).
    level /= math.hypot(0.9, 0.35) * float((cv2.getGaussianKernel(3, 0.55) ** 2).sum())
    noise = channel_noise(rng, height, width, common=0.9 * level, own=0.35 * level)
    return np.asarray(cv2.GaussianBlur(noise, (3, 3), 0.55), np.float32)


def similarity_2d(moving: Floats, fixed: Floats) -> tuple[Floats, Floats]:
    """Return the least-squares similarity ``moving @ matrix.T + shift``: matrix (2, 2) and shift (2,)."""
    a, b = moving.mean(0), fixed.mean(0)
    p, q = moving - a, fixed - b
    norm = float((p**2).sum())
    c = float((p * q).sum()) / norm
    s = float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()) / norm
    matrix = np.array([[c, -s], [s, c]], np.float32)
    return matrix, (b - matrix @ a).astype(np.float32)
