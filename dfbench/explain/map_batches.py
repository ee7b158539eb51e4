"""Compute the maps of many images, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Subset

from dfbench.errors import ModelError
from dfbench.evaluation.inference import NotFiniteError, to_input
from dfbench.evaluation.loader import image_loader, worker_count
from dfbench.evaluation.plan import ComputeOptions
from dfbench.explain.activations import FinalFeatures
from dfbench.explain.gradients import forgery_attention_map
from dfbench.explain.selection import ChosenImages
from dfbench.models.device import autocast


@dataclass(frozen=True, eq=False)
class MapBatch:
    """The maps of a batch, on the CPU.

    Attributes:
        start: place of the first image among the chosen ones.
        crops: (N, 3, S, S) float32, RGB in [0,1].
        fam: (N, S, S) float32, forgery attention maps.
        cam: (N, h, w) float32, class activation maps of fake minus those of real; None without a final feature map.
    """

    start: int
    crops: Tensor
    fam: Tensor
    cam: Tensor | None

    def __len__(self) -> int:
        return len(self.crops)


def map_batches(
    network: nn.Module,
    images: ChosenImages,
    device: torch.device,
    real_classes: Sequence[int] = (0,),
    features: FinalFeatures | None = None,
    *,
    batch_size: int = 64,
    compute: ComputeOptions | None = None,
) -> Iterator[MapBatch]:
    """Yield the maps of images, in their order. The number of images in a batch changes a map by rounding alone.

    Args:
        network: the detector, on the device.
        images: which images.
        device: where the detector is.
        real_classes: numbers of the classes of real faces.
        features: the final feature map; None: no class activation maps.
        batch_size: images per step.
        compute: workers and precision.

    Raises:
        ModelError: the score has no gradient with respect to the image, or the map has another size.
        NotFiniteError: a gradient is not finite; the message gives the first such image.
    """
    options = compute or ComputeOptions()
    shown = Subset(images.data.images, images.rows.tolist())
    loader = image_loader(shown, device, workers=worker_count(options.workers, device), batch_size=batch_size)
    start = 0
    for batch, _ in loader:
        inputs = to_input(batch, device)
        with autocast(device, options.precision):
            fam = forgery_attention_map(network, inputs, real_classes)
            maps = None if features is None else features.maps(network, inputs, real_classes)
        found = MapBatch(
            start,
            inputs.float().cpu().contiguous(),
            fam.float().cpu(),
            None if maps is None else (maps[0] - maps[1]).float().cpu(),
        )
        _check(found, images)
        yield found
        start += len(batch)


def _check(batch: MapBatch, images: ChosenImages) -> None:
    if batch.fam.shape[1:] != batch.crops.shape[2:]:
        raise ModelError(f"the maps are {tuple(batch.fam.shape[1:])} for crops of {tuple(batch.crops.shape[2:])}")
    finite = torch.isfinite(batch.fam).flatten(1).all(1)
    if batch.cam is not None:
        finite &= torch.isfinite(batch.cam).flatten(1).all(1)
    if not bool(finite.all()):
        first = images.sample_ids[batch.start + int((~finite).nonzero()[0])]
        raise NotFiniteError(f"the detector gives gradients that are not finite, first for {first}", "train again")


def pooled(maps: Tensor, size: int) -> NDArray[np.float32]:
    """Reduce maps by the mean over areas.

    Args:
        maps: (N, S, S) or (N, C, S, S).
        size: height and width of the result, at most S.

    Returns:
        float32 of the same dimensions.
    """
    values: NDArray[np.float32] = F.adaptive_avg_pool2d(maps.float(), size).numpy()
    return values


def enlarged(maps: Tensor, size: int) -> Tensor:
    """Interpolate maps (N, h, w) bilinearly to the size of the crop, (N, S, S)."""
    return F.interpolate(maps[:, None].float(), (size, size), mode="bilinear", align_corners=False)[:, 0]
