"""The similarity of an image with its source and target, which the weight networks learn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dfbench.errors import UsageError
from reference_models.diffusionfake.diffusion import posterior_mean

KINDS = ("cos", "half")

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def latent_similarity(vae: Any, a: Tensor, b: Tensor, kind: str = "cos") -> Tensor:
    """Return the similarity of the latents of two batches of images: the mean of the autoencoder's posterior.

    Args:
        vae: ``AutoencoderKL`` of diffusers.
        a: (N, 3, S, S), RGB in [0,1], on the device of the autoencoder.
        b: likewise; similar to ``a`` image by image.
        kind: ``cos``: the cosine, in [-1,1] (paper); ``half``: (cos + 1) / 2, in [0,1] (authors' program).

    Returns:
        float32 (N,).

    Raises:
        UsageError: the kind is unknown.
    """
    return similarities_to(vae, a, [b], kind)[0]


def similarities_to(vae: Any, a: Tensor, others: Sequence[Tensor], kind: str = "cos") -> list[Tensor]:
    """Return :func:`latent_similarity` of a batch to each of several others; its own latents are computed once.

    Raises:
        UsageError: the kind is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"invalid kind of similarity {kind!r}", f"choose from: {', '.join(KINDS)}")
    latents, *compared = posterior_mean(vae, torch.cat([a, *others])).flatten(1).chunk(1 + len(others))
    cosines = [F.cosine_similarity(latents, other) for other in compared]
    return cosines if kind == "cos" else [(cosine + 1) / 2 for cosine in cosines]


def latent_similarities(
    vae: Any, pairs: Iterable[Pair], size: int = 256, kind: str = "cos", batch_size: int = 16
) -> NDArray[np.float32]:
    """Return :func:`latent_similarity` of pairs of crops, in batches.

    Args:
        vae: ``AutoencoderKL`` of diffusers.
        pairs: two crops each, uint8 (S, S, 3), RGB, all of one size.
        size: side in pixels that they are resized to.
        kind: see :func:`latent_similarity`.
        batch_size: pairs at a time.

    Returns:
        (number of pairs,).
    """
    device = next(vae.parameters()).device
    found = [np.zeros(0, np.float32)]
    for some in _batches(iter(pairs), batch_size):
        images = (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) for crops in zip(*some, strict=True))
        first, second = (resized(crops.to(device), size) for crops in images)
        found.append(latent_similarity(vae, first, second, kind).cpu().numpy())
    return np.concatenate(found)


def _batches(pairs: Iterator[Pair], size: int) -> Iterator[list[Pair]]:
    while some := list(islice(pairs, size)):
        yield some


def resized(crops: Tensor, size: int) -> Tensor:
    """Return crops, uint8 (N, 3, S, S), as float32 in [0,1] of another side in pixels."""
    images = crops.float() / 255
    if images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
