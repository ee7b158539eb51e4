"""An invented person: identity, skin, hair, eyes and the texture of the head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import FaceModel, Floats, identity_coefficients, identity_number
from dfbench.mini.settings import stream

SLOTS = 2000
"""Number of people of a data set: main persons of clips 000 to 999 and as many second persons."""
DETAIL = (0.62, 0.56, 0.23)
"""Strength of the three bands of fine detail (finest first)."""


@dataclass(frozen=True, eq=False)
class Person:
    """One invented person.

    ``texture`` and ``smile`` are (height, width, 3) float32 RGB in the model's texture frame, ``smooth`` the texture
    without fine detail (the output of a generator that was not trained on the person's pores).
    """

    name: str
    number: int
    coefficients: NDArray[np.float64]
    identity: Floats
    texture: Floats
    smooth: Floats
    smile: Floats
    alpha: Floats
    skin: Floats
    hair: Floats
    looks: Looks


@dataclass(frozen=True)
class Looks:
    """Random attributes of a person that the face model does not contain."""

    skin_gain: tuple[float, float, float]
    hair_gain: float
    iris: tuple[float, float, float]
    long_hair: bool
    moles: int


def draw_looks(name: str, seed: int) -> Looks:
    """Return random skin tone, hair tone and irises, which vary little in portraits of mostly white men over 40."""
    rng = stream(name, "skin", seed)
    kind, level = rng.random(), rng.random()
    if kind < 0.22:
        gain = 0.38 + 0.22 * level
    elif kind < 0.50:
        gain = 0.70 + 0.22 * level
    else:
        gain = 0.94 + 0.14 * level
    warm = rng.uniform(0.02, 0.10) * (1.0 if gain < 0.93 else 0.3)
    hair = stream(name, "hair", seed)
    hair_gain = hair.uniform(0.30, 0.80) if gain < 0.93 else hair.uniform(0.45, 1.15)
    eyes = stream(name, "iris", seed)
    browns = ((78, 50, 32), (62, 40, 28), (95, 66, 40))
    lights = (*browns, (96, 112, 128), (84, 104, 88), (104, 96, 70), (110, 124, 138))
    choice = browns if gain < 0.93 else lights
    iris = tuple(float(v * eyes.uniform(0.9, 1.1)) for v in choice[int(eyes.integers(len(choice)))])
    return Looks(
        skin_gain=(gain * (1 + warm), gain, gain * (1 - warm)),
        hair_gain=float(hair_gain),
        iris=(iris[0], iris[1], iris[2]),
        long_hair=bool(stream(name, "long hair", seed).random() < 0.4),
        moles=int(stream(name, "moles", seed).integers(1, 6)),
    )


def to_rgb(ycrcb: Floats, offset: float = 128.0) -> Floats:
    """Convert YCrCb (BT.601, full range) to RGB, both in grey levels; ``offset`` 0 for differences."""
    y, cr, cb = ycrcb[..., 0], ycrcb[..., 1] - offset, ycrcb[..., 2] - offset
    return np.dstack([y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb]).astype(np.float32)


def make_person(model: FaceModel, slot: int, seed: int) -> Person:
    """Return the person with a number (0 to :data:`SLOTS` - 1), the same for the same data set seed."""
    name = f"person/{slot:04d}"
    offset = int(stream("people", "identity numbers", seed).integers(len(model.refused)))
    number = identity_number(model, slot, offset)
    c = identity_coefficients(model, number)
    looks = draw_looks(name, seed)
    tone = model.identity_texture(c)
    hairness = hair_map(model, tone)
    luma = tone[..., 0]
    tone[..., 0] = luma + 0.7 * (luma - cv2.GaussianBlur(luma, (0, 0), 2.0))
    smooth = to_rgb(tone)
    tone[..., 0] += fine_detail(model, hairness, stream(name, "detail", seed))
    texture = to_rgb(tone)
    add_moles(model, texture, looks.moles, stream(name, "mole places", seed))
    gain = np.asarray(looks.skin_gain, np.float32) * (1 - hairness) + np.float32(looks.hair_gain) * hairness
    texture, smooth = texture * gain, smooth * gain
    skin, hair = mean_colour(texture, _cheeks(model)), mean_colour(texture, hairness[..., 0] > 0.6)
    if not np.isfinite(hair).all():
        hair = skin * np.float32(0.5)
    return Person(
        name=name,
        number=number,
        coefficients=c,
        identity=model.identity_shape(c),
        texture=texture.astype(np.float32),
        smooth=smooth.astype(np.float32),
        smile=(to_rgb(model.smile_texture(), 0.0) * gain).astype(np.float32),
        alpha=head_alpha(model),
        skin=skin,
        hair=hair,
        looks=looks,
    )


def mean_colour(texture: Floats, where: NDArray[np.bool_]) -> Floats:
    """Return the median RGB (3,) of some texels; NaN if there are too few."""
    if int(where.sum()) < 50:
        return np.full(3, np.nan, np.float32)
    return np.median(texture[where], axis=0).astype(np.float32)


def _filled(model: FaceModel, points: tuple[int, ...], shrink: float = 1.0) -> NDArray[np.bool_]:
    corners = model.frame[list(points)]
    middle = corners.mean(0)
    canvas = np.zeros((model.height, model.width), np.uint8)
    cv2.fillPoly(canvas, [np.round(middle + shrink * (corners - middle)).astype(np.int32)], 1)
    return canvas > 0


def _cheeks(model: FaceModel) -> NDArray[np.bool_]:
    canvas = np.zeros((model.height, model.width), np.uint8)
    for point in (50, 280, 205, 425):
        x, y = model.frame[point]
        cv2.circle(canvas, (round(float(x)), round(float(y))), 8, 1, -1)
    return canvas > 0


def head_alpha(model: FaceModel) -> Floats:
    """Return the opacity of each texel of the head: 1 inside the outline, falling to 0 within three texels outside."""
    first = mesh.MESH + mesh.IRIS
    outline = tuple(range(first, first + mesh.RAYS)) + mesh.JAW
    inside = _filled(model, outline)
    outward = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.clip(1.0 - outward / 3.5, 0.0, 1.0), np.float32)


def hair_map(model: FaceModel, tone: Floats) -> Floats:
    """Return the amount of hair per texel, (height, width, 1) in 0..1: darker or greyer than skin, outside the face."""
    skin = np.median(tone[_cheeks(model)], axis=0)
    dark = np.clip((skin[0] - tone[..., 0] - 22) / 35, 0, 1)
    grey = np.clip((skin[1] - tone[..., 1] - 6) / 9, 0, 1) * (tone[..., 0] < skin[0] + 45)
    face = _filled(model, mesh.OVAL, 0.93).astype(np.float32)
    zone: Floats = np.asarray(1.0 - cv2.GaussianBlur(face, (0, 0), 4.0), np.float32)
    # Below the ears the edge of the head is skin in shadow, not hair.
    rows = np.arange(model.height, dtype=np.float32)[:, None]
    above = np.clip((model.frame[58, 1] + 6 - rows) / 25, 0, 1)
    hair = np.maximum(dark, grey) * zone * above
    return np.asarray(cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 1.5)[..., None], np.float32)


def fine_detail(model: FaceModel, hairness: Floats, rng: np.random.Generator) -> Floats:
    """Return pores, wrinkles and hair in luma: noise in three bands with the local strength of the model's residual."""
    normal = rng.standard_normal((model.height, model.width)).astype(np.float32)
    noise: Floats = np.asarray(np.sign(normal) * np.abs(normal) ** 1.25, np.float32)
    levels = [noise, *(cv2.GaussianBlur(noise, (0, 0), s) for s in (0.8, 1.6, 3.2))]
    skin = np.zeros_like(noise)
    for band, strength in enumerate(DETAIL):
        cut = levels[band] - levels[band + 1]
        skin += np.float32(strength) * model.detail[band] * cut / cut.std()
    strands = hair_strands(model, rng)
    hair = hairness[..., 0]
    return np.asarray(skin * (1 - 0.7 * hair) + 0.55 * strands * model.detail.sum(0) * hair, np.float32)


def hair_strands(model: FaceModel, rng: np.random.Generator) -> Floats:
    """Return unit-variance noise blurred along lines that start at the point between the eyes."""
    # The radius covers every corner; without the flag, OpenCV does not write pixels beyond it.
    reach = 280
    polar = rng.standard_normal((720, reach)).astype(np.float32)
    smeared = cv2.GaussianBlur(polar, (0, 0), sigmaX=7.0, sigmaY=0.9)
    x, y = model.frame[mesh.ANCHOR]
    flags = cv2.WARP_INVERSE_MAP | cv2.WARP_POLAR_LINEAR | cv2.WARP_FILL_OUTLIERS | cv2.INTER_LINEAR
    flat = cv2.warpPolar(smeared, (model.width, model.height), (float(x), float(y) + 20), reach, flags)
    return np.asarray(flat / max(float(flat.std()), 1e-6), np.float32)


def add_moles(model: FaceModel, texture: Floats, count: int, rng: np.random.Generator) -> None:
    """Darken a few small spots of the face, in place."""
    ys, xs = np.nonzero(_filled(model, mesh.OVAL, 0.85))
    rows = np.arange(model.height, dtype=np.float32)[:, None]
    columns = np.arange(model.width, dtype=np.float32)[None, :]
    for _ in range(count):
        at = int(rng.integers(len(ys)))
        size, depth = rng.uniform(0.8, 1.6), rng.uniform(0.15, 0.5)
        bump = np.exp(-((rows - ys[at]) ** 2 + (columns - xs[at]) ** 2) / (2 * size**2))
        texture *= (1 - depth * bump)[..., None].astype(np.float32)
