"""The time of a training step by a method, relative to a plain step of its backbone.

    python benchmarks/method_steps.py [--methods NAME ...] [--size 224] [--batch 8] [--threads 1] [--json FILE]

Forward and backward in training mode, without the making of the images and the step of the optimiser. Random weights
and images, float32 on a CPU, bfloat16 autocast on a GPU; medians of steps that take turns. ``diffusionfake`` has a tiny
diffusion model; ``--diffusion DIR`` takes that of a folder, and ``--diffusion random`` random weights in the shapes of
Stable Diffusion 1.5 (13 GB of memory with two images).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from method_pairs import PAIRS, MethodPair
from timing import Clock, medians, random_images
from torch import Tensor, nn

from dfbench.models.build import build_model
from dfbench.models.device import autocast, device_label, resolve_device
from dfbench.models.registry import get_spec
from dfbench.training import Batch, TrainingMethod
from dfbench.training.methods import SUPERVISED, chosen_method
from reference_models.diffusionfake import steps
from reference_models.diffusionfake.diffusion import FrozenDiffusion


def measure_methods(
    pairs: Mapping[str, MethodPair], size: int, count: int, rounds: int, device: torch.device
) -> dict[str, dict[str, float]]:
    """Measure pairs, of at least one step each, and print the ratios; see :func:`measure_method`."""
    found = {}
    for name, pair in pairs.items():
        found[name] = measure_method(pair, size, count, max(1, rounds), device)
        ratio, used = found[name]["ratio"], found[name]["size"]
        sys.stdout.write(f"{name} on {pair.model}, {used:g} px: {ratio:.2f} of a plain step of {pair.backbone}\n")
        sys.stdout.flush()
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--size", type=int, default=224, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=8, help="images of a step")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each that are timed")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--diffusion", default="tiny", help="of diffusionfake: tiny, random, or a folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    pairs = {name: PAIRS[name] for name in given.methods}
    if "diffusionfake" in pairs:
        pairs["diffusionfake"] = with_diffusion(pairs["diffusionfake"], given.diffusion)
    device = resolve_device(given.device)
    found = measure_methods(pairs, given.size, given.batch, given.rounds, device)
    if given.json is not None:
        about = {"batch": given.batch, "rounds": given.rounds, "threads": given.threads, "diffusion": given.diffusion}
        about |= {"device": device_label(device), "torch": torch.__version__}
        given.json.write_text(json.dumps({"methods": found} | about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
