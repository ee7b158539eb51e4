"""Reconstructions of the two faces behind an image, and how well their distance tells fakes from reals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, UndefinedMetric, UsageError
from dfbench.explain import (
    Reconstruct,
    ReconstructedFaces,
    ReconstructionRequest,
    captured_outputs,
    evaluation_mode,
)
from dfbench.models.weights import load_state
from reference_models.diffusionfake.folder import check_steps
from reference_models.diffusionfake.steps import DiffusionFake, Guidance

SAMPLERS = ("ddim",)
DECODED = 8
"""Images that are decoded at once: the first maps of the decoder are large."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What the diffusion model makes of the detector's features of a batch.

    Attributes:
        source: (N, 3, S, S), RGB in [0,1].
        target: likewise.
        sampler: how they were sampled.
        steps: number of its steps.
        seed: of the noise that all images begin with.
        weights: (N, 2), the predicted similarities of image and source, and of image and target.
    """

    source: Tensor
    target: Tensor
    sampler: str
    steps: int
    seed: int
    weights: Tensor | None = None


def _ignore(count: int) -> None:
    del count


def reconstruct(
    step: DiffusionFake,
    detector: nn.Module,
    images: Tensor,
    *,
    sampler: str = "ddim",
    steps: int = 50,
    seed: int = 0,
    advance: Callable[[int], object] = _ignore,
) -> Reconstruction:
    """Reconstruct the source and the target face of images by sampling.

    All images, and both faces, begin with the same noise, so that distances do not depend on the draw or on the other
    images of a batch. Detector and step are in evaluation mode for the call.

    Args:
        step: the trained parts.
        detector: the detector that they were trained with.
        images: (N, 3, H, W), RGB in [0,1], on the device of both.
        sampler: ``ddim``, without noise between its steps (eta 0).
        steps: number of its steps.
        seed: of the noise.
        advance: called with N after every step.

    Raises:
        UsageError: an unknown sampler, or a number of steps that the noise schedule does not have.
    """
    from diffusers import DDIMScheduler

    diffusion = step.diffusion
    if sampler not in SAMPLERS:
        raise UsageError(f"unknown sampler {sampler!r}", f"choose from: {', '.join(SAMPLERS)}")
    check_steps(steps, diffusion.times)
    schedule = DDIMScheduler.from_config(diffusion.scheduler.config)
    schedule.set_timesteps(steps)
    with torch.no_grad(), evaluation_mode(detector), evaluation_mode(step):
        with captured_outputs(detector, step.feature_map.module) as outputs:
            detector(images)
        features = step.feature_map.of(outputs[-1])
        latents = _first_latents(step, seed).to(images.device).repeat(2 * len(images), 1, 1, 1)
        guidance: Guidance = step.guidance(features, (int(latents.shape[2]), int(latents.shape[3])))
        for time in schedule.timesteps:
            times = time.to(images.device).expand(len(latents))
            noise = step.predict(latents, times, guidance).float()
            latents = schedule.step(noise, time, latents, eta=0.0).prev_sample
            advance(len(images))
        parts = torch.split(latents, DECODED)
        source, target = torch.cat([diffusion.decode(part) for part in parts]).chunk(2)
        weights = torch.stack(guidance.weights.float().chunk(2), dim=1)
    return Reconstruction(source, target, sampler, steps, seed, weights)


def load_reconstruction(step: DiffusionFake, request: ReconstructionRequest) -> Reconstruct:
    """Return what reconstructs faces by the trained parts that a training has kept.

    Args:
        step: the steps of a training with the same options, whose weights are replaced.
        request: detector, weights, record of the training, steps of the sampler and seed.

    Raises:
        ModelError: the diffusion model is another one than in the training, or the weights do not fit.
    """
    known = request.record.get("diffusion_sha256")
    if step.diffusion.sha256 != known:
        raise ModelError(
            f"the training used another diffusion model (SHA-256 {str(known)[:12]}) than the one in the folder now "
            f"({step.diffusion.sha256[:12]})",
            "pass the folder that was used in the training: --method-option sd=DIR",
        )
    load_state(step.trained(), dict(request.weights), "that the training kept")
    step.to(request.device).eval()
    detector, steps, seed = request.detector, request.steps, request.seed  # not the weights, which may be freed

    def faces(images: Tensor, advance: Callable[[int], object]) -> ReconstructedFaces:
        found = reconstruct(step, detector, images, steps=steps, seed=seed, advance=advance)
        weights = found.weights if step.weighted else None
        return ReconstructedFaces(found.source, found.target, face_distance(found), weights)

    return faces


def _first_latents(step: DiffusionFake, seed: int) -> Tensor:
    diffusion = step.diffusion
    side = step.size // 2 ** (len(diffusion.vae.config.block_out_channels) - 1)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, int(diffusion.unet.config.in_channels), side, side, generator=generator)


def face_distance(reconstruction: Reconstruction) -> Tensor:
    """Return the distance between the reconstructed source and target, (N,): the root mean square over the pixels.

    >>> face_distance(Reconstruction(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5), "ddim", 50, 0))
    tensor([0.5000])
    """
    return (reconstruction.source - reconstruction.target).square().flatten(1).mean(1).sqrt()


def distance_auc(distances: Sequence[float] | Tensor, labels: Sequence[int] | Tensor) -> float:
    """Return the AUC of the distances as scores of fakes: 1 if every fake has a larger one than every real image.

    Args:
        distances: of the images.
        labels: 0: real, 1: fake.

    Raises:
        UndefinedMetric: there is one class only.

    >>> distance_auc([0.1, 0.3, 0.2, 0.4], [0, 0, 1, 1])
    0.75
    """
    from sklearn.metrics import roc_auc_score

    fakes = torch.as_tensor(labels).cpu().numpy()
    if set(fakes.tolist()) != {0, 1}:
        raise UndefinedMetric("AUC needs real and fake images", "reconstruct images of both classes")
    return float(roc_auc_score(fakes, torch.as_tensor(distances).cpu().numpy()))
