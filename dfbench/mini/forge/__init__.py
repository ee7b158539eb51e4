"""Four forging methods with the names of FaceForensics++, applied to an original's decoded frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dfbench.mini.forge.common import Forged, Job
from dfbench.mini.forge.deepfakes import Deepfakes
from dfbench.mini.forge.face2face import Face2Face
from dfbench.mini.forge.faceswap import FaceSwap
from dfbench.mini.forge.neuraltextures import NeuralTextures

__all__ = ["Forger", "forge", "make_forger"]


class Forger(Protocol):
    """Forges one clip frame by frame, in order."""

    def frame(self, index: int) -> Forged:
        """Return the forged frame ``index``."""
        ...


def make_forger(method: str, job: Job) -> Forger:
    """Return the forger of a method for one clip."""
    if method == "Deepfakes":
        return Deepfakes(job)
    if method == "Face2Face":
        return Face2Face(job)
    if method == "FaceSwap":
        return FaceSwap(job)
    if method == "NeuralTextures":
        return NeuralTextures(job)
    raise ValueError(method)


def forge(method: str, job: Job) -> Iterator[Forged | None]:
    """Yield all frames of a fake; ``None`` for frames without a person, in which the target is not changed."""
    forger = make_forger(method, job)
    for index, points in enumerate(job.target.points):
        yield None if points is None else forger.frame(index)
