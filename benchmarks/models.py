"""How fast the detectors are: each beside its bare backbone, GRnet beside two bare passes, the residual by each way.

    python benchmarks/models.py [--json FILE] [--device auto|cpu|cuda[:N]] [--threads N] [--repeats N] [--quick]

The arms of a comparison take turns, round after round, each first in turn; every time is a median over the rounds after
the first (which warms up), and ratios are of medians of one comparison. Random weights, random images, float32 on a
CPU, bfloat16 autocast on a GPU.

* ``grnet_over_two_backbones``: a GRnet forward pass against the two ResNet-18 passes inside it, at 224; with the cost
  of its residual and its fusion as parts of those passes.
* ``residual_over_shifted_adds``: window sums by shifted adds (what GRnet uses), by average pooling, and by differences
  of cumulative sums, for several radii; and each way's largest error against float64.
* ``detectors``: images per second, forward, and forward and backward in training, of every registered detector beside
  its bare backbone: the network without normalisation, extractor, stream heads, fusion or capsules (none for the two
  of MesoNet, which are nothing else; no training of Capsule's, which is frozen).
* ``methods``: a training step by a method against a plain one of its backbone; see ``benchmarks/method_steps.py``.
* On a GPU: ``gpu``: images per second of GRnet and of the two passes alone at 128 and 224.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from method_pairs import PAIRS
from method_steps import measure_methods
from timing import Clock, medians, random_images
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.models.build import build_model
from dfbench.models.device import autocast, device_label, resolve_device
from dfbench.models.interface import loss_of
from dfbench.models.registry import get_spec, model_names
from reference_models.grnet import guided_residual
from reference_models.grnet.fusion import fuse
from reference_models.grnet.residual import box_sum

RADII = (2, 4, 8, 16)


@dataclass(frozen=True)
class Scale:
    """How much is measured; sizes in pixels, batches in images."""

    rounds: int
    size: int
    batch: int
    detector_batch: int
    gpu_sizes: tuple[int, ...] = (128, 224)
    gpu_batch: int = 128


FULL = Scale(rounds=11, size=224, batch=16, detector_batch=8)
QUICK = Scale(rounds=2, size=64, batch=2, detector_batch=2, gpu_batch=16)


def two_passes(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The two backbones of GRnet, without anything around them."""
    return model.rgb(images), model.residual(images)  # type: ignore[operator]


def measure_grnet(scale: Scale, device: torch.device, clock: Clock) -> dict[str, float]:
    """GRnet and its parts against its two backbone passes; forward, in evaluation mode."""
    model = build_model("grnet", 2, scale.size).eval().to(device, memory_format=torch.channels_last)
    images = random_images(scale.batch, scale.size, device)
    with torch.inference_mode():
        maps = two_passes(model, images)
        halves = torch.tensor([0.5, 0.5], device=device)
        arms: dict[str, Callable[[], object]] = {
            "two_backbones": lambda: two_passes(model, images),
            "grnet": lambda: model(images),
            "residual": lambda: guided_residual(images),
            "fusion": lambda: fuse(maps, "afm", halves),
        }
        seconds = medians(arms, scale.rounds, clock)
    base = seconds["two_backbones"]
    say(f"GRnet {seconds['grnet'] / base:.3f} of two backbone passes at {scale.size}")
    return {
        "grnet_over_two_backbones": seconds["grnet"] / base,
        "residual_over_two_backbones": seconds["residual"] / base,
        "fusion_over_two_backbones": seconds["fusion"] / base,
        "two_backbones_per_second": scale.batch / base,
    }


def by_pooling(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    return F.avg_pool2d(values, side, 1, radius, divisor_override=1)


def by_cumulative_sums(values: Tensor, radius: int) -> Tensor:
    for dim in (2, 3):
        margin = (radius + 1, radius) if dim == 3 else (0, 0, radius + 1, radius)
        sums = F.pad(values, margin).cumsum(dim)
        size = values.shape[dim]
        values = sums.narrow(dim, 2 * radius + 1, size) - sums.narrow(dim, 0, size)
    return values


def measure_window_sums(scale: Scale, device: torch.device, clock: Clock) -> dict[str, dict[str, dict[str, float]]]:
    """Time relative to shifted adds, and largest error against float64, of each way by radius."""
    ways = {"shifted_adds": box_sum, "average_pooling": by_pooling, "cumulative_sums": by_cumulative_sums}
    images = random_images(scale.batch, scale.size, device).contiguous()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for radius in RADII:
        exact = box_sum(images.double(), radius)
        errors = {name: float((way(images, radius).double() - exact).abs().max()) for name, way in ways.items()}
        arms = {name: lambda way=way, radius=radius: way(images, radius) for name, way in ways.items()}
        seconds = medians(arms, scale.rounds, clock)
        base = seconds["shifted_adds"]
        found[f"radius_{radius}"] = {n: {"ratio": seconds[n] / base, "largest_error": errors[n]} for n in ways}
        say(f"window sums, radius {radius}: " + ", ".join(f"{n} {s / base:.2f}" for n, s in seconds.items()))
    return found


def bare_backbone(name: str, model: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """What is left of a detector without what it adds around a network."""
    parts = dict(model.named_children())
    if name == "grnet":
        return lambda images: torch.cat(two_passes(model, images))
    if name == "amtennet":  # the extractor gives 12 planes
        return lambda images: parts["classifier"](images.repeat(1, 4, 1, 1))
    if name == "mislnet":  # the constrained convolution takes 2 pixels off every side
        return lambda images: parts["classifier"](parts["features"](images[:, :, 2:-2, 2:-2]))
    if name == "highpass":
        return lambda images: parts["classifier"](parts["features"](images))
    return parts.get("backbone", parts.get("vgg"))


def measure_detector(name: str, scale: Scale, device: torch.device, clock: Clock) -> dict[str, float | None]:
    """Images per second of a detector and of its backbone, forward and in training, and the ratios of their times."""
    spec = get_spec(name)
    size = max(scale.size - scale.size % spec.multiple, spec.smallest)
    model = build_model(name, 2, size).to(device, memory_format=torch.channels_last)
    bare = bare_backbone(name, model)
    images = random_images(scale.detector_batch, size, device)
    targets = torch.arange(len(images), device=device) % 2
    precision = "bf16" if device.type == "cuda" else "fp32"

    def forward(network: Callable[[Tensor], object]) -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(images)

    def step(loss_on: Callable[[], Tensor]) -> None:
        model.zero_grad(set_to_none=True)
        with autocast(device, precision):
            loss = loss_on()
        loss.backward()

    scoring: dict[str, Callable[[], object]] = {"detector": lambda: forward(model)}
    training: dict[str, Callable[[], object]] = {
        "detector": lambda: step(lambda: loss_of(model, model(images), targets))
    }
    if bare is not None:
        scoring["backbone"] = lambda: forward(bare)
        if name != "capsule":
            training["backbone"] = lambda: step(lambda: bare(images).float().square().mean())
    result: dict[str, float | None] = {"size": size}
    for kind, arms in (("forward", scoring), ("train", training)):
        model.train(kind == "train")
        seconds = medians(arms, scale.rounds if kind == "forward" else max(1, scale.rounds // 2), clock)
        beside = seconds.get("backbone")
        result[f"{kind}_per_second"] = len(images) / seconds["detector"]
        result[f"{kind}_backbone_per_second"] = None if beside is None else len(images) / beside
        result[f"{kind}_over_backbone"] = None if beside is None else seconds["detector"] / beside
    say(f"{name}: " + ", ".join(f"{k} {v:.2f}" for k, v in result.items() if v is not None))
    return result


def measure_gpu(scale: Scale, device: torch.device, clock: Clock) -> dict[str, dict[str, float]]:
    """Images per second of GRnet and of two bare ResNet-18 passes, forward in bfloat16."""
    found = {}
    for size in scale.gpu_sizes:
        model = build_model("grnet", 2, size).eval().to(device, memory_format=torch.channels_last)
        images = random_images(scale.gpu_batch, size, device)
        with torch.inference_mode(), autocast(device, "bf16"):
            arms: dict[str, Callable[[], object]] = {
                "two_backbones": lambda model=model, images=images: two_passes(model, images),
                "grnet": lambda model=model, images=images: model(images),
            }
            seconds = medians(arms, 3 * scale.rounds, clock)
        found[f"size_{size}"] = {
            "grnet_per_second": len(images) / seconds["grnet"],
            "two_backbones_per_second": len(images) / seconds["two_backbones"],
            "grnet_over_two_backbones": seconds["grnet"] / seconds["two_backbones"],
        }
        say(f"GPU, {size}: " + ", ".join(f"{k} {v:.2f}" for k, v in found[f"size_{size}"].items()))
    return found


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--device", default="auto", help="of the detectors' figures (default: a GPU where there is one)"
    )
    parser.add_argument("--threads", type=int, default=None, help="of the CPU (default: torch's)")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--models", nargs="*", default=None, metavar="NAME", help="detectors (default: all)")
    parser.add_argument("--methods", nargs="*", choices=list(PAIRS), default=list(PAIRS), help="default: all")
    parser.add_argument("--quick", action="store_true", help="tiny images, two rounds: does it run at all?")
    given = parser.parse_args(arguments)
    base = QUICK if given.quick else FULL
    scale = Scale(**(asdict(base) | ({} if given.rounds is None else {"rounds": given.rounds})))
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    cpu, device = torch.device("cpu"), resolve_device(given.device)
    figures: dict[str, Any] = dict(measure_grnet(scale, cpu, Clock(cpu)))
    figures["window_sums"] = measure_window_sums(scale, cpu, Clock(cpu))
    names = model_names() if given.models is None else given.models
    clock = Clock(device)
    figures["detectors"] = {name: measure_detector(name, scale, device, clock) for name in names}
    figures["methods"] = measure_methods(
        {name: PAIRS[name] for name in given.methods}, scale.size, scale.detector_batch, scale.rounds // 2, device
    )
    figures["gpu"] = measure_gpu(scale, device, clock) if device.type == "cuda" else None
    figures |= {
        "scale": asdict(scale),
        "device": device_label(device),
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
    }
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
