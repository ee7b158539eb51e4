"""From the arguments of ``prepare`` to a recipe, every name checked, nothing on disk touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dfbench.datasets.adapter import Filters
from dfbench.datasets.registry import get_adapter
from dfbench.errors import UsageError
from dfbench.faces.profiles import get_profile
from dfbench.media.reader import check_decoder
from dfbench.preparation.derived.degrade import check_condition
from dfbench.preparation.extraction.masks import check_masks
from dfbench.preparation.planning.face_options import resolve_faces
from dfbench.preparation.planning.recipe import Part, Recipe
from dfbench.preparation.planning.sampling_options import (
    by_split,
    check_geometry,
    default_rule,
    face_rule_of,
    parse_options,
    part_rule,
)
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import DataPart, Protocol
from dfbench.schema.sampling import FrameSampling

DEFAULT_FRAMES = 32
DEFAULT_PROFILE = "native"
SMALLEST, LARGEST = 16, 1024
MINI = "mini"


@dataclass(frozen=True)
class Request:
    """What was asked for; ``None`` and empty tuples mean: the default.

    Attributes:
        dataset: command-line name.
        protocol: a protocol, its name or its file; decides sampling, crops and media.
        frames: frames a clip.
        every: every so many frames, instead of ``frames``.
        max_frames: at most this many, with ``every``.
        sizes: crop sizes in pixels.
        profile: crop profile.
        subsets: keep these.
        splits: keep these.
        manipulations: keep the fakes of these.
        sampling: frame rules, ``[SPLIT:]RULE``, instead of ``frames`` and ``every``.
        face_rule: which faces of a frame become rows.
        geometry: ``own`` or ``shared``.
        face_detector: name of the face detector.
        face_model: model pack of the user's own, for ``insightface``.
        dlib_predictor: landmark file of the user's own, for ``dlib``.
        device: where the face detector runs.
        landmarks: provider of dense landmarks.
        patch: store the source around each face as well.
        masks: store crops of mask videos as well.
        degrade: condition that the crops are made under.
        decoder: name of the video reader.
        seed: for whatever draws at random.
        source: settings of a generated data set.
    """

    dataset: str
    protocol: Protocol | str | Path | None = None
    frames: int | None = None
    every: int | None = None
    max_frames: int | None = None
    sizes: tuple[int, ...] | None = None
    profile: str | None = None
    subsets: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    manipulations: tuple[str, ...] = ()
    sampling: tuple[str, ...] = ()
    face_rule: str | None = None
    geometry: str = "own"
    face_detector: str = "centerface"
    face_model: str | Path | None = None
    dlib_predictor: str | Path | None = None
    device: str = "cpu"
    landmarks: str | None = None
    patch: bool = False
    masks: bool = False
    degrade: str | None = None
    decoder: str = "pyav"
    seed: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)


def resolve(request: Request) -> Recipe:
    """Fill in the defaults and check every name and number.

    A protocol decides sampling, crop size, profile and media; filters only narrow it. The embedded data set takes
    what is left open from the protocol ``mini``.

    Raises:
        UsageError: an unknown name, a number out of range, or an option that contradicts the protocol.
    """
    adapter = get_adapter(request.dataset)
    filters = adapter.filters(request.subsets, request.splits, request.manipulations)
    protocol = _protocol(request.protocol)
    if protocol is not None:
        _no_contradiction(request, protocol)
    fallback = protocol or (load_protocol(MINI) if request.dataset == MINI else None)
    profile = request.profile or (fallback.crops.profile if fallback else DEFAULT_PROFILE)
    get_profile(profile)
    check_decoder(request.decoder)
    plain, of_splits = parse_options(request.sampling, request.seed)
    asked = default_rule(request.frames, request.every, request.max_frames, plain)
    parts = _parts(request.dataset, filters, protocol, fallback)
    if asked is not None or of_splits:  # rules that were asked for take the place of the fallback's
        parts = by_split([replace(part, sampling=None) for part in parts], of_splits)
    faces = resolve_faces(
        profile,
        request.face_detector,
        request.face_model,
        request.device,
        request.dlib_predictor,
        request.landmarks,
    )
    usual = get_profile(faces.profile).default_sizes
    sizes = check_sizes(request.sizes or ((fallback.crops.size,) if fallback else usual))
    return Recipe(
        dataset=request.dataset,
        parts=parts,
        sampling=asked or (fallback.sampling.rule if fallback else FrameSampling(frames=DEFAULT_FRAMES)),
        sizes=sizes,
        profile=faces.profile,
        decoder=request.decoder,
        face_detector=faces.detector.name,
        face_detector_fingerprint=faces.fingerprint,
        seed=request.seed,
        source=request.source,
        geometry=check_geometry(request.geometry),
        face_rule=face_rule_of(request.dataset, request.face_rule, fallback),
        patch=request.patch,
        masks=check_masks(request.dataset, request.masks),
        degrade=_condition(request),
        landmarks=faces.landmarks,
        landmarks_fingerprint=faces.landmarks_fingerprint,
        local=faces.detector,
    )


def _condition(request: Request) -> str:
    if request.degrade is None:
        return ""
    if request.patch:
        raise UsageError(
            "--degrade can not go with --patch: crops cut from the patches would not be degraded",
            "prepare with --patch, recrop, then: dfbench degrade MANIFEST --with SPEC --out DIR",
        )
    return check_condition(request.degrade).name


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes in rising order, each once.

    Raises:
        UsageError: a size out of range.

    >>> check_sizes([224, 128, 224])
    (128, 224)
    """
    for size in sizes:
        if not SMALLEST <= size <= LARGEST:
            raise UsageError(f"a crop size must lie between {SMALLEST} and {LARGEST} pixels, not {size}")
    return tuple(sorted(set(sizes)))


def _protocol(given: Protocol | str | Path | None) -> Protocol | None:
    return load_protocol(given) if isinstance(given, str | Path) else given


def _no_contradiction(request: Request, protocol: Protocol) -> None:
    given = {
        "--frames": request.frames,
        "--every": request.every,
        "--max": request.max_frames,
        "--sampling": request.sampling or None,
        "--faces": request.face_rule,
        "--size": request.sizes,
        "--profile": request.profile,
    }
    clash = [option for option, value in given.items() if value is not None]
    if clash:
        raise UsageError(
            f"{', '.join(clash)} can not go with a protocol: {protocol.name!r} decides frames and crops",
            "leave the protocol away, or the other options",
        )
    if request.dataset not in protocol.datasets():
        raise UsageError(
            f"protocol {protocol.name!r} does not use data set {request.dataset!r}",
            f"it uses: {', '.join(protocol.datasets())}",
        )


def _parts(dataset: str, filters: Filters, protocol: Protocol | None, fallback: Protocol | None) -> tuple[Part, ...]:
    if protocol is None and (fallback is None or filters.subsets or filters.splits or filters.manipulations):
        return (Part(filters.subsets, filters.splits, filters.manipulations),)
    source = protocol or fallback
    assert source is not None
    mine = [data for data in source.data if data.dataset == dataset]
    parts = []
    for data in mine:
        subsets = _both(_every_subset(mine) if dataset == MINI else data.subsets, filters.subsets)
        splits = _both((data.split,), filters.splits)
        methods = _both(data.manipulations, filters.manipulations)
        if subsets is not None and splits is not None and methods is not None:
            parts.append(Part(subsets, splits, methods, part_rule(source, data), data.take))
    if not parts:
        raise UsageError(
            f"the filters leave nothing of what protocol {source.name!r} takes from {dataset!r}",
            "leave --subset, --split and --manipulation away: the protocol chooses",
        )
    return tuple(dict.fromkeys(parts))


def _every_subset(parts: Sequence[DataPart]) -> tuple[str, ...]:
    # The generated data set costs nothing to get: every split of it is prepared in every compression a protocol names.
    return tuple(sorted({s for p in parts for s in p.subsets})) if all(p.subsets for p in parts) else ()


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...] | None:
    # Empty means all; None means that the two have nothing in common.
    if not first or not second:
        return first or second
    return tuple(value for value in first if value in second) or None
