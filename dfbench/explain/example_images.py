"""The images that figures show, with their maps; fakes with their real and both residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Subset

from dfbench.evaluation.examples import residual_image, to_hwc
from dfbench.evaluation.inference import score_images, tempered
from dfbench.explain.selection import ChosenImages
from dfbench.models.build import build_network
from dfbench.models.interface import fake_probability
from dfbench.models.source import model_source
from dfbench.schema.ids import parse_sample_id

RESIDUAL_OF = "grnet"
"""The detector whose residual is shown where a detector has none of its own."""


@dataclass(frozen=True, eq=False)
class ExplainedImage:
    """One image of a figure.

    Attributes:
        sample_id: its id.
        manipulation: ``real``, or the technique.
        score: P(fake).
        crop: (S, S, 3) uint8, RGB.
        fam: (S, S) float32.
        cam: (S, S) float32, enlarged; None without a final feature map.
        mask: (S, S) bool, manipulated pixels; None where there is no mask.
    """

    sample_id: str
    manipulation: str
    score: float
    crop: NDArray[np.uint8]
    fam: NDArray[np.float32]
    cam: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class ResidualPair:
    """A fake and the nearest frame of its real, each with its amplified residual; (S, S, 3) uint8, RGB.

    Attributes:
        manipulation: of the fake.
        fake_id: id of the fake.
        fake: the fake.
        fake_residual: its residual.
        real_id: id of the real; empty where it is not among the samples.
        real: the real.
        real_residual: its residual.
    """

    manipulation: str
    fake_id: str
    fake: NDArray[np.uint8]
    fake_residual: NDArray[np.uint8]
    real_id: str = ""
    real: NDArray[np.uint8] | None = None
    real_residual: NDArray[np.uint8] | None = None


def first_of_each(images: ChosenImages, count: int) -> list[int]:
    """Return the places of the first images of every manipulation, in the order of the images."""
    taken: dict[str, int] = {}
    found = []
    for place, name in enumerate(images.manipulations.tolist()):
        taken[name] = taken.get(name, 0) + 1
        if taken[name] <= count:
            found.append(place)
    return found


def fake_scores(
    network: nn.Module,
    images: ChosenImages,
    device: torch.device,
    real_classes: Sequence[int],
    temperature: float,
    batch_size: int,
) -> NDArray[np.float64]:
    """Return P(fake) of images, (N,), as ``evaluate`` computes it."""
    if not len(images):
        return np.zeros(0)
    shown = Subset(images.data.images, images.rows.tolist())
    logits = tempered(score_images(network, shown, device, batch_size=batch_size), temperature)
    return np.asarray(fake_probability(torch.from_numpy(logits), real_classes).numpy())


def residual_pairs(
    network: nn.Module, fakes: ChosenImages, device: torch.device, name: str
) -> tuple[list[ResidualPair], str]:
    """Return fakes beside their reals with residuals, as in Figure 5 of GRnet's paper, and whose residuals they are.

    Args:
        network: the detector; where its output has no ``residual``, that of :data:`RESIDUAL_OF` is shown, which has no
            learned parameters.
        fakes: the fakes.
        device: where the detector is.
        name: name of the detector.
    """
    data, images = fakes.data, fakes.data.images
    if not len(fakes):
        return [], name
    source = network.eval()
    if residual_image(source, images[int(fakes.rows[0])][0], device) is None:
        name = RESIDUAL_OF
        source = build_network(model_source(name), 2, data.protocol.crops.size, {}).to(device).eval()
    bases, labels, media = data.bases(), data.ok_table["label"].to_pylist(), data.ok_table["media_id"].to_pylist()
    reals: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label == 0:
            reals.setdefault(media[row], []).append(row)

    def both(row: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image = images[row][0]
        residual = residual_image(source, image, device)
        assert residual is not None  # asked above
        return to_hwc(image), residual

    found = []
    for row, sample, manipulation in zip(
        fakes.rows.tolist(), fakes.sample_ids.tolist(), fakes.manipulations.tolist(), strict=True
    ):
        crop, residual = both(row)
        nearest = _nearest(sample, reals.get(bases[row], []), data.sample_ids)
        if nearest is None:
            found.append(ResidualPair(manipulation, sample, crop, residual))
        else:
            found.append(ResidualPair(manipulation, sample, crop, residual, data.sample_ids[nearest], *both(nearest)))
    return found, name


def _nearest(sample: str, rows: Sequence[int], ids: Sequence[str]) -> int | None:
    """Return the row whose frame is nearest to that of a sample, the same face first."""
    _, frame, face = parse_sample_id(sample)

    def distance(row: int) -> tuple[bool, int, str]:
        _, at, of_face = parse_sample_id(ids[row])
        return of_face != face, abs(at - frame), ids[row]

    return min(rows, key=distance, default=None)
