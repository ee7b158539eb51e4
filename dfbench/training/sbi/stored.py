"""Faces as a manifest stores them: the patch with landmarks and box in its pixels, checked to cover the crops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.landmark_sets import common_landmarks, mirrored_landmarks
from dfbench.faces.regions import Rectangle, covers, face_region, landmark_region
from dfbench.manifest.crops import stored_patches
from dfbench.manifest.samples import Samples
from dfbench.media.images import decode_sized

COLUMNS = ("sample_id", "width", "height", "box", "dense", "patch", "patch_box")
"""Columns of a row that are read here."""

_PREPARE = "prepare with --patch --landmarks NAME (dfbench list landmarks)"


@dataclass(frozen=True, eq=False)
class FaceImage:
    """A face with what blending needs.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        landmarks: float64 (68, 2) or (81, 2) in common form, x y in pixels of the image.
        box: float64 (4,), x1 y1 x2 y2 of the face detector in pixels of the image.
    """

    pixels: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    box: NDArray[np.float64]

    def mirrored(self) -> FaceImage:
        """The same face mirrored from left to right."""
        width = self.pixels.shape[1]
        x1, y1, x2, y2 = self.box
        return FaceImage(
            np.ascontiguousarray(self.pixels[:, ::-1]),
            mirrored_landmarks(self.landmarks, width),
            np.array([width - 1 - x2, y1, width - 1 - x1, y2]),
        )

    def cut(self, region: Rectangle) -> FaceImage:
        """A region of the image, with landmarks and box in its pixels."""
        x1, y1, x2, y2 = region
        return FaceImage(
            np.ascontiguousarray(self.pixels[y1:y2, x1:x2]),
            self.landmarks - (x1, y1),
            self.box - (x1, y1, x1, y1),
        )


@dataclass(frozen=True, eq=False)
class _Geometry:
    """Where a face lies, in pixels of its frame."""

    landmarks: NDArray[np.float64]
    box: NDArray[np.float64]
    patch_box: Rectangle


class UnusableFaceError(DataError):
    """Raised when the face of a row cannot be blended.

    Attributes:
        reason: what is wrong, without the name of the sample and its coordinates: faces are counted by it.

    Args:
        message: what is wrong, with the name of the sample.
        hint: what to do next.
        reason: see above.
    """

    def __init__(self, message: str, hint: str, reason: str) -> None:
        super().__init__(message, hint)
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnusableFaceError], tuple[str, str, str]]:
        # As that of the base class: workers send exceptions to other processes.
        return type(self), (self.message, self.hint, self.reason)


def face_image(row: Mapping[str, Any]) -> FaceImage:
    """Return the face of a manifest's row.

    Args:
        row: the columns :data:`COLUMNS` of a row with status ``ok``.

    Raises:
        UnusableFaceError: the row has no patch, or no dense landmarks of a known numbering, or its face lies outside
            the image, or its patch ends before a region that is needed.
        DataError: the patch is damaged.
    """
    face = _geometry(row)
    if row.get("patch") is None:
        raise _lacks(row, "patch")
    return _face(face, row["patch"]["bytes"])


class StoredFaces:
    """The faces of samples, each patch read where it lies in its shard.

    All rows are checked when this is made; no patch is read before it is wanted.

    Attributes:
        indices: int64 (n,), the row of each face in the table of the samples given.
        skipped: reason of :class:`UnusableFaceError` -> number of samples that were skipped.

    Args:
        samples: rows of a manifest, all with status ``ok``.
        skip: skip the samples whose face cannot be used, and count them; otherwise they are errors.

    Raises:
        DataError: the manifest has no patches or no dense landmarks, no face can be used (with message and hint of the
            last one), or, unless ``skip`` is set, one of them cannot.
    """

    def __init__(self, samples: Samples, *, skip: bool = False) -> None:
        have = samples.manifest.columns
        for column, what in (("dense", "dense landmarks"), ("patch", "patches")):
            if column not in have:
                raise DataError(f"the manifest {samples.manifest.path} has no {what}", _PREPARE)
        columns = [column for column in COLUMNS if column != "patch"]
        reasons: Counter[str] = Counter()
        usable: list[int] = []
        last = DataError("there is none", _PREPARE)
        number = 0
        for batch in samples.select(columns).to_batches(max_chunksize=256):
            for row in batch.to_pylist():
                try:
                    _geometry(row)
                except UnusableFaceError as error:
                    if not skip:
                        raise
                    reasons[error.reason] += 1
                    last = error
                else:
                    usable.append(number)
                number += 1
        if not usable:
            message = (
                f"no face of {number} samples of {samples.manifest.path} can be blended; the last one: {last.message}"
            )
            raise DataError(message, last.hint) from last
        self.indices = np.array(usable, np.int64)
        self.skipped = dict(reasons)
        chosen = samples.take(self.indices)
        self._rows = chosen.select(columns)
        self._patches = stored_patches(samples.manifest, chosen.rows)

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.indices)

    def __getitem__(self, item: int) -> FaceImage:
        """Return a face.

        Raises:
            DataError: the shard cannot be read, or the patch is damaged.
        """
        if not 0 <= item < len(self):
            raise IndexError(item)
        return _face(_geometry(self._rows.slice(item, 1).to_pylist()[0]), self._patches[item])


def _geometry(row: Mapping[str, Any]) -> _Geometry:
    """Return where the face of a row lies.

    Raises:
        UnusableFaceError: it cannot be blended.
    """
    sample = row["sample_id"]
    for column, what in (("dense", "dense landmarks"), ("patch_box", "patch")):
        if row.get(column) is None:
            raise _lacks(row, what)
    left, top, right, bottom = (int(edge) for edge in row["patch_box"])
    box = np.asarray(row["box"], np.float64)
    if not np.isfinite(box).all():
        raise UnusableFaceError(
            f"the face box of {sample} is not finite", "prepare this manifest again", "a face box is not finite"
        )
    try:
        points = common_landmarks(np.asarray(row["dense"], np.float64).reshape(-1, 2))
        regions = (
            landmark_region(points, row["height"], row["width"]),
            face_region(box, row["height"], row["width"]),
        )
    except DataError as error:  # its message names neither the sample nor coordinates
        raise UnusableFaceError(f"{sample}: {error.message}", error.hint, error.message) from error
    for region in regions:
        if not covers((left, top, right, bottom), region):
            raise UnusableFaceError(
                f"the patch {[left, top, right, bottom]} of {sample} does not cover the region {list(region)}",
                "box and landmarks of this face disagree: dfbench inspect",
                "box and landmarks disagree",
            )
    return _Geometry(points, box, (left, top, right, bottom))


def _lacks(row: Mapping[str, Any], what: str) -> UnusableFaceError:
    return UnusableFaceError(f"{row['sample_id']} has no {what}", _PREPARE, f"no {what}")


def _face(face: _Geometry, patch: bytes) -> FaceImage:
    left, top, right, bottom = face.patch_box
    pixels = decode_sized(patch, right - left, bottom - top)
    return FaceImage(pixels, face.landmarks - (left, top), face.box - (left, top, left, top))
