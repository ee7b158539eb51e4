"""Run images through a detector, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from dfbench.errors import ModelError, SetupError
from dfbench.evaluation.loader import image_loader
from dfbench.media.images import decode_image
from dfbench.models.device import autocast
from dfbench.models.interface import fake_probability, head_logits, logits_of
from dfbench.progress import Advance

COMPILER = "inductor"
"""Backend of ``torch.compile``."""
KEPT_EVERY = 20
"""Batches between two calls of ``keep`` in :func:`score_images`."""


class NotFiniteError(ModelError):
    """The detector gives logits that are not finite: its training has diverged, or its weights are damaged."""


class CropFiles(Dataset[tuple[Tensor, int]]):
    """Image files in memory; an item is (uint8 3,S,S RGB, its index).

    Args:
        files: the bytes of each.
    """

    def __init__(self, files: Sequence[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        image = decode_image(self.files[index])
        return torch.from_numpy(image).permute(2, 0, 1), index


def move_to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a detector to a device, in the memory layout of its input."""
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def compile_network(network: nn.Module, device: torch.device, size: int) -> None:
    """Compile a detector in place with ``torch.compile``; its last digits may change.

    Args:
        network: the detector, on the device.
        device: where it is.
        size: crop size in pixels, for a first batch that shows whether it can be compiled.

    Raises:
        SetupError: it cannot be compiled: no compiler on this machine, or code that PyTorch cannot translate.
    """
    try:
        network.compile(backend=COMPILER)
        with torch.inference_mode():
            network(to_input(torch.zeros(2, 3, size, size, dtype=torch.uint8), device))
    except Exception as error:
        first = str(error).strip().splitlines()
        raise SetupError(
            f"the detector cannot be compiled: {first[0] if first else type(error).__name__}", "drop --compile"
        ) from error


def to_input(images: Tensor, device: torch.device) -> Tensor:
    """Convert uint8 N,3,H,W to float32 in [0,1] on a device, channels last (faster on CPU and GPU alike)."""
    moved = images.to(device, non_blocking=True)
    # One allocation: on a CPU, fresh memory for a batch costs more than the arithmetic.
    return moved.to(torch.float32, copy=True, memory_format=torch.channels_last).div_(255.0)


def score_images(
    model: nn.Module,
    images: Dataset[tuple[Tensor, int]],
    device: torch.device,
    *,
    batch_size: int = 64,
    workers: int = 0,
    precision: str = "fp32",
    advance: Advance | None = None,
    keep: Callable[[NDArray[np.float32]], None] | None = None,
    take: Callable[[object, int], Tensor] = logits_of,
) -> NDArray[np.float32]:
    """Compute the logits of every image; the model's mode is left as it was.

    The logits of a batch are fetched from the device after the next batch has been started: a GPU does not wait.

    Args:
        model: the detector, on the device.
        images: items are (uint8 3,S,S RGB, index).
        device: where the detector is.
        batch_size: images per step.
        workers: processes that read images.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        advance: moves the progress bar.
        keep: receives the logits (K, C) of every :data:`KEPT_EVERY` batches, in order, as soon as they are known.
        take: what is taken of the output for a number of images, (N, C); default: its logits.

    Returns:
        (N, C) float32, in the order of the dataset.

    Raises:
        ModelError: the logits are not (N, C).
        NotFiniteError: they are not finite; the message gives the index of the first such image.
    """
    loader = image_loader(images, device, workers=workers, batch_size=batch_size)
    was_training = model.training
    model.eval()
    found: list[NDArray[np.float32]] = []
    kept = 0
    try:
        with torch.inference_mode():
            for logits, rows in _one_behind(model, loader, device, precision, take):
                found.append(_checked(logits, rows))
                if advance is not None:
                    advance(len(rows))
                if keep is not None and len(found) - kept == KEPT_EVERY:
                    keep(_joined(found[kept:]))
                    kept = len(found)
    finally:
        model.train(was_training)
    return _joined(found) if found else np.zeros((0, 1), np.float32)


def score_heads(
    model: nn.Module,
    images: Dataset[tuple[Tensor, int]],
    device: torch.device,
    *,
    batch_size: int = 64,
    workers: int = 0,
    precision: str = "fp32",
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Compute the logits of every image by all heads of a detector in one pass, as :func:`score_images` does.

    Returns:
        The main logits, (N, C), and those of the further heads by name, each (N, C); see
        :func:`dfbench.models.interface.head_logits`.

    Raises:
        ModelError: see :func:`score_images`; a logit of a further head that is not finite counts too.
    """
    names: list[str] = []

    def joined(output: object, samples: int) -> Tensor:
        logits = logits_of(output, samples)
        heads = head_logits(output, logits)
        names[:] = heads
        return torch.cat([logits, *heads.values()], dim=1)

    found = score_images(
        model, images, device, batch_size=batch_size, workers=workers, precision=precision, take=joined
    )
    main, *others = (np.ascontiguousarray(part) for part in np.split(found, len(names) + 1, axis=1))
    return main, dict(zip(names, others, strict=True))


def _one_behind(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, list[int]]],
    device: torch.device,
    precision: str,
    take: Callable[[object, int], Tensor],
) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield logits and rows of each batch once the next one has been started."""
    before: tuple[Tensor, list[int]] | None = None
    for batch, rows in loader:
        with autocast(device, precision):
            output = model(to_input(batch, device))
        logits = take(output, len(batch)).float()
        if before is not None:
            yield before
        before = logits, rows
    if before is not None:
        yield before


def _checked(logits: Tensor, rows: Sequence[int]) -> NDArray[np.float32]:
    on_cpu = logits.cpu()
    finite = torch.isfinite(on_cpu).all(dim=1)
    if not bool(finite.all()):
        index = rows[int((~finite).nonzero()[0])]
        raise NotFiniteError(f"the detector gives logits that are not finite, first at image {index}", "train again")
    values: NDArray[np.float32] = on_cpu.numpy()
    return values


def _joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    if len({part.shape[1] for part in parts}) > 1:
        raise ModelError("the detector changes its number of logits from batch to batch", "return (N, classes)")
    return np.concatenate(parts)


def tempered(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return logits divided by a temperature; with 1.0, the logits themselves."""
    return logits if temperature == 1.0 else (logits.astype(np.float64) / temperature).astype(np.float32)


def score_encoded(
    model: nn.Module,
    files: Sequence[bytes],
    device: torch.device,
    real_classes: Sequence[int] = (0,),
    *,
    batch_size: int = 64,
    precision: str = "fp32",
    temperature: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Score crops that are image files of one size, as :func:`score_images` does.

    Args:
        model: the detector, on the device.
        files: the bytes of each crop.
        device: where the detector is.
        real_classes: numbers of the classes of real faces.
        batch_size: crops per step.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        temperature: logits are divided by it.

    Returns:
        P(fake), (N,) float64, and the divided logits, (N, C) float32.

    Raises:
        ModelError: see :func:`score_images`.
    """
    logits = score_images(model, CropFiles(files), device, batch_size=batch_size, precision=precision)
    logits = tempered(logits, temperature)
    return fake_probability(torch.from_numpy(logits), real_classes).numpy(), logits
