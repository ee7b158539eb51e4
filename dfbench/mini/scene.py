"""Surroundings of the face: background, clothes and neck, long hair."""

from __future__ import annotations

import cv2
import numpy as np

from dfbench.mini.facemodel import Floats
from dfbench.mini.person import Person
from dfbench.mini.settings import stream

MARGIN = 16
"""Margin of the background at each side of the image in pixels, for camera movement."""


def _blend(canvas: Floats, colour: Floats, alpha: Floats) -> None:
    canvas *= 1 - alpha[..., None]
    canvas += alpha[..., None] * colour


def _muted(rng: np.random.Generator, low: float, high: float, spread: float) -> Floats:
    """Return a random colour of low saturation."""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.uniform(-spread, spread, 3), 8, 245).astype(np.float32)


def octaves(rng: np.random.Generator, height: int, width: int, count: int = 4) -> Floats:
    """Return smooth noise (height, width) of about unit variance."""
    total = np.zeros((height, width), np.float32)
    for level in range(count):
        cells = 3 * 2**level
        coarse = rng.standard_normal((cells, cells + cells // 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.6**level)
    return total / max(float(total.std()), 1e-6)


def make_background(name: str, seed: int, width: int, height: int) -> Floats:
    """Return a background (height + 2 margins, width + 2 margins, 3) float32 RGB: wall, blurred objects, texture."""
    rng = stream(name, "background", seed)
    high, wide = height + 2 * MARGIN, width + 2 * MARGIN
    top, bottom = _muted(rng, 60, 190, 22), _muted(rng, 50, 180, 22)
    ramp = np.linspace(0, 1, high, dtype=np.float32)[:, None, None]
    canvas = np.ascontiguousarray(np.broadcast_to(top * (1 - ramp) + bottom * ramp, (high, wide, 3))).astype(np.float32)
    across = np.linspace(-1, 1, wide, dtype=np.float32)[None, :, None]
    canvas *= 1 + np.float32(rng.uniform(-0.2, 0.2)) * across
    for _ in range(int(rng.integers(3, 9))):
        mask = np.zeros((high, wide), np.float32)
        w, h = rng.uniform(0.06, 0.3) * wide, rng.uniform(0.1, 0.5) * high
        x, y = rng.uniform(-0.1, 1.0) * wide, rng.uniform(-0.1, 0.9) * high
        cv2.rectangle(mask, (round(x), round(y)), (round(x + w), round(y + h)), 1.0, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1.2, 5.0))) * np.float32(rng.uniform(0.4, 0.95))
        _blend(canvas, _muted(rng, 30, 215, 26), mask)
    canvas *= (1 + np.float32(rng.uniform(0.01, 0.05)) * octaves(rng, high, wide))[..., None]
    grain = cv2.GaussianBlur(rng.standard_normal((high, wide)).astype(np.float32), (0, 0), 0.8)
    canvas += (np.float32(rng.uniform(1.0, 6.0)) * grain)[..., None]
    return np.clip(canvas, 2, 250).astype(np.float32)


def make_body(person: Person, seed: int, width: int, height: int, centre: tuple[float, float], face: float) -> Floats:
    """Return neck and clothes, (height + 2 margins, width + 2 margins, 4) float32 RGBA, colour multiplied by alpha.

    Args:
        person: the person.
        seed: the data set's seed.
        width: width of the image in pixels.
        height: height of the image in pixels.
        centre: position of the point between the eyes in pixels.
        face: face width in pixels.
    """
    rng = stream(person.name, "clothes", seed)
    wide, high = width + 2 * MARGIN, height + 2 * MARGIN
    x, y = centre[0] + MARGIN, centre[1] + MARGIN
    chin = y + 0.78 * face
    columns = np.arange(wide, dtype=np.float32)[None, :]
    rows = np.arange(high, dtype=np.float32)[:, None]
    offset = (columns - x) / face
    down = (rows - chin) / face
    half = 0.355 + 0.04 * np.clip(-down - 0.1, 0, 1) + 0.75 * np.clip(down - 0.04, 0, 1) ** 1.5
    neck = np.clip((half - np.abs(offset)) * face / 1.5 + 0.5, 0, 1) * (down > -0.75)
    skin = person.skin * np.array([0.93, 0.89, 0.87], np.float32)
    shade = 0.60 + 0.34 * np.clip((down + 0.02) / 0.34, 0, 1) - 0.26 * (np.abs(offset) / half).clip(0, 1) ** 2
    tendon = 0.04 * np.exp(-(((np.abs(offset) - 0.10 - 0.1 * (0.5 - down)) / 0.035) ** 2)) * (down > 0)
    colour = skin * (shade + tendon)[..., None] * (1 + 0.015 * octaves(rng, high, wide))[..., None]
    canvas = np.zeros((high, wide, 4), np.float32)
    canvas[..., :3], canvas[..., 3] = colour * neck[..., None], neck

    cloth = _muted(rng, 30, 190, 26)
    collar_low, collar_high, collar_wide = rng.uniform(0.36, 0.54), rng.uniform(0.13, 0.19), rng.uniform(0.42, 0.48)
    bend = np.clip(np.abs(offset) / collar_wide, 0, 1) ** rng.uniform(1.3, 3.0)
    collar = collar_low - (collar_low - collar_high) * bend
    shoulder = collar_high + 0.30 * np.clip(np.abs(offset) - collar_wide, 0, 3) ** 1.15
    line = np.where(np.abs(offset) < collar_wide, collar, shoulder)
    reach = rng.uniform(1.15, 1.4)
    edge = np.minimum((down - line) * face, (reach - np.abs(offset) + 0.25 * np.clip(down - 0.3, 0, 1)) * face)
    shirt = np.clip(edge / 1.5 + 0.5, 0, 1)
    pattern = np.ones((high, wide), np.float32)
    kind = rng.random()
    if kind < 0.3:
        pattern += 0.10 * np.sign(np.sin(columns * np.float32(2 * np.pi / (rng.uniform(0.10, 0.25) * face))))
    elif kind < 0.45:
        pattern += 0.10 * np.sign(np.sin(rows * np.float32(2 * np.pi / (rng.uniform(0.10, 0.25) * face))))
    weave = cv2.GaussianBlur(rng.standard_normal((high, wide)).astype(np.float32), (0, 0), 0.7)
    folds = octaves(rng, high, wide, 3)
    light = pattern * (1 + 0.05 * folds + 0.05 * weave) * (1 - 0.16 * np.clip(np.abs(offset) - 0.4, 0, 1))
    light = light * np.where(edge < 0.05 * face, 0.82, 1.0)
    canvas *= 1 - shirt[..., None]
    canvas[..., :3] += cloth * light[..., None] * shirt[..., None]
    canvas[..., 3] += shirt
    if person.looks.long_hair:
        hair = make_long_hair(person, seed, wide, high, (x, y), face)
        # Hair is behind neck and clothes.
        behind = hair * (1 - canvas[..., 3:])
        canvas += behind
    return canvas


def make_long_hair(person: Person, seed: int, wide: int, high: int, centre: tuple[float, float], face: float) -> Floats:
    """Return hair beside the neck, RGBA with colour multiplied by alpha."""
    rng = stream(person.name, "long hair shape", seed)
    columns = (np.arange(wide, dtype=np.float32)[None, :] - centre[0]) / face
    rows = (np.arange(high, dtype=np.float32)[:, None] - centre[1]) / face
    length, bulge = rng.uniform(0.75, 1.35), rng.uniform(0.56, 0.64)
    # Round over the skull, then falling.
    skull = np.sqrt(np.clip(1 - (np.clip(0.1 - rows, 0, 1) / 0.66) ** 2, 0, 1))
    half = (bulge + 0.05 * np.sin(np.clip(rows, 0, 2) * 2.2)) * skull
    wave = 0.015 * np.sin(rows * rng.uniform(5, 9) + rng.uniform(0, 6))
    alpha = np.clip((half + wave - np.abs(columns)) * face / 2.0 + 0.5, 0, 1) * (skull > 0.15)
    tips = length + 0.06 * cv2.GaussianBlur(rng.standard_normal((1, wide)).astype(np.float32), (0, 0), 1.2)
    alpha *= np.clip((tips - rows) * face / 6.0, 0, 1)
    noise = rng.standard_normal((high, wide)).astype(np.float32)
    smeared = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigmaX=0.9, sigmaY=14.0), np.float32)
    strands = smeared / max(float(smeared.std()), 1e-6)
    gloss = 0.85 + 0.14 * strands + 0.10 * np.exp(-(((rows - 0.25) / 0.18) ** 2)) - 0.25 * np.clip(rows - 0.5, 0, 1)
    out = np.zeros((high, wide, 4), np.float32)
    out[..., :3] = person.hair * gloss[..., None] * alpha[..., None]
    out[..., 3] = alpha
    return out
