"""The mask columns: what a fake's mask video marks as manipulated, cut out like the face itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from dfbench.datasets.ffpp import find_mask
from dfbench.errors import DfbenchError, UsageError
from dfbench.faces.crops import crop
from dfbench.manifest.stored_geometry import face_of
from dfbench.media.images import encode_png, pixel_hash
from dfbench.media.reader import Frame, read
from dfbench.preparation.extraction.rows import Cropper, Row
from dfbench.schema.media import FAKE, Media

MASKED_SETS = ("ff++", "dfd")


def check_masks(dataset: str, masks: bool) -> bool:
    """Refuse masks of a data set that has none.

    Raises:
        UsageError: it has none.
    """
    if masks and dataset not in MASKED_SETS:
        raise UsageError(
            f"the data set {dataset!r} has no mask videos", f"leave --masks away; {' and '.join(MASKED_SETS)} have them"
        )
    return masks


def without_mask(media: Sequence[Media], root: Path, masks: bool) -> tuple[str, ...]:
    """A sentence on fakes that have no mask video, where masks are wanted."""
    fakes = [m for m in media if m.label == FAKE] if masks else []
    lone = [m for m in fakes if find_mask(m, root) is None]
    if not lone:
        return ()
    return (
        f"{len(lone)} of {len(fakes)} fakes have no mask video, for example {lone[0].media_id}: their masks are null",
    )


def with_masks(rows: Sequence[Row], media: Media, root: Path, cropper: Cropper) -> list[Row]:
    """The rows of a clip with their mask columns, where it has a mask video.

    They stay null for reals, beyond the end of a mask video (many are shorter than their clips), and where it has
    another size than the clip or does not decode.
    """
    faces = [row for row in rows if row.get("status") == "ok" and row.get("box") is not None]
    path = find_mask(media, root) if media.label == FAKE else None
    if path is None or not faces:
        return list(rows)
    in_frame = {index: list(same) for index, same in groupby(faces, key=lambda row: int(row["frame_index"]))}

    def cut(frame: Frame) -> list[Row]:
        height, width = frame.image.shape[:2]
        here = in_frame[frame.index]
        return [
            _columns(frame, row, cropper) if (row["width"], row["height"]) == (width, height) else {} for row in here
        ]

    try:
        found = read(
            path, lambda count: [i for i in in_frame if i < count], cropper.decoder, lambda fs: [*map(cut, fs)]
        )
    except (DfbenchError, OSError):
        return list(rows)
    columns = {
        row["sample_id"]: made
        for index, glimpse in found.seen.items()
        for row, made in zip(in_frame[index], glimpse.made, strict=True)
    }
    return [row | columns.get(row["sample_id"], {}) for row in rows]


def _columns(frame: Frame, row: Row, cropper: Cropper) -> Row:
    height, width = frame.image.shape[:2]
    out: Row = {}
    for size in cropper.sizes:
        matrix = cropper.profile.matrix(face_of(row), size, width, height)
        picture = crop(frame.image, matrix, size, cropper.profile.resampling)
        out[f"mask_{size}"] = {"bytes": encode_png(picture), "path": None}
        out[f"sha256_mask_{size}"] = pixel_hash(picture)
    return out
