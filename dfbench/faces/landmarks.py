"""Providers of dense landmarks: dfbench's own, and those of installed packages (entry points ``dfbench.landmarks``).

Blending methods need more than five points. dfbench runs dlib's shape predictors and MediaPipe's face mesh, with the
user's copies of their files; an average face needs none. A package with another landmark network registers a factory:

    [project.entry-points."dfbench.landmarks"]
    my-106 = "my_package.landmarks:build"

``build()`` returns a :class:`LandmarkProvider`; with ``--landmark-model PATH`` it is called as ``build(PATH)``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.base import Face
from dfbench.registry import Registry, any_callable, with_attributes


class LandmarkProvider(Protocol):
    """Finds dense landmarks of a detected face.

    Attributes:
        name: the registered name.
        fingerprint: changes whenever the same face could give other points: version, digest of the weights.
        count: number of points, the same for every face.
    """

    name: str
    fingerprint: str
    count: int

    def find(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """Find the landmarks of one face.

        Args:
            image: uint8 (height, width, 3), RGB: the whole frame.
            face: box and five landmarks in pixels of the frame.

        Returns:
            float32 (count, 2), x y in pixels of the frame, centres at whole numbers; None if it finds none. The result
            must depend on the arguments alone.
        """
        ...


_CONTRACT = with_attributes("dfbench.faces.LandmarkProvider", "name", "fingerprint", "count", "find")

Factory = Callable[..., LandmarkProvider]

LANDMARKS: Registry[Factory] = Registry(
    "landmark provider",
    "dfbench.landmarks",
    {
        "average-face": "dfbench.faces.average_face:build",
        "dlib-68": "dfbench.faces.dlib_landmarks:build_68",
        "dlib-81": "dfbench.faces.dlib_landmarks:build_81",
        "mediapipe": "dfbench.faces.face_mesh:build",
    },
    check=any_callable("build(model=None) -> LandmarkProvider"),
    summaries={
        "average-face": "an average face placed by the five landmarks, 81 points; approximate, needs no file",
        "dlib-68": "dlib's 68-part predictor; its training data allow research only",
        "dlib-81": "dlib's 81-part predictor, with a forehead line; your file, research only",
        "mediapipe": "MediaPipe's face mesh, 468 points; your face_landmark.tflite, on LiteRT or OpenVINO",
    },
    listing="dfbench list landmarks",
)


def landmark_provider_names() -> tuple[str, ...]:
    """Return the names of the providers."""
    return tuple(sorted(LANDMARKS))


def build_landmark_provider(name: str, model: str | Path | None = None) -> LandmarkProvider:
    """Build a provider by name.

    Args:
        name: see :func:`landmark_provider_names`.
        model: its model file; None: the environment, then ``dfbench.toml``, then what the provider finds by itself.

    Raises:
        UsageError: there is no such provider.
        SetupError: its package cannot be imported, a model file is missing or damaged, or what it registered is not a
            provider.
    """
    factory = LANDMARKS.get(name)
    with LANDMARKS.blame(name):
        provider = factory() if model is None else factory(model)
        _CONTRACT(name, provider)
    return provider


def checked_landmarks(provider: LandmarkProvider, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
    """Call a provider for one face and check its result.

    Returns:
        float32 (count, 2), or None if it finds none.

    Raises:
        DataError: it returned something else.
    """
    points = provider.find(image, face)
    if points is None:
        return None
    made = np.asarray(points, np.float32)
    if made.shape != (provider.count, 2) or not np.isfinite(made).all():
        raise DataError(
            f"the landmark provider {provider.name!r} returned {made.shape}, not {(provider.count, 2)} finite points",
            "report this to the authors of its package",
        )
    return made
