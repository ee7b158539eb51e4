"""The faces of a clip: found and cropped frame by frame, so that no frame has to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench.errors import DfbenchError
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.crops import crop
from dfbench.faces.profiles import CropProfile
from dfbench.manifest.stored_geometry import whole_image_matrix
from dfbench.media.frames import Frame, Reading
from dfbench.media.images import encode_png, pixel_hash
from dfbench.preparation.extraction.optional_columns import NO_EXTRAS, Extras, require_face_in_crop
from dfbench.preparation.extraction.registration import reduced
from dfbench.schema.sampling import FaceRule

Columns = dict[str, Any]
"""Some columns of a manifest row: name -> value."""

Detection = Callable[[Sequence[npt.NDArray[np.uint8]]], list[list[Face]]]
"""Frames of one clip, of equal size -> the faces of each, largest first."""

FaceChoice = Mapping[int, tuple[int, ...]]
"""Frame index -> positions of the chosen faces among those of the frame, largest first; empty if there is none."""


@dataclass(frozen=True)
class ExtractionSettings:
    """What decides the rows of a clip; built once per worker.

    Attributes:
        sizes: crop sizes in pixels, rising.
        profile: crop profile.
        detector: face detector.
        decoder: name of the video decoder.
        face_rule: which faces of a frame become rows.
        shared: whether the faces of a base clip are used for all clips made from it.
        given_up: ids of clips that are not read, and why.
        extras: optional columns beside the crops.
    """

    sizes: tuple[int, ...]
    profile: CropProfile
    detector: FaceDetector
    decoder: str
    face_rule: FaceRule = "largest"
    shared: bool = False
    given_up: Mapping[str, str] = field(default_factory=dict)
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, eq=False)
class FrameFaces:
    """The faces of one frame; the frame itself is not kept.

    Attributes:
        width: width of the frame in pixels.
        height: height of the frame in pixels.
        faces: the faces found, largest first, or those of the base clip.
        crops: for each of the first faces its crop columns, or the reason why it cannot be aligned.
        detected: number of faces found.
        thumbnail: the frame, shrunk for comparison; None where the face rule does not need it.
        reason: why none of the faces is chosen, if it does not follow from ``faces``.
    """

    width: int
    height: int
    faces: tuple[Face, ...]
    crops: tuple[Columns | str, ...]
    detected: int
    thumbnail: npt.NDArray[np.uint8] | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class ClipFaces:
    """The faces of a clip's requested frames, and which of them become rows.

    Attributes:
        reading: the requested frames.
        chosen: frame index -> positions of the chosen faces.
        geometry_from: media id of the clip in which the faces were found.
    """

    reading: Reading[FrameFaces]
    chosen: FaceChoice
    geometry_from: str


def find_faces(frames: Sequence[Frame], settings: ExtractionSettings) -> list[FrameFaces]:
    """Detect the faces of some frames and crop those that can become rows (a frame callback)."""
    largest_only = settings.face_rule == "largest"
    out = []
    for frame, faces in zip(frames, _detect(frames, settings), strict=True):
        crops = crop_faces(frame.image, faces[:1] if largest_only else faces, settings)
        thumbnail = reduced(frame.image) if settings.face_rule == "manipulated" else None
        out.append(frame_faces(frame, faces, crops, len(faces), thumbnail))
    return out


def crop_whole_frames(frames: Sequence[Frame], settings: ExtractionSettings) -> list[FrameFaces]:
    """Resample frames that are face crops already, by the resampling rule of face crops (a frame callback)."""
    out = []
    for frame in frames:
        height, width = frame.image.shape[:2]
        crops = _crop_columns(frame.image, partial(whole_image_matrix, width=width, height=height), settings)
        out.append(frame_faces(frame, (), (crops,), 0))
    return out


def frame_faces(
    frame: Frame,
    faces: Sequence[Face],
    crops: tuple[Columns | str, ...],
    detected: int,
    thumbnail: npt.NDArray[np.uint8] | None = None,
    reason: str = "",
) -> FrameFaces:
    """Return the record of a frame; see :class:`FrameFaces`."""
    height, width = frame.image.shape[:2]
    return FrameFaces(width, height, tuple(faces), crops, detected, thumbnail, reason)


def crop_faces(
    image: npt.NDArray[np.uint8], faces: Iterable[Face], settings: ExtractionSettings
) -> tuple[Columns | str, ...]:
    """Return the crop columns of each face, or the reason why it cannot be aligned.

    Args:
        image: uint8 (height, width, 3), RGB.
        faces: faces in pixels of the image.
        settings: sizes, profile and optional columns.
    """
    height, width = image.shape[:2]
    out: list[Columns | str] = []
    for face in faces:
        try:
            require_face_in_crop(image, face, settings.profile, settings.detector)
            matrix_of = partial(settings.profile.matrix, face, width=width, height=height)
            out.append(_crop_columns(image, matrix_of, settings) | settings.extras.columns(image, face))
        except DfbenchError as error:  # for example landmarks that coincide
            out.append(error.message)
    return tuple(out)


def _crop_columns(
    image: npt.NDArray[np.uint8], matrix_of: Callable[[int], npt.NDArray[np.float64]], settings: ExtractionSettings
) -> Columns:
    out: Columns = {}
    for size in settings.sizes:
        matrix = matrix_of(size)
        pixels = crop(image, matrix, size, settings.profile.resampling)
        out[f"crop_{size}"] = {"bytes": encode_png(pixels), "path": None}
        out[f"sha256_{size}"] = pixel_hash(pixels)
        out["matrix"] = matrix.astype(np.float32).reshape(-1)
        out["scale"] = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return out  # sizes rise, so matrix and scale are those of the largest


def clip_detection(detector: FaceDetector, rule: FaceRule) -> Detection:
    """Return the method of a face detector that a face rule calls; see :class:`dfbench.faces.base.FaceDetector`."""
    # Where every face counts, no detector may save time at the cost of a small one beside the largest.
    every: Detection | None = None if rule == "largest" else getattr(detector, "detect_every_face", None)
    return every or detector.detect_clip


def _detect(frames: Sequence[Frame], settings: ExtractionSettings) -> list[list[Face]]:
    detect = clip_detection(settings.detector, settings.face_rule)
    # A detector takes frames of equal size; the frame size of a stream may change.
    found: list[list[Face]] = [[] for _ in frames]
    for shape in dict.fromkeys(frame.image.shape for frame in frames):
        positions = [n for n, frame in enumerate(frames) if frame.image.shape == shape]
        for n, faces in zip(positions, detect([frames[n].image for n in positions]), strict=True):
            found[n] = faces
    return found
