"""Execute an explanation plan: maps of a detector, mean maps, the technique of fakes, maps against masks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dfbench.errors import ModelError
from dfbench.evaluation.dataset import RoleData, manifest_ref
from dfbench.evaluation.decision import decision_of
from dfbench.evaluation.detector import NO_WEIGHTS, LoadedDetector, load_detector
from dfbench.evaluation.inference import NotFiniteError, move_to_device
from dfbench.explain.activations import FinalFeatures
from dfbench.explain.collect import CollectedMaps, collect_maps
from dfbench.explain.example_images import ExplainedImage, ResidualPair, fake_scores, residual_pairs
from dfbench.explain.face_distances import MeasuredReconstructions, ReconstructedImage, measure_reconstructions
from dfbench.explain.pixel_auc import FAM, UNTRAINED, pixel_auc_records
from dfbench.explain.plan import ExplanationPlan
from dfbench.explain.record import ExplainedExample, ExplanationRecord
from dfbench.explain.selection import REAL, ChosenImages, choose_images, halves
from dfbench.explain.store import compact
from dfbench.explain.technique import TechniqueMeans
from dfbench.explain.technique_results import CROP, NamedTechniques, name_techniques
from dfbench.models.build import build_seeded
from dfbench.models.device import device_label, resolve_device
from dfbench.models.options import cautions
from dfbench.models.weights import card_options
from dfbench.progress import progress
from dfbench.protocols.reference import protocol_ref
from dfbench.schema.result import WeightsRef
from dfbench.versions import library_versions


@dataclass(frozen=True, eq=False)
class ExplanationFindings:
    """What an explanation has found, before it is drawn and written.

    Attributes:
        record: all numbers.
        maps: arrays of ``maps.npz``.
        means: ``real`` and every technique -> (M, M) float64, mean of the maps of unit length; empty without
            validation data.
        examples: images of the figures.
        residuals: fakes beside their reals.
        reconstructed: images beside their reconstructed faces.
    """

    record: ExplanationRecord
    maps: Mapping[str, NDArray[Any]]
    means: Mapping[str, NDArray[np.float64]]
    examples: tuple[ExplainedImage, ...]
    residuals: tuple[ResidualPair, ...]
    reconstructed: tuple[ReconstructedImage, ...] = ()


def run_explanation(plan: ExplanationPlan) -> ExplanationFindings:
    """Compute the maps and everything that follows from them; nothing is written.

    Args:
        plan: with its manifests prepared, and weights unless the detector brings its own.

    Raises:
        UsageError: a manifest has not been prepared.
        DataError: a manifest does not fit the protocol, or a mask is damaged.
        ModelError: the weights do not fit, those of the method neither, or the score has no gradient with respect to
            the image.
        SetupError: the device is not available.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    evaluation, settings = plan.evaluation, plan.settings
    protocol, compute = evaluation.protocol, evaluation.compute
    device = resolve_device(compute.device)
    averaged, classified, notes = _chosen(plan)
    detector = load_detector(
        evaluation.source,
        protocol.num_classes,
        protocol.crops.size,
        evaluation.weights,
        evaluation.card,
        options=evaluation.options,
        built=evaluation.built,
    )
    network = move_to_device(detector.network, device)
    faces = _reconstructed(plan, network, classified, device)
    features, without_cam = _final_features(network, protocol.crops.size)
    notes += without_cam
    untrained, none_untrained = _untrained(plan, detector)
    notes += none_untrained
    total = (len(averaged) + len(classified)) * (1 if untrained is None else 2)
    with progress(f"explain {evaluation.source.name}", total, "img", quiet=compute.quiet) as advance:
        collect = partial(collect_maps, device=device, plan=evaluation, advance=advance, map_size=settings.map_size)
        first = collect(network, averaged, features=features)
        second = collect(network, classified, features=features, examples=settings.examples)
        other: tuple[CollectedMaps, CollectedMaps] | None = None
        if untrained is not None:
            moved = move_to_device(untrained, device)
            try:
                other = collect(moved, averaged, kind=UNTRAINED), collect(moved, classified, kind=UNTRAINED)
            except NotFiniteError:
                notes += ("the untrained network gives gradients that are not finite: it is not compared",)
    kinds = {FAM: (first.fam, second.fam)}
    if other is not None:
        kinds[UNTRAINED] = other[0].fam, other[1].fam
    kinds[CROP] = first.crops, second.crops
    naming = name_techniques(averaged, classified, kinds, centred=settings.centred, seed=settings.seed)
    examples = _with_scores(plan, network, detector, classified, second.examples, device)
    residuals: list[ResidualPair] = []
    residual_of = None
    if settings.residual:
        fakes = classified.where(np.isin(np.arange(len(classified)), list(second.examples)) & classified.fakes)
        residuals, residual_of = residual_pairs(network, fakes, device, evaluation.source.name)
    found = second.pixel_aucs | (other[1].pixel_aucs if other is not None else {})
    pixel, mask_notes = pixel_auc_records(classified, found, plan.condition)
    card = detector.card
    record = ExplanationRecord(
        run_id=plan.run_id(detector.sha256),
        model=evaluation.source.name,
        protocol=protocol_ref(protocol),
        manifests=tuple(manifest_ref(m) for m in plan.manifests()),
        weights=WeightsRef(sha256=detector.sha256, card=card.model_dump(mode="json") if card else {}),
        versions=library_versions(),
        device=device_label(device),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        options=plan.options(),
        condition=plan.condition.name,
        profile=evaluation.profile,
        size=protocol.crops.size,
        map_size=settings.map_size,
        cam_module=features.module if features is not None else None,
        residual=residual_of,
        techniques=naming.record,
        pixel_auc=pixel,
        reconstructions=faces.record if faces is not None else None,
        examples=tuple(
            ExplainedExample(sample_id=e.sample_id, manipulation=e.manipulation, score=e.score) for e in examples
        ),
        notes=(*notes, *naming.notes, *mask_notes),
        caution="; ".join(filter(None, [protocol.caution, *cautions(evaluation.source.spec, protocol.crops.size)])),
        mini="mini" in protocol.datasets() or bool(card and card.mini),
    )
    means = _mean_maps(averaged, first, settings.map_size)
    maps = _arrays(averaged, classified, (first, second), other, naming, means)
    if faces is not None:
        maps |= faces.arrays
    shown = faces.examples if faces is not None else ()
    return ExplanationFindings(record, maps, means, tuple(examples), tuple(residuals), shown)


def _chosen(plan: ExplanationPlan) -> tuple[ChosenImages, ChosenImages, tuple[str, ...]]:
    """Return the images of the means, those to be named and shown, and notes."""
    settings, name = plan.settings, plan.evaluation.protocol.name
    validation = plan.data("val")
    data = validation if settings.role == "val" and validation is not None else plan.data("test")
    assert data is not None  # only validation data can be missing
    named = _may_be_named(plan, data)
    classified = choose_images(data, settings.images, settings.examples, settings.seed, named)
    if validation is None:
        note = f"protocol {name!r} has no validation data: no mean maps, and techniques are not named"
        return ChosenImages(data, np.zeros(0, np.int64)), classified, (note,)
    others = None if named is None else ~named
    averaged = choose_images(validation, settings.mean_images, settings.mean_images, settings.seed, others)
    counts = {str(m): int(np.sum(averaged.manipulations == m)) for m in dict.fromkeys(averaged.manipulations.tolist())}
    few = [f"{manipulation} {count}" for manipulation, count in counts.items() if count < settings.mean_images]
    notes: tuple[str, ...] = (
        (f"mean maps of fewer than {settings.mean_images} images: {', '.join(few)}",) if few else ()
    )
    if settings.role == "val":
        notes += ("techniques are named on validation data: one half of its scene groups, by the means of the other",)
    return averaged, classified, notes


def _may_be_named(plan: ExplanationPlan, data: RoleData) -> NDArray[np.bool_] | None:
    """Return which samples may be named and shown: of validation data those that are in no mean; None: all."""
    if plan.settings.role != "val":
        return None
    return ~halves(data.ok_table["scene_group"].to_pylist(), plan.settings.seed)


def _reconstructed(
    plan: ExplanationPlan, network: nn.Module, classified: ChosenImages, device: torch.device
) -> MeasuredReconstructions | None:
    """Measure the reconstructions of the classified fakes, and of as many reals as of a manipulation; None: not asked.

    They come first: where the diffusion model is another one, nothing has been computed.
    """
    how, settings = plan.reconstruction, plan.settings
    if how is None:
        return None
    named = _may_be_named(plan, classified.data)
    images = choose_images(classified.data, settings.images, settings.images, settings.seed, named)
    return measure_reconstructions(plan, how, network, images, device)


def _final_features(network: nn.Module, size: int) -> tuple[FinalFeatures | None, tuple[str, ...]]:
    try:
        return FinalFeatures.find(network, size), ()
    except ModelError as error:
        return None, (f"no class activation maps: {error.message}",)


def _untrained(plan: ExplanationPlan, detector: LoadedDetector) -> tuple[nn.Module | None, tuple[str, ...]]:
    """Build the same network with random weights; None, and the reason, where there is none to compare with."""
    source, card = plan.evaluation.source, detector.card
    if card is None:
        return None, (f"{NO_WEIGHTS}; there is no untrained network to compare with",)
    if source.is_custom and isinstance(source.factory, nn.Module):
        return None, ("the detector is an object with its weights: there is no untrained network to compare with",)
    options = card_options(source.spec, card, plan.evaluation.options)
    size = plan.evaluation.protocol.crops.size
    network = build_seeded(source, "untrained", plan.settings.seed, card.num_classes, size, options)
    return network.eval(), ()


def _with_scores(
    plan: ExplanationPlan,
    network: nn.Module,
    detector: LoadedDetector,
    classified: ChosenImages,
    shown: Mapping[int, ExplainedImage],
    device: torch.device,
) -> list[ExplainedImage]:
    evaluation = plan.evaluation
    places = sorted(shown)
    chosen = ChosenImages(classified.data, classified.rows[places])
    temperature = decision_of(evaluation.protocol, detector.card).temperature
    scores = fake_scores(network, chosen, device, evaluation.protocol.real_numbers, temperature, evaluation.batch_size)
    return [replace(shown[place], score=float(score)) for place, score in zip(places, scores, strict=True)]


def _mean_maps(averaged: ChosenImages, first: CollectedMaps, size: int) -> dict[str, NDArray[np.float64]]:
    """Return the mean map of every manipulation, ``real`` first."""
    if not len(first.fam):
        return {}
    found = TechniqueMeans.of(first.fam, averaged.manipulations)
    by_name = {name: mean.reshape(size, size) for name, mean in zip(found.techniques, found.means, strict=True)}
    return {name: by_name[name] for name in sorted(by_name, key=lambda name: (name != REAL, name))}


def _arrays(
    averaged: ChosenImages,
    classified: ChosenImages,
    own: Sequence[CollectedMaps],
    untrained: Sequence[CollectedMaps] | None,
    naming: NamedTechniques,
    means: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``maps.npz``, rows being the images of the means and then the classified ones."""
    both = (averaged, classified)
    arrays: dict[str, NDArray[Any]] = {
        "sample_id": np.concatenate([images.sample_ids for images in both]),
        "manipulation": np.concatenate([images.manipulations for images in both]),
        "in_mean": np.repeat([True, False], [len(averaged), len(classified)]),
        "named": np.concatenate([np.full(len(averaged), "", dtype=np.str_), naming.named]),
        "mean_names": np.array(list(means), dtype=np.str_),
    }
    if means:
        arrays["means"] = np.stack(list(means.values())).astype(np.float32)
    for name, parts in {"fam": own, "fam_untrained": untrained or ()}.items():
        if parts:
            arrays[name], arrays[f"{name}_scale"] = compact(np.concatenate([part.fam for part in parts]))
    cam = [part.cam for part in own if part.cam is not None]
    if cam:
        arrays["cam"] = np.concatenate(cam)
    return arrays
