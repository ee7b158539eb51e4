"""Pairs of a real face and its self-blended fake, in the published order of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.crops import stretched
from dfbench.faces.hulls import HULLS, face_mask
from dfbench.faces.landmark_sets import PARTS
from dfbench.faces.regions import draw_factors, face_region, landmark_region
from dfbench.schema.ids import seed_from
from dfbench.training.sbi.blending import blend, draw_softening, soft_mask
from dfbench.training.sbi.deformation import deform_image, deform_mask, draw_deformation
from dfbench.training.sbi.stored import FaceImage
from dfbench.training.sbi.transforms import (
    draw_pair_transform,
    draw_source_transform,
    transform_pair,
    transform_source,
)

NO_FOREHEAD = 0.25
"""Probability that the mask uses the 68 parts alone, for landmarks with a forehead."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A real face and its fake, cropped alike.

    Attributes:
        real: uint8 (size, size, 3), RGB.
        fake: uint8 (size, size, 3), RGB.
        mask: float32 (size, size) in [0, 1]: weight of the source in the fake.
    """

    real: NDArray[np.uint8]
    fake: NDArray[np.uint8]
    mask: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PairBatch:
    """A batch of pairs.

    Attributes:
        reals: uint8 (N, size, size, 3), RGB.
        fakes: uint8 (N, size, size, 3), RGB.
        faces: for each pair, which of the given faces it shows: another one where a mask was empty.
    """

    reals: NDArray[np.uint8]
    fakes: NDArray[np.uint8]
    faces: tuple[int, ...]

    def images_and_targets(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return all images, uint8 (2N, size, size, 3), reals first, and their classes (2N,), 0 real and 1 fake."""
        return np.concatenate((self.reals, self.fakes)), np.repeat(np.arange(2), len(self.reals))


def pair_generator(sample_id: str, epoch: int, seed: int) -> np.random.Generator:
    """Return the random generator of a sample in an epoch, counted from 0; it depends on nothing else."""
    return np.random.default_rng(seed_from(f"{sample_id}@{epoch}", "self-blending", seed))


def self_blended(face: FaceImage, size: int, generator: np.random.Generator, *, training: bool = True) -> Pair:
    """Make a pair from a real face.

    Args:
        face: a real face; not changed.
        size: side of the crops in pixels; 380 in the paper.
        generator: all randomness is drawn from it.
        training: with flips, colour and compression of the pair and random margins; False: as in validation.

    Raises:
        DataError: the face lies outside its image, or its mask is empty.
    """
    if training and generator.random() < 0.5:
        face = face.mirrored()
    face = face.cut(landmark_region(face.landmarks, *face.pixels.shape[:2]))
    height, width = face.pixels.shape[:2]
    points = face.landmarks[:PARTS] if generator.random() < NO_FOREHEAD else face.landmarks
    mask = face_mask(points, height, width, str(generator.choice(tuple(HULLS))))

    source = target = face.pixels
    transform = draw_source_transform(generator)
    if generator.random() < 0.5:
        source = transform_source(source, transform)
    else:
        target = transform_source(target, transform)  # the real image of the pair is the target
    deformation = draw_deformation(height, width, generator)
    weight = soft_mask(deform_mask(mask, deformation), draw_softening(generator))
    fake, real = blend(deform_image(source, deformation), target, weight), target
    if not training:
        region = face_region(face.box, height, width)
    else:
        pair_transform = draw_pair_transform(generator)
        fake, real = transform_pair(fake, pair_transform), transform_pair(real, pair_transform)
        region = face_region(face.box, height, width, draw_factors(generator))
    x1, y1, x2, y2 = region
    small = cv2.resize(weight[y1:y2, x1:x2].astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return Pair(stretched(real[y1:y2, x1:x2], size), stretched(fake[y1:y2, x1:x2], size), np.asarray(small, np.float32))


def self_blended_batch(
    faces: Sequence[FaceImage],
    size: int,
    generators: Sequence[np.random.Generator],
    *,
    training: bool = True,
) -> PairBatch:
    """Make a pair from each of several real faces.

    Where a face gives no pair, another one of the batch takes its place, drawn from the same generator.

    Args:
        faces: N real faces.
        size: side of the crops in pixels.
        generators: N random generators, see :func:`pair_generator`: then a pair depends neither on its place nor on
            the other faces, unless it fails.
        training: see :func:`self_blended`.

    Raises:
        DataError: no face gives a pair.
    """
    pairs: list[Pair] = []
    shown: list[int] = []
    failed: set[int] = set()
    for number, generator in enumerate(generators):
        chosen = number
        while True:
            try:
                pairs.append(self_blended(faces[chosen], size, generator, training=training))
                break
            except DataError as error:
                failed.add(chosen)
                left = [other for other in range(len(faces)) if other not in failed]
                if not left:
                    raise DataError(f"no face of this batch can be blended: {error.message}", error.hint) from error
                chosen = left[int(generator.integers(len(left)))]
        shown.append(chosen)
    return PairBatch(np.stack([p.real for p in pairs]), np.stack([p.fake for p in pairs]), tuple(shown))
