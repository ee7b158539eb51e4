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
