"""From a request to a recipe: defaults filled in, every name and number checked, nothing on disk touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfbench.datasets.adapter import Filters
from dfbench.datasets.registry import get_adapter
from dfbench.degrade import Condition, available, parse
from dfbench.errors import SetupError, UsageError, unknown_name
from dfbench.faces.profiles import get_profile
from dfbench.media.reader import check_decoder
from dfbench.preparation.planning.face_options import resolve_faces
from dfbench.preparation.planning.options import DEFAULT_FRAMES, DEFAULT_PROFILE, MINI, PreparationRequest
from dfbench.preparation.planning.recipe import MediaSelection, PreparationRecipe
from dfbench.preparation.planning.sampling_options import (
    default_rule,
    face_rule_of,
    parse_options,
    part_rule,
    split_rules,
)
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.sampling import FrameSampling

SMALLEST, LARGEST = 16, 1024
"""Allowed crop sizes, in pixels."""

GEOMETRIES = ("own", "shared")
MASKED_DATASETS = ("ff++", "dfd", "ffiw", "folder")
"""Data sets with mask videos of their fakes; those of user-defined data sets are named in ``media.csv``."""


def make_recipe(request: PreparationRequest, source: Mapping[str, Any] | None = None) -> PreparationRecipe:
    """Fill in the defaults of a request and check every name and number.

    A protocol decides sampling, crop size, profile and media; filters only narrow it. The embedded data set takes
    what is not given from the protocol ``mini``.

    Args:
        request: what is requested.
        source: settings of a generated data set, which decide its pixels; default: none.

    Raises:
        UsageError: an unknown name, a number out of range, or an option that contradicts the protocol.
        SetupError: a package or a model file that is needed is missing.
    """
    filters = get_adapter(request.dataset).filters(request.subsets, request.splits, request.manipulations)
    protocol = as_protocol(request.protocol)
    if protocol is not None:
        _check_against_protocol(request, protocol)
    fallback = protocol or (load_protocol(MINI) if request.dataset == MINI else None)
    profile = request.profile or (fallback.crops.profile if fallback else DEFAULT_PROFILE)
    get_profile(profile)
    check_decoder(request.decoder)
    plain, of_splits = parse_options(request.sampling, request.seed)
    rule = default_rule(request.frames, request.every, request.max_frames, plain)
    selections = _selections(request.dataset, filters, protocol, fallback)
    if rule is not None or of_splits:  # rules that are given replace those of the fallback
        selections = split_rules([replace(selection, sampling=None) for selection in selections], of_splits)
    faces = resolve_faces(
        profile,
        request.face_detector,
        request.face_model,
        request.device,
        request.dlib_predictor,
        request.landmarks,
        request.landmark_model,
    )
    usual = get_profile(faces.profile).default_sizes
    return PreparationRecipe(
        dataset=request.dataset,
        selections=selections,
        sampling=rule or (fallback.sampling.rule if fallback else FrameSampling(frames=DEFAULT_FRAMES)),
        sizes=check_sizes(request.sizes or ((fallback.crops.size,) if fallback else usual)),
        profile=faces.profile,
        decoder=request.decoder,
        face_detector=faces.detector.name,
        face_detector_fingerprint=faces.fingerprint,
        seed=request.seed,
        source=source or {},
        geometry=_check_geometry(request.geometry),
        face_rule=face_rule_of(request.dataset, request.face_rule, fallback),
        patch=request.patch,
        masks=_check_masks(request),
        degrade=_check_condition(request),
        landmarks=faces.landmarks,
        landmarks_fingerprint=faces.landmarks_fingerprint,
        runtime=faces.runtime,
        local=faces.detector,
        local_landmarks=None if request.landmark_model is None else str(request.landmark_model),
    )


def as_protocol(given: Protocol | str | Path | None) -> Protocol | None:
    """A protocol from what a caller may pass: the protocol itself, its name or its file.

    Raises:
        UsageError: an unknown name, or a file that is not a valid protocol.
    """
    return load_protocol(given) if isinstance(given, str | Path) else given


def check_sizes(sizes: int | Sequence[int]) -> tuple[int, ...]:
    """Sizes in rising order, each once.

    Raises:
        UsageError: a size out of range.

    >>> check_sizes([224, 128, 224])
    (128, 224)
    """
    numbers = (sizes,) if isinstance(sizes, int) else sizes
    for size in numbers:
        if not SMALLEST <= size <= LARGEST:
            raise UsageError(f"a crop size must lie between {SMALLEST} and {LARGEST} pixels, not {size}")
    return tuple(sorted(set(numbers)))


def check_condition(spec: str | Condition) -> Condition:
    """A condition under which crops can be made on this machine.

    Raises:
        UsageError: it is not well formed, or degrades nothing.
        SetupError: what it needs is not installed.
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    if condition.is_clean:
        raise UsageError("'clean' degrades nothing", "name a degradation; see: dfbench list degradations")
    reason = available(condition)
    if reason is not None:
        raise SetupError(f"{condition.name} is not available here: {reason}", "see: dfbench list degradations")
    return condition


def _check_condition(request: PreparationRequest) -> str:
    if request.condition is None:
        return ""
    if request.patch:
        raise UsageError(
            "--condition cannot be combined with --patch: crops cut from the patches would not be degraded",
            "prepare with --patch, recrop, then: dfbench degrade MANIFEST --condition SPEC --out DIR",
        )
    return check_condition(request.condition).name


def _check_geometry(name: str) -> str:
    if name not in GEOMETRIES:
        raise unknown_name("geometry", name, GEOMETRIES)
    return name


def _check_masks(request: PreparationRequest) -> bool:
    if request.masks and request.dataset.partition(":")[0] not in MASKED_DATASETS:
        raise UsageError(
            f"the data set {request.dataset!r} has no mask videos",
            f"drop --masks; {', '.join(MASKED_DATASETS)} can have them",
        )
    return request.masks


def _check_against_protocol(request: PreparationRequest, protocol: Protocol) -> None:
    given = {
        "--frames": request.frames,
        "--every": request.every,
        "--max": request.max_frames,
        "--sampling": request.sampling or None,
        "--face-rule": request.face_rule,
        "--size": request.sizes,
        "--profile": request.profile,
    }
    clash = [option for option, value in given.items() if value is not None]
    if clash:
        raise UsageError(
            f"{', '.join(clash)} cannot be combined with a protocol: {protocol.name!r} decides frames and crops",
            "drop --protocol, or the other options",
        )
    if request.dataset not in protocol.datasets():
        raise UsageError(
            f"protocol {protocol.name!r} does not use data set {request.dataset!r}",
            f"it uses: {', '.join(protocol.datasets())}",
        )


def _selections(
    dataset: str, filters: Filters, protocol: Protocol | None, fallback: Protocol | None
) -> tuple[MediaSelection, ...]:
    if protocol is None and (fallback is None or filters.subsets or filters.splits or filters.manipulations):
        return (MediaSelection(filters.subsets, filters.splits, filters.manipulations),)
    source = protocol or fallback
    assert source is not None
    mine = [data for data in source.data if data.dataset == dataset]
    selections = []
    for data in mine:
        subsets = _both(_every_subset(mine) if dataset == MINI else data.subsets, filters.subsets)
        splits = _both((data.split,), filters.splits)
        methods = _both(data.manipulations, filters.manipulations)
        if subsets is not None and splits is not None and methods is not None:
            selections.append(MediaSelection(subsets, splits, methods, part_rule(source, data), data.take))
    if not selections:
        raise UsageError(
            f"the filters exclude everything that protocol {source.name!r} uses of {dataset!r}",
            "drop --subset, --split and --manipulation: the protocol chooses",
        )
    return tuple(dict.fromkeys(selections))


def _every_subset(parts: Sequence[DataPart]) -> tuple[str, ...]:
    # The generated data set is free: every split of it is prepared in every compression level that a protocol names.
    return tuple(sorted({s for p in parts for s in p.subsets})) if all(p.subsets for p in parts) else ()


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    # Empty means all; None means that the two have nothing in common.
    if not first or not second:
        return first or second
    return tuple(value for value in first if value in second) or None
