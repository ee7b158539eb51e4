"""Reconstructions of the two faces behind an image: what a training method supplies, what is planned; free of torch.

A fake shows the face of one clip, its source, in the frame of another one, its target. A method whose own weights are
kept beside those of the detector may reconstruct both from the detector's features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class ReconstructionRequest:
    """What a method needs to reconstruct faces.

    Attributes:
        detector: the trained detector, in evaluation mode on the device.
        weights: what the method kept of the training, by name.
        options: every option of the method with its value in the training, folders as they are now.
        record: what the steps of the training told for the card (``method_record``).
        device: where the detector is.
        steps: number of steps of the sampler.
        seed: of the noise.
    """

    detector: nn.Module
    weights: Mapping[str, Tensor]
    options: Mapping[str, Any]
    record: Mapping[str, Any]
    device: torch.device
    steps: int
    seed: int


@dataclass(frozen=True, eq=False)
class ReconstructedFaces:
    """The reconstructions of a batch.

    Attributes:
        source: (N, 3, S, S), RGB in [0,1].
        target: likewise.
        distances: (N,), in [0,1], of source and target.
        weights: (N, 2), how similar the image is to its source and its target by the method's estimate; None: it
            estimates none.
    """

    source: Tensor
    target: Tensor
    distances: Tensor
    weights: Tensor | None = None


Reconstruct = Callable[["Tensor", Callable[[int], object]], ReconstructedFaces]
"""Reconstructs the faces of images (N, 3, H, W), RGB in [0,1], without gradients: ``reconstruct(images, advance)``
calls ``advance(N)`` after every step of the sampler. The other images of a batch change nothing beyond rounding."""


@dataclass(frozen=True, eq=False)
class FaceReconstruction:
    """How a training method reconstructs faces.

    Attributes:
        sampler: how they are sampled.
        distance: definition of the distance, as a phrase.
        check: receives the method's options and the number of steps when an explanation is planned, without torch;
            raises one of dfbench's errors where they cannot be used, and returns a caution on how to read the numbers,
            empty where there is none.
        load: makes :data:`Reconstruct`; raises :class:`dfbench.errors.ModelError` where the weights do not fit, or a
            model that is used beside them is another one than in the training.
    """

    sampler: str
    distance: str
    check: Callable[[Mapping[str, Any], int], str]
    load: Callable[[ReconstructionRequest], Reconstruct]


@dataclass(frozen=True, eq=False)
class ReconstructionPlan:
    """What is reconstructed by which weights, all of which has been checked.

    Attributes:
        method: name of the training method.
        how: how it reconstructs.
        weights: the file of what it kept.
        sha256: of that file.
        options: its options; see :attr:`ReconstructionRequest.options`.
        record: see :attr:`ReconstructionRequest.record`.
        steps: number of steps of the sampler.
        caution: on how to read the numbers.
    """

    method: str
    how: FaceReconstruction
    weights: Path
    sha256: str
    options: Mapping[str, Any]
    record: Mapping[str, Any]
    steps: int
    caution: str = ""
