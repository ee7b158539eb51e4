"""The rows of one clip: every requested frame gives a row, whatever became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench.errors import DfbenchError
from dfbench.faces.crops import crop
from dfbench.faces.detectors import Face, FaceDetector
from dfbench.faces.profiles import CropProfile
from dfbench.manifest.stored_geometry import whole_image_matrix
from dfbench.media.images import encode_png, pixel_hash
from dfbench.preparation.extraction.face_selection import NO_FACE, OTHER_FACES, Choice
from dfbench.preparation.extraction.optional_columns import NO_EXTRAS, Extras, look_again
from dfbench.schema.ids import sample_id
from dfbench.schema.media import Media
from dfbench.schema.sampling import FaceRule

Row = dict[str, Any]

GIVEN_UP = "reading it ended the worker process, twice: it crashes the decoder, or needs more memory than there is"
BASE_FRAME = "this frame of the base clip, which gives the geometry, does not decode"
BASE_SIZE = "the frame has another size than that of the base clip, which gives the geometry"


@dataclass(frozen=True)
class Cropper:
    """What turns a clip into rows; built once a worker.

    Attributes:
        sizes: crop sizes in pixels, rising.
        profile: crop geometry.
        detector: finds the faces.
        decoder: name of the video reader.
        face_rule: which faces of a frame become rows.
        shared: whether a base clip's geometry serves all clips made from it.
        given_up: ids of clips that are not read, since reading them ended the process.
        extras: what is made of a face beside its crops.
    """

    sizes: tuple[int, ...]
    profile: CropProfile
    detector: FaceDetector
    decoder: str
    face_rule: FaceRule = "largest"
    shared: bool = False
    given_up: frozenset[str] = frozenset()
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, eq=False)
class Seen:
    """What one frame showed; the frame itself is not kept.

    Attributes:
        time_s: presentation time in seconds.
        width: of the frame in pixels.
        height: of the frame in pixels.
        faces: those that were found, the largest first, or those given by the base clip.
        crops: for each of the first faces its crop columns, or why it can not be aligned.
        found: how many faces were found.
        reduced: the frame shrunk for comparison, where it is needed.
    """

    time_s: float | None
    width: int
    height: int
    faces: tuple[Face, ...]
    crops: tuple[Row | str, ...]
    found: int
    reduced: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class SeenClip:
    """What the wanted frames of a clip showed.

    Attributes:
        frame_count: frames of the clip that decode.
        width: of the clip in pixels.
        height: of the clip in pixels.
        frames: frame index -> what it showed.
        errors: frame index -> why it does not decode.
    """

    frame_count: int
    width: int
    height: int
    frames: Mapping[int, Seen]
    errors: Mapping[int, str]


def rows_of_clip(
    media: Media,
    clip: SeenClip,
    choice: Choice,
    geometry_from: str | None = None,
    why_not: Mapping[int, str] | None = None,
) -> list[Row]:
    """The rows of a clip, by rising frame index and face.

    Args:
        media: the clip.
        clip: what its frames showed.
        choice: frame index -> positions of the chosen faces.
        geometry_from: media id of the clip that the faces were found in; default: this one.
        why_not: frame index -> why there is no face, where that is not plain.
    """
    out: list[Row] = []
    for row, seen in _frames(media, clip):
        if seen is None:
            out.append(row)
            continue
        index = row["frame_index"]
        row |= {"face_count": seen.found}
        places = choice.get(index, ())
        if not places:
            reason = (why_not or {}).get(index) or (OTHER_FACES if seen.faces else NO_FACE)
            out.append(row | {"status": "no_face", "reason": reason})
        for number, place in enumerate(places):
            mine = row | {"sample_id": sample_id(media.media_id, index, number), "face_index": number}
            out.append(mine | _face_columns(seen, place, geometry_from or media.media_id))
    return out


def _face_columns(seen: Seen, place: int, geometry_from: str) -> Row:
    face, crops = seen.faces[place], seen.crops[place]
    if isinstance(crops, str):
        return {"status": "no_face", "reason": f"the face found can not be aligned: {crops}"}
    return {
        "status": "ok",
        "reason": "",
        "face_score": float(face.score),
        "box": face.box.astype(np.float32),
        "landmarks": face.landmarks.astype(np.float32).reshape(-1),
        "geometry_from": geometry_from,
    } | crops


def rows_of_crops(media: Media, clip: SeenClip) -> list[Row]:
    """The rows of ready-made crops: the whole picture is the face, and nothing is known of where it was."""
    out: list[Row] = []
    for row, seen in _frames(media, clip):
        if seen is None:
            out.append(row)
            continue
        (crops,) = seen.crops
        assert not isinstance(crops, str)
        out.append(row | {"status": "ok", "reason": ""} | crops)
    return out


def _frames(media: Media, clip: SeenClip) -> Iterator[tuple[Row, Seen | None]]:
    """First columns and sight of each wanted frame; a row is whole where the frame does not decode."""
    for index in sorted({*clip.frames, *clip.errors}):
        row = _base(media, index) | {"frame_count": clip.frame_count}
        seen = clip.frames.get(index)
        if seen is None:
            lost = {"status": "decode_error", "reason": clip.errors[index]}
            yield row | {"width": clip.width, "height": clip.height} | lost, None
        else:
            yield row | {"time_s": seen.time_s, "width": seen.width, "height": seen.height}, seen


def crops_of_faces(image: npt.NDArray[np.uint8], faces: Iterable[Face], cropper: Cropper) -> tuple[Row | str, ...]:
    """The crop columns of each face, or why it can not be aligned."""
    out: list[Row | str] = []
    for face in faces:
        try:
            out.append(_crops(image, face, cropper))
        except DfbenchError as error:  # landmarks that fall together give no geometry
            out.append(error.message)
    return tuple(out)


def crops_of_whole(image: npt.NDArray[np.uint8], cropper: Cropper) -> Row:
    """The crop columns of a ready-made crop, resampled by the rule that holds for faces."""
    height, width = image.shape[:2]
    return _pictures(image, lambda size: whole_image_matrix(size, width, height), cropper)


def _crops(image: npt.NDArray[np.uint8], face: Face, cropper: Cropper) -> Row:
    height, width = image.shape[:2]
    look_again(image, face, cropper.profile, cropper.detector)
    crops = _pictures(image, lambda size: cropper.profile.matrix(face, size, width, height), cropper)
    return crops | cropper.extras.columns(image, face)


def _pictures(
    image: npt.NDArray[np.uint8], matrix_of: Callable[[int], npt.NDArray[np.float64]], cropper: Cropper
) -> Row:
    out: Row = {}
    for size in cropper.sizes:
        matrix = matrix_of(size)
        picture = crop(image, matrix, size, cropper.profile.resampling)
        out[f"crop_{size}"] = {"bytes": encode_png(picture), "path": None}
        out[f"sha256_{size}"] = pixel_hash(picture)
        out["matrix"] = matrix.astype(np.float32).reshape(-1)
        out["scale"] = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return out  # sizes rise, so matrix and scale are those of the largest


def unreadable_rows(media: Media, number: int, status: str, reason: str) -> list[Row]:
    """Rows that stand for the frames of a medium of which none can be had: -1, -2, ..."""
    return [_base(media, -n) | {"status": status, "reason": reason} for n in range(1, number + 1)]


def _base(media: Media, frame: int) -> Row:
    return {
        "sample_id": sample_id(media.media_id, frame),
        "media_id": media.media_id,
        "dataset": media.dataset,
        "subset": media.subset,
        "manipulation": media.manipulation,
        "class": media.class_name or media.manipulation,
        "label": media.label,
        "split": media.split,
        "scene_group": media.scene_group,
        "identity_target": media.identity_target,
        "identity_source": media.identity_source,
        "base_media_id": media.base_media_id,
        "media_path": media.path,
        "frame_index": frame,
        "face_index": 0,
    }
