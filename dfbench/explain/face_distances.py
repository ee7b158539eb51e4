"""Measure reconstructions: how well the distance of the reconstructed source and target tells fakes from reals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Subset

from dfbench.errors import ModelError
from dfbench.evaluation.inference import NotFiniteError, to_input
from dfbench.evaluation.loader import image_loader, worker_count
from dfbench.explain.collect import as_pixels
from dfbench.explain.example_images import first_of_each
from dfbench.explain.plan import ExplanationPlan
from dfbench.explain.reconstruction import ReconstructedFaces, ReconstructionPlan, ReconstructionRequest
from dfbench.explain.record import ReconstructionRow, Reconstructions
from dfbench.explain.selection import REAL, ChosenImages
from dfbench.metrics import auc_interval
from dfbench.models.device import autocast
from dfbench.models.interface import custom_code
from dfbench.models.weights import read_state
from dfbench.progress import progress


@dataclass(frozen=True, eq=False)
class ReconstructedImage:
    """One image of the figure, and its reconstructions; pixels are (S, S, 3) uint8, RGB.

    Attributes:
        sample_id: its id.
        manipulation: ``real``, or the technique.
        distance: of source and target.
        crop: the image.
        source: the reconstructed source.
        target: the reconstructed target.
    """

    sample_id: str
    manipulation: str
    distance: float
    crop: NDArray[np.uint8]
    source: NDArray[np.uint8]
    target: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class MeasuredReconstructions:
    """What was measured.

    Attributes:
        record: the numbers.
        arrays: ids, manipulations, distances and weights of the images, for ``maps.npz``.
        examples: images of the figure.
    """

    record: Reconstructions
    arrays: Mapping[str, NDArray[Any]]
    examples: tuple[ReconstructedImage, ...]


def measure_reconstructions(
    plan: ExplanationPlan, how: ReconstructionPlan, network: nn.Module, images: ChosenImages, device: torch.device
) -> MeasuredReconstructions:
    """Reconstruct the faces of images and measure the distance of source and target.

    Args:
        plan: gives batch size, workers, precision, seed and the number of examples.
        how: by what.
        network: the detector, on the device.
        images: fakes and reals.
        device: where the detector is.

    Raises:
        ModelError: the weights of the method do not fit, or what it uses beside them is not that of the training.
        NotFiniteError: a distance is not finite.
    """
    evaluation, settings = plan.evaluation, plan.settings
    failed = f"the training method {how.method!r} cannot reconstruct faces", "see docs/plugins.md"
    with custom_code(*failed), torch.random.fork_rng(devices=[]):
        # Nothing but this call holds the stored weights, which may be gigabytes.
        reconstruct = how.how.load(
            ReconstructionRequest(
                network, read_state(how.weights), how.options, how.record, device, how.steps, settings.seed
            )
        )
    workers = worker_count(evaluation.compute.workers, device)
    shown = Subset(images.data.images, images.rows.tolist())
    loader = image_loader(shown, device, workers=workers, batch_size=evaluation.batch_size)
    kept = set(first_of_each(images, settings.examples))
    distances: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    examples: list[ReconstructedImage] = []
    size, start = 0, 0
    title, total = f"reconstruct {evaluation.source.name}", len(images) * how.steps
    with progress(title, total, "step", quiet=evaluation.compute.quiet) as advance:
        for batch, _ in loader:
            inputs = to_input(batch, device)
            with custom_code(*failed), torch.no_grad(), autocast(device, evaluation.compute.precision):
                faces = reconstruct(inputs, advance)
            distances.append(_distances(faces, images, start, len(batch)))
            if faces.weights is not None:
                weights.append(faces.weights.double().cpu().numpy())
            examples += _examples(inputs, faces, distances[-1], images, start, kept)
            size, start = int(faces.source.shape[-1]), start + len(batch)
    found = np.concatenate(distances) if distances else np.zeros(0)
    estimated = np.concatenate(weights) if weights else None
    record = Reconstructions(
        method=how.method,
        sampler=how.how.sampler,
        steps=how.steps,
        seed=settings.seed,
        size=size,
        distance=how.how.distance,
        method_weights=how.sha256,
        method_record=dict(how.record),
        rows=reconstruction_rows(images, found, estimated),
        caution=how.caution,
    )
    arrays = {
        "reconstructed_sample_id": images.sample_ids,
        "reconstructed_manipulation": images.manipulations,
        "reconstructed_distance": found,
    }
    if estimated is not None:
        arrays["reconstructed_weights"] = estimated
    return MeasuredReconstructions(record, arrays, tuple(examples))


def reconstruction_rows(
    images: ChosenImages, distances: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[ReconstructionRow, ...]:
    """Summarise distances: of the reals, of all fakes, and of every manipulation where there are several.

    Args:
        images: the images.
        distances: (N,), in [0,1].
        weights: (N, 2), of source and target; None: none were estimated.
    """
    fakes, names = images.fakes, sorted(set(images.manipulations[images.fakes].tolist()))
    members = {REAL: ~fakes, "all": fakes}
    members |= {name: fakes & (images.manipulations == name) for name in names} if len(names) > 1 else {}
    return tuple(
        _row(name, chosen, images, distances, weights) for name, chosen in members.items() if bool(chosen.any())
    )


def _row(
    name: str,
    chosen: NDArray[np.bool_],
    images: ChosenImages,
    distances: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> ReconstructionRow:
    means = (None, None) if weights is None else tuple(map(float, weights[chosen].mean(axis=0)))
    row = ReconstructionRow(
        manipulation=name,
        n=int(chosen.sum()),
        n_groups=len(set(images.groups[chosen].tolist())),
        distance=float(distances[chosen].mean()),
        source_weight=means[0],
        target_weight=means[1],
    )
    if name == REAL:
        return row
    compared = chosen | ~images.fakes
    if not bool((~images.fakes).any()):
        return row.model_copy(update={"interval_note": "there are no reals, and the AUC needs both classes"})
    found = auc_interval(images.fakes[compared].astype(np.int8), distances[compared], images.groups[compared])
    return row.model_copy(
        update={
            "auc": found.value,
            "low": found.low,
            "high": found.high,
            "interval_method": found.method or None,
            "interval_note": found.note,
        }
    )


def _distances(faces: ReconstructedFaces, images: ChosenImages, start: int, count: int) -> NDArray[np.float64]:
    """Return the distances of a batch.

    Raises:
        ModelError: they are not (N,), or not in [0,1].
        NotFiniteError: one is not finite.
    """
    found: NDArray[np.float64] = faces.distances.detach().double().cpu().numpy()
    if found.shape != (count,):
        raise ModelError(f"the distances of {count} images have the shape {found.shape}", "see docs/plugins.md")
    if not np.isfinite(found).all():
        first = images.sample_ids[start + int(np.flatnonzero(~np.isfinite(found))[0])]
        raise NotFiniteError(f"the reconstructions are not finite, first for {first}", "try --precision fp32")
    if found.min() < 0 or found.max() > 1:
        raise ModelError(f"a distance is {found[np.abs(found).argmax()]:.3g}, not in [0,1]", "see docs/plugins.md")
    return found


def _examples(
    crops: Tensor,
    faces: ReconstructedFaces,
    distances: NDArray[np.float64],
    images: ChosenImages,
    start: int,
    kept: set[int],
) -> list[ReconstructedImage]:
    found = []
    for within in range(len(crops)):
        place = start + within
        if place in kept:
            pixels = (as_pixels(part[within].float().cpu()) for part in (crops, faces.source, faces.target))
            name, manipulation = str(images.sample_ids[place]), str(images.manipulations[place])
            found.append(ReconstructedImage(name, manipulation, float(distances[within]), *pixels))
    return found
