"""Cut crops with the geometry that a manifest stores, for example out of degraded frames, so that no face moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench import degrade
from dfbench.errors import DataError
from dfbench.faces.base import Face
from dfbench.faces.crops import crop
from dfbench.faces.profiles import CropProfile, get_profile
from dfbench.manifest.source_media import read_medium
from dfbench.media.frames import Reading
from dfbench.media.images import decode_sized
from dfbench.schema.ids import sample_id

ManifestRow = Mapping[str, Any]
Image = npt.NDArray[np.uint8]

GEOMETRY_COLUMNS = (
    "sample_id", "media_id", "media_path", "frame_index", "frame_count", "width", "height", "box", "landmarks",
    "face_score",
)  # fmt: skip
"""Columns that a row needs for its crop to be cut again."""

MAX_FRAMES = 250
"""Largest number of frames of a clip that are decoded before they are passed on."""
MAX_BYTES = 1 << 28
"""Largest size of these frames, so that long clips of large frames fit into memory."""
DEFAULT_FPS = 25.0
"""Frame rate of image sequences, which have none."""


def face_of(row: ManifestRow) -> Face:
    """Return the face of a manifest's row with status ok."""
    dense = row.get("dense")
    return Face(
        np.array(row["box"], np.float32),
        float(row["face_score"]),
        np.array(row["landmarks"], np.float32).reshape(5, 2),
        None if dense is None else np.array(dense, np.float32).reshape(-1, 2),
    )


def crop_matrix(row: ManifestRow, profile: CropProfile, size: int) -> npt.NDArray[np.float64]:
    """Return the map from source pixels to the crop of a row with status ok, in the precision of the original cut.

    Args:
        row: a manifest's row; one without a box was a ready-made crop.
        profile: the manifest's crop profile.
        size: side of the crop in pixels.

    Returns:
        float64 (2, 3). The column ``matrix`` is the same, rounded to float32, for the largest size.
    """
    if row.get("box") is None:
        return whole_image_matrix(size, row["width"], row["height"])
    return profile.matrix(face_of(row), size, row["width"], row["height"])


def whole_image_matrix(size: int, width: int, height: int) -> npt.NDArray[np.float64]:
    """Return the map (2, 3) from a whole image to a square crop: centre to centre, the longer side fills the crop.

    The aspect ratio is kept; the border of an image that is not square is replicated. A square image that has the
    size of the crop is not changed.

    >>> whole_image_matrix(128, 256, 256)
    array([[ 0.5 ,  0.  , -0.25],
           [ 0.  ,  0.5 , -0.25]])
    """
    zoom = size / max(width, height)
    shift = [(size - 1) / 2 - zoom * (side - 1) / 2 for side in (width, height)]
    return np.array([[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]])


def degraded_crops(
    rows: Sequence[ManifestRow],
    condition: degrade.Condition,
    profile: str,
    sizes: Sequence[int],
    root: Path | None,
    decoder: str,
) -> Iterator[dict[int, Image]]:
    """Cut the crops of one medium under a condition that acts before cropping.

    Args:
        rows: rows with status ok of one medium, by rising frame index, with the columns :data:`GEOMETRY_COLUMNS`,
            and ``dense``, ``patch`` and ``patch_box`` where the manifest has them.
        condition: acts on ``source`` frames or on the ``clip``.
        profile: the manifest's crop profile.
        sizes: crop sizes in pixels.
        root: folder that media paths are relative to; None where :func:`needs_media` is False.
        decoder: name of the video reader that the manifest was made with.

    Yields:
        For every row, size -> uint8 (size, size, 3), RGB.

    Raises:
        DataError: the medium does not exist, or is not the one that the manifest was made from.
    """
    cutter = get_profile(profile)
    degraded_frames = _clip_frames if condition.where == "clip" else _source_frames
    frames = degraded_frames(rows, condition, root, decoder)
    for index, of_frame in groupby(rows, key=lambda row: int(row["frame_index"])):
        number, image = next(frames)
        assert number == index
        for row in of_frame:
            if image.shape[:2] != (row["height"], row["width"]):
                raise _other_medium(row, f"frame {index} has another size")
            matrices = {size: crop_matrix(row, cutter, size) for size in sizes}
            yield {size: crop(image, matrix, size, cutter.resampling) for size, matrix in matrices.items()}


def needs_media(row: ManifestRow, condition: degrade.Condition) -> bool:
    """Whether the medium must be read.

    It need not be where the stored patch is the whole frame and the condition acts on single frames.
    """
    whole = [0, 0, row["width"], row["height"]]
    return condition.where == "clip" or row.get("patch") is None or list(row["patch_box"]) != whole


def _source_frames(
    rows: Sequence[ManifestRow], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Image]]:
    media_id = rows[0]["media_id"]
    for index, image in _plain_frames(rows, condition, root, decoder):
        # The frame is degraded once, however many faces are cut from it.
        yield index, degrade.apply(condition, image, sample_id(media_id, index))


def _plain_frames(
    rows: Sequence[ManifestRow], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Image]]:
    first = {int(row["frame_index"]): row for row in reversed(rows)}
    wanted = sorted(first)
    if any(needs_media(row, condition) for row in first.values()):
        for reading, part in _readings(rows[0], wanted, root, decoder):
            yield from ((index, _frame(rows[0], reading, index)) for index in part)
    else:
        for index in wanted:  # each patch is a whole frame
            row = first[index]
            yield index, decode_sized(row["patch"]["bytes"], row["width"], row["height"])


def _clip_frames(
    rows: Sequence[ManifestRow], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Image]]:
    # An encoder needs all frames of the clip; its output keeps the order of its input.
    first = rows[0]
    wanted = {int(row["frame_index"]) for row in rows}
    encoded: deque[int] = deque()
    readings = _readings(first, range(first["frame_count"] or max(wanted) + 1), root, decoder)
    head, part = next(readings)

    def images() -> Iterator[Image]:
        for reading, indices in chain([(head, part)], readings):
            for index in indices:
                if index in wanted or index in reading.frames:  # other frames that do not decode are skipped
                    image = _frame(first, reading, index)
                    encoded.append(index)
                    yield image

    for image in degrade.apply_stream(condition, images(), first["media_id"], head.fps or DEFAULT_FPS):
        index = encoded.popleft()
        if index in wanted:
            yield index, image


def _readings(
    row: ManifestRow, indices: Sequence[int], root: Path | None, decoder: str
) -> Iterator[tuple[Reading[Any], Sequence[int]]]:
    at_once = max(1, min(MAX_FRAMES, MAX_BYTES // (3 * row["width"] * row["height"])))
    for start in range(0, len(indices), at_once):
        part = indices[start : start + at_once]
        yield _read(row, part, root, decoder), part


def _read(row: ManifestRow, indices: Sequence[int], root: Path | None, decoder: str) -> Reading[Any]:
    assert root is not None, "the media are needed but their root was not looked up"
    return read_medium(root, row["media_path"], lambda count: [i for i in indices if i < count], decoder)


def _frame(row: ManifestRow, reading: Reading[Any], index: int) -> Image:
    if index not in reading.frames:
        raise _other_medium(row, f"frame {index} does not decode: {reading.errors.get(index, 'it does not exist')}")
    return reading.frames[index].image


def _other_medium(row: ManifestRow, why: str) -> DataError:
    return DataError(
        f"{row['media_path']} is not what the manifest was made from: {why}",
        "give the root that it was prepared from: --root DIR; or prepare the data set again",
    )
