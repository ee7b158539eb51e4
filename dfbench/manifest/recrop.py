"""Cut a manifest's crops again out of degraded frames, with the geometry that it stores, so that no face moves."""

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
from dfbench.faces.crops import crop
from dfbench.faces.profiles import get_profile
from dfbench.manifest.geometry import crop_matrix
from dfbench.manifest.media import read_medium
from dfbench.media.images import decode_image
from dfbench.media.reader import Reading
from dfbench.schema.ids import sample_id

Row = Mapping[str, Any]
Picture = npt.NDArray[np.uint8]

# What a row must say to be cut again.
GEOMETRY = (
    "sample_id", "media_id", "media_path", "frame_index", "frame_count", "width", "height", "box", "landmarks",
    "face_score",
)  # fmt: skip

MOST_FRAMES = 250
"""Frames of a clip that are decoded before they are handed on,"""
MOST_BYTES = 1 << 28
"""and their size, so that long clips of large frames fit into memory."""
DEFAULT_FPS = 25.0
"""Of sequences of images, which do not say."""


def recut(
    rows: Sequence[Row],
    condition: degrade.Condition,
    profile: str,
    sizes: Sequence[int],
    root: Path | None,
    decoder: str,
) -> Iterator[dict[int, Picture]]:
    """The crops of one medium under a condition that acts before cropping.

    Args:
        rows: rows with status ok of one medium, by rising frame index, with the columns :data:`GEOMETRY`, and
            ``dense``, ``patch`` and ``patch_box`` where the manifest has them.
        condition: acts on ``source`` frames or on the ``clip``.
        profile: the manifest's crop profile.
        sizes: crop sizes in pixels.
        root: folder that media paths are relative to; None where :func:`needs_media` is False.
        decoder: name of the video reader that the manifest was made with.

    Yields:
        For every row, size -> uint8 (size, size, 3), RGB.

    Raises:
        DataError: the medium is not there, or is not the one that the manifest was made from.
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


def needs_media(row: Row, condition: degrade.Condition) -> bool:
    """Whether the medium must be read: not where a stored patch is the whole frame and frames are degraded alone."""
    whole = [0, 0, row["width"], row["height"]]
    return condition.where == "clip" or row.get("patch") is None or list(row["patch_box"]) != whole


def _source_frames(
    rows: Sequence[Row], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Picture]]:
    media_id = rows[0]["media_id"]
    for index, image in _plain_frames(rows, condition, root, decoder):
        # The frame is one picture, however many faces are cut from it.
        yield index, degrade.apply(condition, image, sample_id(media_id, index))


def _plain_frames(
    rows: Sequence[Row], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Picture]]:
    first = {int(row["frame_index"]): row for row in reversed(rows)}
    wanted = sorted(first)
    if any(needs_media(row, condition) for row in first.values()):
        for reading, part in _readings(rows[0], wanted, root, decoder):
            yield from ((index, _frame(rows[0], reading, index)) for index in part)
    else:
        yield from ((index, decode_image(first[index]["patch"]["bytes"])) for index in wanted)


def _clip_frames(
    rows: Sequence[Row], condition: degrade.Condition, root: Path | None, decoder: str
) -> Iterator[tuple[int, Picture]]:
    # An encoder must see the whole clip; what comes back is in the order of what went in.
    first = rows[0]
    wanted = {int(row["frame_index"]) for row in rows}
    going_in: deque[int] = deque()
    readings = _readings(first, range(first["frame_count"] or max(wanted) + 1), root, decoder)
    head, part = next(readings)

    def images() -> Iterator[Picture]:
        for reading, indices in chain([(head, part)], readings):
            for index in indices:
                if index in wanted or index in reading.frames:  # what nobody wants and does not decode is passed over
                    image = _frame(first, reading, index)
                    going_in.append(index)
                    yield image

    for image in degrade.apply_stream(condition, images(), first["media_id"], head.fps or DEFAULT_FPS):
        index = going_in.popleft()
        if index in wanted:
            yield index, image


def _readings(
    row: Row, indices: Sequence[int], root: Path | None, decoder: str
) -> Iterator[tuple[Reading, Sequence[int]]]:
    at_once = max(1, min(MOST_FRAMES, MOST_BYTES // (3 * row["width"] * row["height"])))
    for start in range(0, len(indices), at_once):
        part = indices[start : start + at_once]
        yield _read(row, part, root, decoder), part


def _read(row: Row, indices: Sequence[int], root: Path | None, decoder: str) -> Reading:
    assert root is not None, "the media are needed and their root was not looked for"
    return read_medium(root, row["media_path"], lambda count: [i for i in indices if i < count], decoder)


def _frame(row: Row, reading: Reading, index: int) -> Picture:
    if index not in reading.frames:
        raise _other_medium(row, f"frame {index} does not decode: {reading.errors.get(index, 'it is not there')}")
    return reading.frames[index].image


def _other_medium(row: Row, why: str) -> DataError:
    return DataError(
        f"{row['media_path']} is not what the manifest was made from: {why}",
        "give the root that it was prepared from: --root DIR; or prepare the data set again",
    )
