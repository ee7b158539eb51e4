"""Random augmentation of a batch of crops, drawn from sample id and epoch, never from order or worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from dfbench.degrade import parse
from dfbench.evaluation.torch_datasets import degraded
from dfbench.protocols.training_recipe import Augmentation
from dfbench.schema.ids import seed_from
from dfbench.training.images import EpochDataset

Matrix = NDArray[np.float64]

_YIQ: Matrix = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True, eq=False)
class AugmentationDraw:
    """The augmentation of one image.

    Attributes:
        flip: mirror left to right.
        warp: 3x3 map from output to input coordinates in [-1, 1]; None: nothing is resampled.
        colour: 3x3 map of RGB; None: colours are not changed.
    """

    flip: bool
    warp: Matrix | None
    colour: Matrix | None


def draw(rules: Augmentation, generator: np.random.Generator) -> AugmentationDraw:
    """Draw the augmentation of one image.

    The perspective moves each corner inwards by up to ``perspective`` / 2 of the side, in both directions.
    """
    flip = bool(generator.random() < rules.flip)
    angle = _degrees(rules.rotation, generator)
    bent = rules.perspective > 0 and generator.random() < rules.perspective_p
    matrix: Matrix = np.eye(3)
    if angle:
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    if bent:
        corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        inside = corners - np.sign(corners) * generator.uniform(0.0, rules.perspective, size=(4, 2))
        matrix = matrix @ homography(inside, corners)
    if rules.shear:
        matrix = matrix @ np.array([[1.0, np.tan(_degrees(rules.shear, generator)), 0.0], [0, 1, 0], [0, 0, 1]])
    if rules.zoom:
        scale = 1.0 + generator.uniform(-rules.zoom, rules.zoom)
        matrix = matrix @ np.diag([1.0 / scale, 1.0 / scale, 1.0])
    if rules.shift:
        moved = 2.0 * generator.uniform(-rules.shift, rules.shift, size=2)
        matrix = np.array([[1.0, 0.0, moved[0]], [0.0, 1.0, moved[1]], [0.0, 0.0, 1.0]]) @ matrix
    moves = bool(angle or bent or rules.shear or rules.zoom or rules.shift)
    return AugmentationDraw(flip, matrix if moves else None, _colour(rules, generator))


def _degrees(largest: float, generator: np.random.Generator) -> float:
    return float(np.deg2rad(generator.uniform(-largest, largest))) if largest else 0.0


def _colour(rules: Augmentation, generator: np.random.Generator) -> Matrix | None:
    """Return brightness as a factor and hue as a rotation of the two colour axes of YIQ, which keeps the grey value."""
    if not (rules.brightness or rules.hue):
        return None
    matrix: Matrix = np.eye(3)
    if rules.hue:
        rotation = 2 * np.pi * generator.uniform(-rules.hue, rules.hue)
        cos, sin = np.cos(rotation), np.sin(rotation)
        matrix = np.linalg.inv(_YIQ) @ np.array([[1.0, 0, 0], [0, cos, -sin], [0, sin, cos]]) @ _YIQ
    return matrix * (1.0 + generator.uniform(-rules.brightness, rules.brightness))


class DegradedAtRandom(EpochDataset):
    """Training crops, each degraded with the recipe's probability by one of its degradations.

    Args:
        images: items are (uint8 3,S,S, row).
        sample_ids: id of every row; it determines the draws together with epoch and seed.
        rules: degradations and their probability.
        seed: the training's.
    """

    def __init__(
        self,
        images: Dataset[tuple[Tensor, int]],
        sample_ids: Sequence[str],
        rules: Augmentation,
        seed: int,
    ) -> None:
        super().__init__(len(sample_ids))
        self.images = images
        self.sample_ids = sample_ids
        self.conditions = [parse(spec) for spec in rules.degradations]
        self.probability = rules.degradations_p
        self.seed = seed

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and row of an item."""
        place, epoch = self.row_and_epoch(index)
        image, row = self.images[place]
        identity = f"{self.sample_ids[row]}@{epoch}"
        generator = np.random.default_rng(seed_from(identity, "degradation", self.seed))
        if generator.random() >= self.probability:
            return image, row
        condition = self.conditions[int(generator.integers(len(self.conditions)))]
        return degraded(image, condition, f"{identity}@{self.seed}"), row


def homography(source: Matrix, target: Matrix) -> Matrix:
    """Return the 3x3 matrix that maps four points onto four others; (4, 2) each."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution = np.linalg.solve(np.array(rows), target.reshape(-1))
    return np.append(solution, 1.0).reshape(3, 3)


def augment(images: Tensor, sample_ids: Sequence[str], rules: Augmentation, epoch: int, seed: int) -> Tensor:
    """Augment a batch.

    Args:
        images: N,K,H,W in [0,1]; the first three planes are RGB; others are warped too and keep their values.
        sample_ids: N ids, which determine the draws together with epoch and seed.
        rules: strengths and probabilities.
        epoch: counted from 0.
        seed: of the training.

    Returns:
        A batch of the same shape. An image that is only flipped keeps its exact pixels, warped ones are resampled
        bilinearly with the border repeated, and colours are clamped to [0,1].
    """
    draws = [
        draw(rules, np.random.default_rng(seed_from(f"{sample}@{epoch}", "augmentation", seed)))
        for sample in sample_ids
    ]
    result = images
    if any(one.flip for one in draws):
        mask = torch.tensor([one.flip for one in draws], device=images.device).view(-1, 1, 1, 1)
        result = torch.where(mask, images.flip(3), images)
    warped = [number for number, one in enumerate(draws) if one.warp is not None]
    if warped:
        chosen = torch.tensor(warped, device=images.device)
        matrices = _stack([one.warp for one in draws], images)
        result = result.index_copy(0, chosen, _warp(result[chosen], matrices))
    colours = [one.colour for one in draws]
    if any(colour is not None for colour in colours):
        rgb = torch.einsum("nij,njhw->nihw", _stack(colours, images), result[:, :3]).clamp(0.0, 1.0)
        result = torch.cat((rgb, result[:, 3:]), dim=1)
    return result


def _stack(matrices: Sequence[Matrix | None], like: Tensor) -> Tensor:
    known = np.stack([matrix for matrix in matrices if matrix is not None])
    return torch.tensor(known, dtype=like.dtype, device=like.device)


def _warp(images: Tensor, matrices: Tensor) -> Tensor:
    height, width = images.shape[2:]
    y = (torch.arange(height, device=images.device, dtype=images.dtype) * 2 + 1) / height - 1
    x = (torch.arange(width, device=images.device, dtype=images.dtype) * 2 + 1) / width - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    points = torch.stack((grid_x, grid_y, torch.ones_like(grid_x)), dim=-1).view(1, -1, 3)
    mapped = points @ matrices.transpose(1, 2)
    grid = (mapped[..., :2] / mapped[..., 2:].clamp_min(1e-6)).view(-1, height, width, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
