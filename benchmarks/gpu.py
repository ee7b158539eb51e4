"""What GRnet costs on a GPU, and whether the loader keeps up: one script of at most ten minutes.

Usage: python benchmarks/gpu.py [--device auto|cpu|cuda[:N]] [--seconds 12] [--budget 570] [--json FILE] [--page FILE]
       python benchmarks/gpu.py --quick        # a smoke test, also on a CPU

For crops of 128 and 224 pixels, bfloat16 autocast on a GPU (float32 on a CPU), images per second of

* the loader alone: PNG files to batches on the device, with the number of worker processes that dfbench chooses;
* inference and training (forward, backward, a step of Adam) of the two bare ResNet-18 passes inside GRnet, and of
  GRnet, on a batch that is already on the device;
* inference and training of GRnet fed by the loader, and inference of the compiled GRnet.

Each arm runs for ``--seconds`` after a warm-up. Arms that would end after ``--budget`` seconds are skipped and printed
as such. Random weights, synthetic images, no augmentation.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dfbench.evaluation.inference import COMPILER, CropFiles, to_input
from dfbench.evaluation.loader import image_loader, worker_count
from dfbench.media.images import encode_png
from dfbench.models.build import build_model
from dfbench.models.device import autocast, device_label, resolve_device
from dfbench.models.interface import loss_of


@dataclass(frozen=True)
class Scale:
    """How much is measured; sizes in pixels, batches in images."""

    sizes: tuple[int, ...]
    batch: int
    seconds: float
    files: int
    warm_up: int = 3


class Rate:
    """Measures images per second of a step, unless the time budget is used up."""

    def __init__(self, device: torch.device, scale: Scale, budget: float) -> None:
        self.device, self.scale = device, scale
        self.end = time.monotonic() + budget

    def __call__(self, name: str, step: Callable[[], int]) -> float | None:
        """Repeat a step, which returns its number of images."""
        if time.monotonic() + self.scale.seconds > self.end:
            print(f"{name}: skipped, the time is used up", flush=True)
            return None
        for _ in range(self.scale.warm_up):
            step()
        self._wait()
        begin, done = time.perf_counter(), 0
        while time.perf_counter() - begin < self.scale.seconds:
            done += step()
        self._wait()
        rate = done / (time.perf_counter() - begin)
        print(f"{name}: {rate:.0f} images/s", flush=True)
        return rate

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def synthetic_files(size: int, count: int) -> list[bytes]:
    """PNG files of smooth random images with a little noise, about half of their decoded size."""
    import cv2

    rng = np.random.default_rng(0)
    files = []
    for _ in range(count):
        image = cv2.resize(rng.integers(0, 256, (12, 12, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
        files.append(encode_png(np.clip(image + rng.normal(0, 0.6, image.shape), 0, 255).astype(np.uint8)))
    return files


def endless(size: int, scale: Scale, device: torch.device, workers: int) -> Iterator[Tensor]:
    """Batches of the loader on the device, without end."""
    files = synthetic_files(size, scale.files)
    images = CropFiles([files[i % len(files)] for i in range(scale.batch * 200)])
    loader = image_loader(images, device, workers=workers, batch_size=scale.batch)
    while True:
        for batch, _ in loader:
            yield to_input(batch, device)


def trainer(network: nn.Module, loss: Callable[[Tensor], Tensor], device: torch.device, precision: str) -> Any:
    """A training step: forward, backward, Adam."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step(images: Tensor) -> int:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision):
            value = loss(images)
        value.backward()
        optimizer.step()
        return len(images)

    return step


def scorer(call: Callable[[Tensor], object], device: torch.device, precision: str) -> Callable[[Tensor], int]:
    """An inference step."""

    def step(images: Tensor) -> int:
        with torch.inference_mode(), autocast(device, precision):
            call(images)
        return len(images)

    return step


def measure(size: int, rate: Rate, workers: int) -> dict[str, float | None]:
    """Images per second of all arms at one size."""
    device, scale = rate.device, rate.scale
    precision = "bf16" if device.type == "cuda" else "fp32"
    batches = endless(size, scale, device, workers)
    fixed = next(batches)
    targets = torch.arange(len(fixed), device=device) % 2
    model: Any = build_model("grnet", 2, size).to(device, memory_format=torch.channels_last)

    def bare(images: Tensor) -> Tensor:
        return torch.cat((model.rgb(images), model.residual(images)))

    found = {"loader": rate(f"loader alone, {size}", lambda: len(next(batches)))}
    model.eval()
    score, score_bare = scorer(model, device, precision), scorer(bare, device, precision)
    found["two_backbones_inference"] = rate(f"two backbones, inference, {size}", lambda: score_bare(fixed))
    found["grnet_inference"] = rate(f"GRnet, inference, {size}", lambda: score(fixed))
    found["grnet_inference_loader"] = rate(f"GRnet with the loader, inference, {size}", lambda: score(next(batches)))
    model.train()
    train = trainer(model, lambda images: loss_of(model, model(images), targets), device, precision)
    train_bare = trainer(model, lambda images: bare(images).float().square().mean(), device, precision)
    found["two_backbones_training"] = rate(f"two backbones, training, {size}", lambda: train_bare(fixed))
    found["grnet_training"] = rate(f"GRnet, training, {size}", lambda: train(fixed))
    found["grnet_training_loader"] = rate(f"GRnet with the loader, training, {size}", lambda: train(next(batches)))
    if device.type == "cuda":
        model.eval()
        model.compile(backend=COMPILER)
        found["grnet_compiled_inference"] = rate(f"GRnet compiled, inference, {size}", lambda: score(fixed))
        found["memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    return found


def page(figures: dict[str, Any]) -> str:
    """The figures as a Markdown page."""
    sizes = figures["sizes"]
    names = list(next(iter(sizes.values())))
    lines = [
        "# GRnet on a GPU",
        "",
        f"Measured by `benchmarks/gpu.py` on {figures['device']}, {figures['workers']} worker processes, "
        f"batches of {figures['batch']}. Images per second.",
        "",
        "| | " + " | ".join(f"{size} pixels" for size in sizes) + " |",
        "|---|" + "---|" * len(sizes),
    ]
    for name in names:
        cells = ("skipped" if v is None else f"{v:.1f}" for v in (found.get(name) for found in sizes.values()))
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each arm")
    parser.add_argument("--budget", type=float, default=570.0, help="seconds of all arms together")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--json", type=Path, help="write the figures")
    parser.add_argument("--page", type=Path, help="write them as a page")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    given = parser.parse_args(arguments)
    device = resolve_device(given.device)
    scale = Scale((128, 224), given.batch, given.seconds, 1000)
    if given.quick:
        scale = Scale((64,), 2, 0.01, 8, warm_up=1)
    workers = worker_count(given.workers, device)
    rate = Rate(device, scale, given.budget)
    figures = {
        "device": device_label(device),
        "torch": torch.__version__,
        "workers": workers,
        "batch": scale.batch,
        "sizes": {str(size): measure(size, rate, workers) for size in scale.sizes},
    }
    print(page(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    if given.page:
        given.page.write_text(page(figures), "utf-8")
    return figures


if __name__ == "__main__":
    main(sys.argv[1:])
