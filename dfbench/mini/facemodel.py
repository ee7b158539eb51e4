"""The shipped statistical face model: population statistics of shape and texture, not a portrait of any person.

Fitted by ``tools/fit_face_model.py``; see docs/mini.md for its origin.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench import io
from dfbench.errors import SetupError
from dfbench.mini.coefficients import coefficients

Floats = NDArray[np.float32]

# Points of the face mesh: MediaPipe's 478 points, then 26 of the silhouette, then the outer ring.
MESH = 468
IRIS = 10
RAYS = 26
POINTS = MESH + IRIS + RAYS
"""Number of points of the model; the outer ring is derived from them."""

ANCHOR = 168
LEFT_SIDE, RIGHT_SIDE = 234, 454
"""Widest points of the face, image left and image right; their distance is one face width."""

JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
FOREHEAD = (93, 234, 127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454, 323)
OVAL = (*FOREHEAD, *JAW)
"""The face oval as a closed polygon."""

LIP_CORNERS = (61, 291)
INNER_CORNERS = (78, 308)
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
UPPER_OUTER = (185, 40, 39, 37, 0, 267, 269, 270, 409)
LOWER_OUTER = (146, 91, 181, 84, 17, 314, 405, 321, 375)

# Each eye: corner towards the ear, corner towards the nose, upper lid, lower lid (same order), fold above the lid.
EYES = (
    (33, 133, (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155), (247, 30, 29, 27, 28, 56, 190)),
    (263, 362, (466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382),
     (467, 260, 259, 257, 258, 286, 414)),
)  # fmt: skip
IRIS_CENTRES = (468, 473)
BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)

FIVE = (468, 473, 4, 61, 291)
"""Image-left eye, image-right eye, nose tip, image-left and image-right mouth corner."""

MODEL_FILE = Path(__file__).with_name("nobody_faces.npz")
BLOCK = 32
"""Number of identity numbers reserved for each person; the first one that is not refused is used."""


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear model: mean + smile + sum of coefficients times components.

    Shapes are in face widths (x right, y down, z back, origin between the eyes), textures in grey levels of YCrCb in a
    frame of (height, width) texels. ``stored`` marks the texels the components cover, ``stored_half`` the same at
    half size, where chroma lives.
    """

    mean_shape: Floats
    smile_shape: Floats
    shape: Floats
    mean_luma: Floats
    mean_chroma: Floats
    luma: Floats
    chroma: Floats
    smile_luma: Floats
    smile_chroma: Floats
    stored: NDArray[np.bool_]
    stored_half: NDArray[np.bool_]
    detail: Floats
    normals: Floats
    frame: Floats
    triangles: NDArray[np.int32]
    refused: NDArray[np.bool_]
    note: dict[str, object]

    @property
    def components(self) -> int:
        """Number of principal components."""
        return len(self.shape)

    @property
    def height(self) -> int:
        """Rows of the texture frame."""
        return int(self.mean_luma.shape[0])

    @property
    def width(self) -> int:
        """Columns of the texture frame."""
        return int(self.mean_luma.shape[1])

    def identity_shape(self, c: NDArray[np.float64]) -> Floats:
        """Return the shape (504, 3) of a person with coefficients ``c`` at a neutral expression."""
        weights = c.astype(np.float32)
        return self.mean_shape + np.tensordot(weights, self.shape[: len(c)], axes=1).astype(np.float32)

    def identity_texture(self, c: NDArray[np.float64]) -> Floats:
        """Return the texture (height, width, 3) float32 YCrCb of a person with coefficients ``c``, neutral."""
        weights = c.astype(np.float32)
        luma, chroma = self.mean_luma.copy(), self.mean_chroma.copy()
        luma[self.stored] += weights @ self.luma[: len(c)]
        chroma[:, self.stored_half] += (weights @ self.chroma[: len(c)]).reshape(2, -1)
        return self._joined(luma, chroma)

    def smile_texture(self) -> Floats:
        """Return what one unit of smile adds to the texture: (height, width, 3) float32 YCrCb."""
        luma, chroma = np.zeros_like(self.mean_luma), np.zeros_like(self.mean_chroma)
        luma[self.stored] = self.smile_luma
        chroma[:, self.stored_half] = self.smile_chroma.reshape(2, -1)
        return self._joined(luma, chroma)

    def _joined(self, luma: Floats, chroma: Floats) -> Floats:
        planes = [cv2.resize(plane, (self.width, self.height), interpolation=cv2.INTER_LINEAR) for plane in chroma]
        return np.dstack([luma, *planes])


def identity_number(model: FaceModel, slot: int, offset: int) -> int:
    """Return the identity number of a person: the first of its block that the model does not refuse.

    Args:
        model: the face model with its list of refused numbers.
        slot: number of the person in the data set; each has its own block of :data:`BLOCK` numbers.
        offset: start of the first block, determined by the data set's seed.
    """
    count = len(model.refused)
    for step in range(BLOCK):
        number = (offset + slot * BLOCK + step) % count
        if not model.refused[number]:
            return number
    raise SetupError(f"every identity number of person {slot} is refused by the face model", "choose another seed")


def identity_coefficients(model: FaceModel, number: int) -> NDArray[np.float64]:
    """Return the coefficients (components,) of an identity number."""
    return coefficients(number, model.components)


@lru_cache(maxsize=2)
def load_face_model(path: Path = MODEL_FILE) -> FaceModel:
    """Read the model file once per process.

    Raises:
        SetupError: the file is missing or is not a face model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            z = {name: file[name] for name in file.files}
        height, width = z["mean_luma"].shape
        bits = np.unpackbits(z["stored"])[: height * width]
        half = np.unpackbits(z["stored_half"])[: height * width // 4]
        return FaceModel(
            mean_shape=z["mean_shape"],
            smile_shape=z["smile_shape"],
            shape=z["shape"].astype(np.float32),
            mean_luma=z["mean_luma"].astype(np.float32),
            mean_chroma=z["mean_chroma"].astype(np.float32),
            luma=z["luma"] * z["luma_scale"][:, None],
            chroma=z["chroma"] * z["chroma_scale"][:, None],
            smile_luma=z["smile_luma"] * z["smile_luma_scale"],
            smile_chroma=z["smile_chroma"] * z["smile_chroma_scale"],
            stored=bits.reshape(height, width).astype(bool),
            stored_half=half.reshape(height // 2, width // 2).astype(bool),
            detail=z["detail"].astype(np.float32) / 16,
            normals=z["normals"].astype(np.float32) / 127,
            frame=z["frame"],
            triangles=z["triangles"].astype(np.int32),
            refused=np.unpackbits(z["refused"]).astype(bool),
            note=json.loads(z["note"].tobytes()),
        )
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise SetupError(f"the face model {path} cannot be read: {error}", "install dfbench again") from error


def model_sha256(path: Path = MODEL_FILE) -> str:
    """Return the SHA-256 of the model file, for the marker of a generated tree."""
    return io.file_sha256(path)
