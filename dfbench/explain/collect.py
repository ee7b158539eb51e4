"""Collect what is kept of the maps of many images: reduced maps, AUCs against masks, and examples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfbench.evaluation.plan import EvaluationPlan
from dfbench.explain.activations import FinalFeatures
from dfbench.explain.example_images import ExplainedImage, first_of_each
from dfbench.explain.map_batches import MapBatch, enlarged, map_batches, pooled
from dfbench.explain.pixel_auc import CAM, CENTRE, FAM, Masks, centre_map, pixel_auc
from dfbench.explain.selection import ChosenImages
from dfbench.progress import Advance


@dataclass(frozen=True, eq=False)
class CollectedMaps:
    """The maps of some images by one network; arrays are empty without images.

    Attributes:
        fam: (N, M, M) float32, reduced forgery attention maps.
        crops: (N, 3, M, M) float32, reduced crops.
        cam: (N, h, w) float32, class activation maps; None without a final feature map.
        pixel_aucs: kind of map -> place of an image -> AUC against its mask, NaN where it has none.
        examples: place -> image of the figures, without its score.
    """

    fam: NDArray[np.float32]
    crops: NDArray[np.float32]
    cam: NDArray[np.float32] | None = None
    pixel_aucs: dict[str, dict[int, float]] = field(default_factory=dict)
    examples: dict[int, ExplainedImage] = field(default_factory=dict)


def collect_maps(
    network: nn.Module,
    images: ChosenImages,
    device: torch.device,
    plan: EvaluationPlan,
    advance: Advance,
    *,
    map_size: int,
    features: FinalFeatures | None = None,
    kind: str = FAM,
    examples: int = 0,
) -> CollectedMaps:
    """Compute the maps of images and keep what an explanation needs.

    Args:
        network: the detector, on the device.
        images: the images.
        device: where the detector is.
        plan: gives classes, batch size, workers and precision.
        advance: moves the progress bar.
        map_size: height and width of reduced maps.
        features: the final feature map; None: no class activation maps.
        kind: what the forgery attention maps are called.
        examples: images of every manipulation to be kept for figures.

    Raises:
        DataError: a mask is damaged.
        ModelError, NotFiniteError: as :func:`dfbench.explain.map_batches.map_batches`.
    """
    none = np.zeros((0, map_size, map_size), np.float32)
    found = CollectedMaps(none, np.zeros((0, 3, map_size, map_size), np.float32))
    if not len(images):
        return found
    shown, masks = set(first_of_each(images, examples)), Masks(images.data)
    fam, crops, cam = [], [], []
    for batch in map_batches(
        network,
        images,
        device,
        plan.protocol.real_numbers,
        features,
        batch_size=plan.batch_size,
        compute=plan.compute,
    ):
        fam.append(pooled(batch.fam, map_size))
        crops.append(pooled(batch.crops, map_size))
        if batch.cam is not None:
            cam.append(batch.cam.numpy())
        _add_images(found, batch, images, masks, shown, kind)
        advance(len(batch))
    return CollectedMaps(
        np.concatenate(fam),
        np.concatenate(crops),
        np.concatenate(cam) if cam else None,
        found.pixel_aucs,
        found.examples,
    )


def _add_images(
    found: CollectedMaps, batch: MapBatch, images: ChosenImages, masks: Masks, shown: set[int], kind: str
) -> None:
    """Compare the maps of a batch with masks, and keep its examples."""
    size = batch.crops.shape[-1]
    large = None if batch.cam is None else enlarged(batch.cam, size).numpy()
    for within in range(len(batch)):
        place = batch.start + within
        mask = masks.of(int(images.rows[place])) if images.fakes[place] else None
        fam, cam = batch.fam[within].numpy(), None if large is None else large[within]
        if mask is not None:
            maps = {kind: fam, CAM: cam, CENTRE: centre_map(size) if kind == FAM else None}
            for name, pixels in maps.items():
                if pixels is not None:
                    found.pixel_aucs.setdefault(name, {})[place] = pixel_auc(pixels, mask)
        if place in shown:
            sample, manipulation = str(images.sample_ids[place]), str(images.manipulations[place])
            crop = as_pixels(batch.crops[within])
            found.examples[place] = ExplainedImage(sample, manipulation, float("nan"), crop, fam, cam, mask)


def as_pixels(crop: Tensor) -> NDArray[np.uint8]:
    """Return an image (3, S, S) in [0,1] as (S, S, 3) uint8."""
    pixels: NDArray[np.uint8] = (crop.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return pixels
