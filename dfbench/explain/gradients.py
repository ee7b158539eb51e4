"""Forgery attention maps: how much each pixel moves the score of a detector (Wang and Deng, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.models.interface import evaluation_mode, logits_of

HALF_SCALE = 2.0**10
"""Factor on the score whose gradient is taken in float16, where small gradients would become 0."""


def group_scores(logits: Tensor, real_classes: Sequence[int] = (0,)) -> tuple[Tensor, Tensor]:
    """Return the scores of the fake and of the real classes, (N,) each, as float32 at least.

    One logit is the score of the fake class, and its negative that of the real one. Of several classes of a group the
    score is the log of the sum of their exponentials, which for one class is its logit.

    Args:
        logits: (N, C).
        real_classes: numbers of the classes of real faces; ignored for one logit.

    Raises:
        ModelError: every class is real, or none is.
    """
    values = logits if logits.dtype == torch.float64 else logits.float()
    count = values.shape[1]
    if count == 1:
        return values[:, 0], -values[:, 0]
    reals = [c for c in range(count) if c in set(real_classes)]
    fakes = [c for c in range(count) if c not in set(real_classes)]
    if not reals or not fakes:
        raise ModelError(f"of {count} classes, {len(reals)} are real", "a map needs real and fake classes")
    return values[:, fakes].logsumexp(1), values[:, reals].logsumexp(1)


def fake_minus_real(logits: Tensor, real_classes: Sequence[int] = (0,)) -> Tensor:
    """Return how much larger the score of the fake classes is than that of the real ones, (N, C) -> (N,).

    One logit: the logit itself. Its sigmoid is P(fake) in every case.

    Raises:
        ModelError: as :func:`group_scores`.

    >>> fake_minus_real(torch.tensor([[0.5], [-2.0]])).tolist(), fake_minus_real(torch.tensor([[1.0, 4.0]])).tolist()
    ([0.5, -2.0], [3.0])
    """
    fake, real = group_scores(logits, real_classes)
    return fake if logits.shape[1] == 1 else fake - real


def forgery_attention_map(network: nn.Module, images: Tensor, real_classes: Sequence[int] = (0,)) -> Tensor:
    """Return the largest absolute gradient of :func:`fake_minus_real` over the channels of every pixel.

    The network is in evaluation mode; gradients of its parameters are neither used nor changed. Under autocast the
    passes run in its precision.

    Args:
        network: a detector; see :mod:`dfbench.models.interface`.
        images: (N, C, H, W), its input.
        real_classes: numbers of the classes of real faces.

    Returns:
        (N, H, W), detached, per unit of the input.

    Raises:
        ModelError: the score has no gradient with respect to the image, or the logits are not (N, C).
    """
    with evaluation_mode(network), torch.enable_grad():
        inputs = images.detach().requires_grad_(True)
        # The clone lets a network change its input in place.
        score = fake_minus_real(logits_of(network(inputs.clone()), len(images)), real_classes)
        (gradient,) = gradients(score, [inputs], scale=half_scale(images.device))
    return gradient.abs().amax(1)


def gradients(score: Tensor, inputs: Sequence[Tensor], *, scale: float = 1.0, keep: bool = False) -> list[Tensor]:
    """Return the gradients of the sum of a score.

    Args:
        score: (N,); the images must be independent of each other.
        inputs: with respect to what.
        scale: factor on the score, which the gradients are divided by.
        keep: keep the graph for a further call.

    Raises:
        ModelError: there is no gradient.
    """
    found: Sequence[Tensor | None] = [None]
    if score.requires_grad:
        found = torch.autograd.grad((score * scale).sum(), list(inputs), allow_unused=True, retain_graph=keep)
    known = [gradient / scale for gradient in found if gradient is not None]
    if len(known) < len(inputs):
        raise ModelError(
            "the score of the detector has no gradient with respect to its input",
            "maps need a detector that is differentiable: no detach, no_grad, argmax or NumPy between image and logits",
        )
    return known


def half_scale(device: torch.device) -> float:
    """Return the factor for gradients under the present autocast: 1 unless it is to float16."""
    half = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.float16
    return HALF_SCALE if half else 1.0
