"""The time of a training step by a method, relative to a plain step of its backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from method_pairs import MethodPair
from timing import Clock, medians, random_images
from torch import Tensor, nn

from dfbench.models.build import build_model
from dfbench.models.device import autocast
from dfbench.models.registry import get_spec
from dfbench.training import Batch, TrainingMethod
from dfbench.training.methods import SUPERVISED, chosen_method
from reference_models.diffusionfake import steps
from reference_models.diffusionfake.diffusion import FrozenDiffusion


def measure_method(pair: MethodPair, size: int, count: int, rounds: int, device: torch.device) -> dict[str, float]:
    """Seconds of a training step by a method and of a plain one of its backbone, forward and backward, and their ratio.

    Args:
        pair: method and backbone.
        size: of the images, in pixels; a detector that needs larger ones gets its smallest size.
        count: images of a batch.
        rounds: steps of each that are timed.
        device: where the steps run.
    """
    size = max(size, *(get_spec(name).smallest for name in (pair.model, pair.backbone)))
    clock, images = Clock(device), random_images(count, size, device)
    targets = torch.arange(len(images), device=device) % 2
    batch = Batch(images, targets, tuple(map(str, range(len(images)))), others=other_faces(images))
    precision = "bf16" if device.type == "cuda" else "fp32"

    def arm(name: str, method: TrainingMethod) -> Callable[[], None]:
        model = build_model(name, 2, size).to(device, memory_format=torch.channels_last).train()
        run = method.new_step(model)
        trained = nn.ModuleList([m for m in (model, run) if isinstance(m, nn.Module)]).to(device)

        def step() -> None:
            trained.zero_grad(set_to_none=True)
            with autocast(device, precision):
                loss = run(model, batch).loss
            loss.backward()
            run.after_backward(model)

        return step

    method = chosen_method(get_spec(pair.model), pair.method or None, pair.options)
    load = random_diffusion if pair.options.get("sd") == "random" else steps.load_diffusion
    with patch.object(steps, "load_diffusion", load):
        arms = {"method": arm(pair.model, method), "plain": arm(pair.backbone, SUPERVISED)}
    seconds = medians(arms, rounds, clock)
    return {"size": float(size), **seconds, "ratio": seconds["method"] / seconds["plain"]}


def other_faces(images: Tensor) -> dict[str, Tensor]:
    """Source and target of every image, for diffusionfake: the image itself."""
    similarities = torch.ones(len(images), device=images.device)
    return dict.fromkeys(steps.FACES, images) | {f"{face}_similarity": similarities for face in steps.FACES}


def with_diffusion(pair: MethodPair, sd: str) -> MethodPair:
    """Return the pair of diffusionfake with a diffusion model: ``tiny``, ``random``, or a folder."""
    if sd == "tiny":
        return pair
    return replace(pair, options={"sd": sd, "version": "any", "size": 256})


def random_diffusion(*_: Any) -> FrozenDiffusion:
    """Return random weights in the shapes of Stable Diffusion 1.5, 943 million."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel(cross_attention_dim=768)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
    )
    return FrozenDiffusion(unet, vae, torch.randn(1, 77, 768), DDPMScheduler())
