"""What conditions cost: against bare OpenCV, against a detector's evaluation, and a whole suite.

    python benchmarks/degrade.py [--work DIR] [--rounds 9] [--only jp60_me5_over_opencv] [--json FILE] [--quick]

- ``jp60_me5_over_opencv``: images per second of ``apply("JP60+ME5", ...)``, as a multiple of the same three calls of
  OpenCV (encode, decode, blur) without anything around them. The worse of two sizes, 128 and 224; one thread.
- ``condition_overhead``: time that a condition adds to the evaluation of GRnet on a CPU, as a share of it. The worst of
  all degradations that act on crops, each at severity 3.
- ``suite_seconds``: ``evaluate`` of Meso-4 over protocol ``robustness/mini`` (every condition of the suite, mini c23, 4
  frames per clip), with everything that it does from the manifest to ``result.json``. Training is not in it.

The arms of a comparison take turns, and medians are compared. ``--quick`` runs everything on a tiny mini data set, to
see that it runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfbench.degrade import apply, degradation_names, severity_condition

SIZES = (128, 224)
DETECTOR = "grnet"
SUITE_DETECTOR = "meso4"
PROTOCOL = "robustness/mini"


def random_images(size: int, count: int = 64) -> list[np.ndarray]:
    """Soft shapes under grain: about as hard to compress as a face."""
    rng = np.random.default_rng(0)
    shapes = rng.integers(0, 256, (count, size // 16, size // 16, 3), np.uint8)
    soft = [cv2.resize(s, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float64) for s in shapes]
    return [np.clip(s + rng.normal(0, 3, s.shape), 0, 255).astype(np.uint8) for s in soft]


def bare(image: np.ndarray) -> np.ndarray:
    """The OpenCV calls and nothing else."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])
    return cv2.blur(cv2.imdecode(data, cv2.IMREAD_COLOR), (5, 5))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def taking_turns(arms: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of every arm in every round, after one round that warms the caches."""
    measured = [[seconds(arm) for arm in arms] for _ in range(rounds + 1)][1:]
    return [list(column) for column in zip(*measured, strict=True)]


def jp60_me5_over_opencv(rounds: int) -> float:
    """Speed of JP60+ME5 as a multiple of the bare calls' (the worse of two sizes)."""
    cv2.setNumThreads(1)
    ratios = []
    for size in SIZES:
        images = random_images(size)

        def ours(images: list[np.ndarray] = images) -> None:
            for number, image in enumerate(images):
                apply("JP60+ME5", image, f"a/b/c/d#{number:06d}.0")

        def theirs(images: list[np.ndarray] = images) -> None:
            for image in images:
                bare(image)

        own, opencv = taking_turns([ours, theirs], rounds)
        ratios.append(statistics.median(b / a for a, b in zip(own, opencv, strict=True)))
        say(f"{size} pixels: JP60+ME5 at {ratios[-1]:.2f} of the speed of bare OpenCV")
    return min(ratios)


def prepared(work: Path, quick: bool) -> tuple[Path, Path]:
    """Root and manifest of a mini data set; made once in ``work``."""
    from dfbench.mini.settings import MiniSettings
    from dfbench.preparation.prepare import prepare

    settings = MiniSettings(train_pairs=2, val_pairs=2, test_pairs=2) if quick else MiniSettings()
    root = work / "mini"
    return root, prepare("mini", root, work / "manifest", protocol=PROTOCOL, mini=settings).path


def condition_overhead(manifest: Path, rounds: int, most: int = 128) -> dict[str, float]:
    """For every degradation of crops, at severity 3: the time it adds as a share of GRnet's evaluation."""
    import torch
    from torch.utils.data import Subset

    from dfbench.evaluation.dataset import role_data
    from dfbench.evaluation.inference import score_images
    from dfbench.manifest.manifest import open_manifest
    from dfbench.models.build import build_model
    from dfbench.protocols.files import load_protocol

    protocol = load_protocol(PROTOCOL)
    data = role_data(protocol, [open_manifest(manifest)], "test")
    some = range(min(most, len(data.ok)))
    network = build_model(DETECTOR, image_size=protocol.crops.size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stored = Subset(data.held_images, some)
    (whole,) = taking_turns([lambda: score_images(network, stored, torch.device("cpu"))], 3)
    conditions = [c for c in (severity_condition(name, 3) for name in degradation_names()) if c.where == "crop"]
    arms = [read_through(Subset(data.images_under(c, hold=True), some)) for c in conditions]
    plain, *degraded = taking_turns([read_through(stored), *arms], rounds)
    shares = {}
    for condition, times in zip(conditions, degraded, strict=True):
        added = statistics.median(a - b for a, b in zip(times, plain, strict=True))
        shares[condition.name] = added / statistics.median(whole)
    worst = max(shares, key=lambda name: shares[name])
    say(f"{DETECTOR}: {1e3 * statistics.median(whole) / len(some):.1f} ms an image")
    say(f"on top of it: {worst} {shares[worst]:.1%}, the most of all conditions of crops; JP60 {shares['JP60']:.1%}")
    return shares


def read_through(images: Any) -> Callable[[], None]:
    """Read every image of a dataset once."""

    def run() -> None:
        for place in range(len(images)):
            images[place]

    return run


def suite_seconds(root: Path, manifest: Path, work: Path) -> float:
    """Wall-clock seconds of the whole suite."""
    from dfbench.workflow import evaluate, train

    weights = train(SUITE_DETECTOR, PROTOCOL, [manifest], work / "meso4.safetensors", device="cpu", quiet=True)
    with tempfile.TemporaryDirectory(prefix="dfbench-degrade-") as fresh:
        os.environ["XDG_CACHE_HOME"] = fresh  # crops that an earlier run has cut again must not be found
        start = time.perf_counter()
        run = Path(fresh) / "run"
        done = evaluate(SUITE_DETECTOR, PROTOCOL, [manifest], weights, run, roots={"mini": root}, device="cpu")
        spent = time.perf_counter() - start
    conditions = len({value.condition for value in done.result.metrics})
    say(f"{conditions} conditions of {PROTOCOL} with {SUITE_DETECTOR} in {spent:.0f} s")
    return spent


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures: dict[str, Any] = {}
    names = ("jp60_me5_over_opencv", "condition_overhead", "suite_seconds")
    parser.add_argument("--work", type=Path, help="folder for the mini data set; default: a temporary one")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="tiny data, to see that it runs")
    arguments = parser.parse_args()
    wanted = arguments.only or names
    if "jp60_me5_over_opencv" in wanted:
        figures["jp60_me5_over_opencv"] = jp60_me5_over_opencv(arguments.rounds)
    if set(wanted) - {"jp60_me5_over_opencv"}:
        with tempfile.TemporaryDirectory(prefix="dfbench-degrade-") as temporary:
            work = arguments.work or Path(temporary)
            root, manifest = prepared(work, arguments.quick)
            if "condition_overhead" in wanted:
                shares = condition_overhead(manifest, arguments.rounds, 16 if arguments.quick else 128)
                figures["condition_overhead"] = max(shares.values())
                figures["condition_overheads"] = shares
            if "suite_seconds" in wanted:
                figures["suite_seconds"] = suite_seconds(root, manifest, work)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
