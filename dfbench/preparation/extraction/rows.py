"""The manifest rows of one clip: every requested frame gives a row, whatever its status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from dfbench.errors import DfbenchError
from dfbench.faces.crops import crop
from dfbench.manifest.stored_geometry import face_of
from dfbench.media.facts import MediaFacts
from dfbench.media.frames import Frame, Reading
from dfbench.media.images import encode_png, pixel_hash
from dfbench.media.reader import read
from dfbench.preparation.extraction.clip_faces import ClipFaces, Columns, ExtractionSettings, FrameFaces
from dfbench.preparation.extraction.face_selection import NO_FACE, OTHER_FACES
from dfbench.schema.ids import sample_id
from dfbench.schema.media import FAKE, Media
from dfbench.text import one_line

Row = dict[str, Any]
"""One manifest row: column name -> value; columns that are null may be absent."""


def rows_of_clip(media: Media, clip: ClipFaces) -> list[Row]:
    """Return the rows of a clip, by rising frame index and face.

    Args:
        media: the clip.
        clip: the faces of its frames.
    """
    out: list[Row] = []
    for row, frame in _frames(media, clip.reading):
        if frame is None:
            out.append(row)
            continue
        index = row["frame_index"]
        row |= {"face_count": frame.detected}
        positions = clip.chosen.get(index, ())
        if not positions:
            reason = frame.reason or (OTHER_FACES if frame.faces else NO_FACE)
            out.append(row | {"status": "no_face", "reason": reason})
        for number, position in enumerate(positions):
            identity = {"sample_id": sample_id(media.media_id, index, number), "face_index": number}
            out.append(row | identity | _face_columns(frame, position, clip.geometry_from))
    return out


def _face_columns(frame: FrameFaces, position: int, geometry_from: str) -> Row:
    face, crops = frame.faces[position], frame.crops[position]
    if isinstance(crops, str):
        return {"status": "no_face", "reason": f"the face found cannot be aligned: {crops}"}
    return {
        "status": "ok",
        "reason": "",
        "face_score": float(face.score),
        "box": face.box.astype(np.float32),
        "landmarks": face.landmarks.astype(np.float32).reshape(-1),
        "geometry_from": geometry_from,
    } | crops


def rows_of_crops(media: Media, reading: Reading[FrameFaces]) -> list[Row]:
    """Return the rows of ready-made crops: the whole image is the face, and its position in a frame is unknown."""
    out: list[Row] = []
    for row, frame in _frames(media, reading):
        if frame is None:
            out.append(row)
            continue
        (crops,) = frame.crops
        assert not isinstance(crops, str)
        out.append(row | {"status": "ok", "reason": ""} | crops)
    return out


def unreadable_rows(media: Media, number: int, status: str, reason: str) -> list[Row]:
    """Return rows for the frames of a medium of which no frame can be read; frame indices are -1, -2, ..."""
    return [_media_columns(media, -n) | {"status": status, "reason": one_line(reason)} for n in range(1, number + 1)]


def with_runs(rows: Sequence[Row], length: int) -> list[Row]:
    """Return the rows of a medium with the run of frames that each belongs to; null where no frame can be read.

    Args:
        rows: of all requested frames.
        length: frames of a run; the requested frames of a shorter clip are one run.
    """
    frames = sorted({row["frame_index"] for row in rows if row["frame_index"] >= 0})
    run_of = {frame: position // length for position, frame in enumerate(frames)}
    return [row | {"clip_index": run_of.get(row["frame_index"])} for row in rows]


def with_facts(rows: Sequence[Row], facts: MediaFacts | None) -> list[Row]:
    """Return the rows of a medium with the facts that are known of its file."""
    if facts is None:
        return list(rows)
    columns = {
        "media_size": facts.size,
        "media_sha256": facts.sha256,
        "media_format": facts.format,
        "codec": facts.codec,
        "fps": facts.fps,
        "pixel_aspect": facts.pixel_aspect,
        "jpeg_quality": facts.jpeg_quality,
    }
    return [row | columns for row in rows]


def with_masks(rows: Sequence[Row], media: Media, root: Path, settings: ExtractionSettings) -> list[Row]:
    """Return the rows of a clip with mask columns, if it has a mask video.

    The columns stay null for reals, beyond the end of a mask video (many are shorter than their clips), and where its
    frames differ in size from those of the clip or do not decode.
    """
    faces = [row for row in rows if row.get("status") == "ok" and row.get("box") is not None]
    if media.label != FAKE or media.mask_path is None or not faces:
        return list(rows)
    in_frame = {index: list(same) for index, same in groupby(faces, key=lambda row: int(row["frame_index"]))}

    def crop_masks(frames: Sequence[Frame]) -> list[list[Columns]]:
        return [[_mask_columns(frame, row, settings) for row in in_frame[frame.index]] for frame in frames]

    try:
        reading = read(
            root / media.mask_path, lambda count: [i for i in in_frame if i < count], settings.decoder, crop_masks
        )
    except (DfbenchError, OSError):
        return list(rows)
    columns = {
        row["sample_id"]: of_row
        for index, of_frame in reading.results.items()
        for row, of_row in zip(in_frame[index], of_frame, strict=True)
    }
    return [row | columns.get(row["sample_id"], {}) for row in rows]


def _mask_columns(frame: Frame, row: Row, settings: ExtractionSettings) -> Columns:
    height, width = frame.image.shape[:2]
    if (row["width"], row["height"]) != (width, height):
        return {}
    out: Columns = {}
    for size in settings.sizes:
        matrix = settings.profile.matrix(face_of(row), size, width, height)
        pixels = crop(frame.image, matrix, size, settings.profile.resampling)
        out[f"mask_{size}"] = {"bytes": encode_png(pixels), "path": None}
        out[f"sha256_mask_{size}"] = pixel_hash(pixels)
    return out


def _frames(media: Media, reading: Reading[FrameFaces]) -> Iterator[tuple[Row, FrameFaces | None]]:
    """Yield the first columns and the faces of each requested frame; None for a frame that does not decode."""
    for index in sorted({*reading.results, *reading.errors}):
        row = _media_columns(media, index) | {"frame_count": reading.frame_count}
        frame = reading.results.get(index)
        if frame is None:
            error = {"status": "decode_error", "reason": one_line(reading.errors[index])}
            yield row | {"width": reading.width, "height": reading.height} | error, None
        else:
            yield row | {"time_s": reading.times[index], "width": frame.width, "height": frame.height}, frame


def _media_columns(media: Media, frame: int) -> Row:
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
        "source_media_id": media.source_media_id,
        "media_path": media.path,
        "media_mask_path": media.mask_path,
        "frame_index": frame,
        "face_index": 0,
    }
