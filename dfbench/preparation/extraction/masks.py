"""The mask columns: what a fake's mask video marks as manipulated, cropped like the face itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from dfbench.datasets.ffpp import find_mask
from dfbench.errors import DfbenchError
from dfbench.faces.crops import crop
from dfbench.manifest.stored_geometry import face_of
from dfbench.media.frames import Frame
from dfbench.media.images import encode_png, pixel_hash
from dfbench.media.reader import read
from dfbench.preparation.extraction.clip_faces import Columns, ExtractionSettings
from dfbench.preparation.extraction.rows import Row
from dfbench.schema.media import FAKE, Media


def with_masks(rows: Sequence[Row], media: Media, root: Path, settings: ExtractionSettings) -> list[Row]:
    """Return the rows of a clip with mask columns, if it has a mask video.

    The columns stay null for reals, beyond the end of a mask video (many are shorter than their clips), and where its
    frames differ in size from those of the clip or do not decode.
    """
    faces = [row for row in rows if row.get("status") == "ok" and row.get("box") is not None]
    path = find_mask(media, root) if media.label == FAKE else None
    if path is None or not faces:
        return list(rows)
    in_frame = {index: list(same) for index, same in groupby(faces, key=lambda row: int(row["frame_index"]))}

    def crop_masks(frames: Sequence[Frame]) -> list[list[Columns]]:
        return [[_mask_columns(frame, row, settings) for row in in_frame[frame.index]] for frame in frames]

    try:
        reading = read(path, lambda count: [i for i in in_frame if i < count], settings.decoder, crop_masks)
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
