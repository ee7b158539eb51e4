"""Random degradations, flips, rotations, perspectives, drawn from sample id and epoch, never from order or worker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from dfbench.degrade import parse
from dfbench.evaluation.images import degraded
from dfbench.schema.ids import seed_from
from dfbench.training.recipe import FullRecipe

Matrix = NDArray[np.float64]


def draw_homography(recipe: FullRecipe, generator: np.random.Generator) -> tuple[bool, Matrix | None]:
    """Whether to flip, and the 3x3 map from output to input places in [-1, 1]; None where nothing is resampled.

    The perspective moves each corner inwards by up to ``perspective`` / 2 of the side, in both directions.
    """
    flip = bool(generator.random() < recipe.flip)
    angle = np.deg2rad(generator.uniform(-recipe.rotation, recipe.rotation)) if recipe.rotation else 0.0
    bent = recipe.perspective > 0 and generator.random() < recipe.perspective_p
    if angle == 0.0 and not bent:
        return flip, None
    cos, sin = np.cos(angle), np.sin(angle)
    matrix: Matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    if bent:
        corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        moved = corners - np.sign(corners) * generator.uniform(0.0, recipe.perspective, size=(4, 2))
        matrix = matrix @ homography(moved, corners)
    return flip, matrix


class DegradedAtRandom(Dataset[tuple[Tensor, int]]):
    """Training crops, each under one of the recipe's degradations with its probability, else as it is.

    Args:
        images: items are (uint8 3,S,S, row).
        sample_ids: id of every row; it decides the draws together with epoch and seed.
        recipe: degradations and their probability.
        epoch: counted from 0.
    """

    def __init__(
        self, images: Dataset[tuple[Tensor, int]], sample_ids: Sequence[str], recipe: FullRecipe, epoch: int
    ) -> None:
        self.images = images
        self.sample_ids = sample_ids
        self.conditions = [parse(spec) for spec in recipe.degradations]
        self.probability = recipe.degradations_p
        self.seed = recipe.seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Image and row."""
        image, row = self.images[place]
        identity = f"{self.sample_ids[row]}@{self.epoch}"
        generator = np.random.default_rng(seed_from(identity, "degradation", self.seed))
        if generator.random() >= self.probability:
            return image, row
        condition = self.conditions[int(generator.integers(len(self.conditions)))]
        return degraded(image, condition, f"{identity}@{self.seed}"), row


def homography(source: Matrix, target: Matrix) -> Matrix:
    """The 3x3 matrix that maps four points onto four others; (4, 2) each."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution = np.linalg.solve(np.array(rows), target.reshape(-1))
    return np.append(solution, 1.0).reshape(3, 3)


def augment(images: Tensor, sample_ids: Sequence[str], recipe: FullRecipe, epoch: int) -> Tensor:
    """Augment a batch.

    Args:
        images: N,C,H,W in [0,1].
        sample_ids: N ids, which decide the draws together with epoch and seed.
        recipe: strengths and probabilities.
        epoch: counted from 0.

    Returns:
        A batch of the same shape; a picture that is only flipped keeps its exact pixels, others are resampled
        bilinearly with the border repeated.
    """
    flips, places, matrices = [], [], []
    for place, sample in enumerate(sample_ids):
        generator = np.random.default_rng(seed_from(f"{sample}@{epoch}", "augmentation", recipe.seed))
        flip, matrix = draw_homography(recipe, generator)
        flips.append(flip)
        if matrix is not None:
            places.append(place)
            matrices.append(matrix)
    mask = torch.tensor(flips, device=images.device).view(-1, 1, 1, 1)
    result = torch.where(mask, images.flip(3), images) if any(flips) else images
    if not places:
        return result
    chosen = torch.tensor(places, device=images.device)
    warped = _warp(result[chosen], torch.tensor(np.stack(matrices), dtype=images.dtype, device=images.device))
    return result.index_copy(0, chosen, warped)


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    height, width = images.shape[2:]
    y = (torch.arange(height, device=images.device, dtype=images.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, device=images.device, dtype=images.dtype) * 2 + 1) / width - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    points = torch.stack((grid_x, grid_y, torch.ones_like(grid_x)), dim=-1).view(1, -1, 3)
    mapped = points @ matrices.transpose(1, 2)
    places = (mapped[..., :2] / mapped[..., 2:].clamp_min(1e-6)).view(-1, height, width, 2)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)
