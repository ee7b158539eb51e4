"""The rows of one clip: every requested frame gives a row, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench.errors import DfbenchError
from dfbench.faces.crops import crop
from dfbench.faces.detectors import Face, FaceDetector
from dfbench.faces.profiles import CropProfile
from dfbench.media.images import encode_png, pixel_hash
from dfbench.media.reader import Frame, Reading, read
from dfbench.preparation.sampling import FrameSampling
from dfbench.schema.ids import sample_id
from dfbench.schema.media import Media

Row = dict[str, Any]


@dataclass(frozen=True)
class Cropper:
    """What turns a clip into rows; built once a worker.

    Attributes:
        sampling: which frames.
        sizes: crop sizes in pixels, rising.
        profile: crop geometry.
        detector: finds the faces.
        decoder: name of the video reader.
    """

    sampling: FrameSampling
    sizes: tuple[int, ...]
    profile: CropProfile
    detector: FaceDetector
    decoder: str


def rows_of(media: Media, root: Path, cropper: Cropper) -> list[Row]:
    """All rows of one medium, by rising frame index (clips that give no frame: -1, -2, ...).

    Args:
        media: the clip.
        root: folder that ``media.path`` is relative to.
        cropper: sampling, detector, profile and sizes.
    """
    path = root / media.path
    if not path.is_file():
        return _unreadable(media, cropper, "missing_media", "the file vanished after planning")
    try:
        reading = read(path, cropper.sampling.indices, cropper.decoder)
    except DfbenchError as error:
        return _unreadable(media, cropper, "decode_error", _reason(error.message, path, media))
    except OSError as error:
        return _unreadable(media, cropper, "decode_error", error.strerror or type(error).__name__)
    good = [reading.frames[i] for i in sorted(reading.frames)]
    faces = dict(zip((f.index for f in good), _detect(good, cropper.detector), strict=True))
    wanted = sorted({*reading.frames, *reading.errors})
    if not wanted:
        return _unreadable(media, cropper, "decode_error", "no frame decodes")
    return [_frame_row(media, i, reading, faces.get(i, []), cropper) for i in wanted]


def _detect(frames: Sequence[Frame], detector: FaceDetector) -> list[list[Face]]:
    # A detector takes frames of one size; a stream may change its size on the way.
    found: list[list[Face]] = [[] for _ in frames]
    shapes = dict.fromkeys(f.image.shape for f in frames)
    for shape in shapes:
        places = [n for n, f in enumerate(frames) if f.image.shape == shape]
        for n, faces in zip(places, detector.detect([frames[n].image for n in places]), strict=True):
            found[n] = faces
    return found


def _frame_row(media: Media, index: int, reading: Reading, faces: Sequence[Face], cropper: Cropper) -> Row:
    row = _base(media, index)
    row |= {"frame_count": reading.frame_count, "width": reading.width, "height": reading.height}
    if index not in reading.frames:
        return row | {"status": "decode_error", "reason": reading.errors[index]}
    frame = reading.frames[index]
    height, width = frame.image.shape[:2]
    row |= {"time_s": frame.time_s, "width": width, "height": height, "face_count": len(faces)}
    if not faces:
        return row | {"status": "no_face", "reason": "no face found"}
    face = faces[0]
    try:
        crops = _crops(frame.image, face, cropper)
    except DfbenchError as error:  # landmarks that fall together give no geometry
        return row | {"status": "no_face", "reason": f"the face found can not be aligned: {error.message}"}
    row |= {
        "status": "ok",
        "reason": "",
        "face_score": float(face.score),
        "box": face.box.astype(np.float32),
        "landmarks": face.landmarks.astype(np.float32).reshape(-1),
        "geometry_from": media.media_id,
    }
    return row | crops


def _crops(image: npt.NDArray[np.uint8], face: Face, cropper: Cropper) -> Row:
    height, width = image.shape[:2]
    out: Row = {}
    for size in cropper.sizes:
        matrix = cropper.profile.matrix(face, size, width, height)
        picture = crop(image, matrix, size)
        out[f"crop_{size}"] = {"bytes": encode_png(picture), "path": None}
        out[f"sha256_{size}"] = pixel_hash(picture)
        out["matrix"] = matrix.astype(np.float32).reshape(-1)
        out["scale"] = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return out  # sizes rise, so matrix and scale are those of the largest


def _unreadable(media: Media, cropper: Cropper, status: str, reason: str) -> list[Row]:
    return [
        _base(media, -n) | {"status": status, "reason": reason}
        for n in range(1, cropper.sampling.rows_if_unreadable + 1)
    ]


def _reason(message: str, path: Path, media: Media) -> str:
    # Rows must not hold a machine's paths.
    return message.replace(str(path), media.path)


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
