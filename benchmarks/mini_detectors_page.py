"""The page that ``benchmarks/mini_detectors.py`` writes: what was measured, every run, means over the seeds, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfbench.metrics import SeedDifference
from dfbench.protocols.protocol import Protocol
from dfbench.versions import library_versions

METRICS = {"auc": "auc.video.mean", "acc": "acc.video.mean", "bacc": "bacc.video.mean", "eer": "eer.video.mean"}
TITLES = {"auc": "AUC", "acc": "ACC", "bacc": "bACC", "best": "best bACC", "eer": "EER"}


@dataclass(frozen=True)
class Value:
    """A metric of one run with its interval over scene groups."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """One finished run in figures.

    ``values`` maps ``metric subset`` to its value; the metric ``best`` is the balanced accuracy at the threshold that
    is best for the test videos themselves: how much a threshold from validation data loses.
    """

    model: str
    seed: int
    epoch: int
    validation: float | None
    train_minutes: float
    values: dict[str, Value]


@dataclass(frozen=True)
class Setting:
    """What all runs share: the protocol, the seed of the data set, the device, and how many test videos there are.

    ``videos`` maps a subset to its real and fake videos. ``earlier`` tells of measurements before this one;
    ``manifests`` is the number of manifests of the same data set, made on different kinds of CPU.
    """

    protocol: Protocol
    mini_seed: int
    device: str
    videos: dict[str, tuple[int, int]]
    earlier: tuple[str, ...] = ()
    manifests: int = 1


def page(lines: Sequence[Line], setting: Setting, against_backbone: SeedDifference | None = None) -> str:
    """Return the result as a documentation page.

    Args:
        lines: every run.
        setting: what they share.
        against_backbone: video AUC of GRnet minus that of ResNet-18 on c23, each the mean over its seeds; None where
            one of them was not run.
    """
    return "\n".join(
        [*_head(setting), *_means(lines, setting), *_backbone(against_backbone), *_runs(lines, setting), ""]
    )


def _head(setting: Setting) -> list[str]:
    rules, recipe, versions = setting.protocol, setting.protocol.training, library_versions()
    subsets = sorted(setting.videos)
    real, fake = setting.videos[subsets[0]]
    length = f"{recipe.epochs} epochs of at most {recipe.samples_per_epoch} crops"
    if recipe.compute is not None:
        length += f" and {recipe.compute:.3g} multiply-adds in the forward passes of all epochs"
    return [
        "# Detectors on mini",
        "",
        "Written by `python benchmarks/mini_detectors.py`; do not edit by hand. "
        f"dfbench {versions['dfbench']}, torch {versions['torch']}, device {setting.device}, one thread a process.",
        "",
        "## What this is, and what it is not",
        "",
        f"* Every detector is trained from random weights on the invented faces of mini, {length}, at "
        f"{rules.crops.size} pixels, by the recipe of protocol `{rules.name}` (version {rules.version}, hash "
        f"`{rules.hash[:12]}`). The recipe was fixed on validation data of other people beforehand, epoch and decision "
        "threshold are chosen on validation data, and every run was tested once.",
        f"* The people are those of mini seed {setting.mini_seed}, which was written down before the recipe was "
        "chosen; nothing was chosen on them.",
        *[
            f"* The runs were made on {setting.manifests} kinds of CPU; their images differ in the last digits."
            for _ in range(setting.manifests > 1)
        ],
        *(f"* Earlier measurement: {text}" for text in setting.earlier),
        "* **It is no ground for ranking detectors.** The recipe is a small part of any published training, without "
        "the pretrained weights that most of these detectors were published with; the published input size of many "
        "is another; the forgeries are programmed, and their traces need not be those of real forgeries. A detector "
        "near 0.5 here has learnt nothing in so short a time, which says nothing about what it can do.",
        "* What it shows: every detector runs end to end, learns or does not learn under one short recipe, and how "
        "far seeds and the choice of test people move a number. Two detectors whose intervals overlap are not told "
        "apart.",
        f"* Training is on c23 alone. The test has {real} real and {fake} fake videos in each of "
        f"{' and '.join(subsets)}: calling everything fake has an accuracy of {max(real, fake) / (real + fake):.3f}, a "
        "balanced accuracy and AUC of 0.5.",
        "",
    ]


def _means(lines: Sequence[Line], setting: Setting) -> list[str]:
    subsets = sorted(setting.videos)
    heads = ["detector", "seeds", *(f"{TITLES[m]} {s}" for s in subsets for m in TITLES), "training, minutes"]
    text = [
        "## Means over seeds",
        "",
        "Mean (smallest-largest over the seeds), video level, mean of the frames' P(fake). ACC and bACC are those at "
        "the threshold that was chosen on validation data, best bACC at the best threshold for the test videos. In the "
        "order of their names.",
        "",
        *table_head(heads),
    ]
    for model in sorted({line.model for line in lines}):
        own = [line for line in lines if line.model == model]
        cells = [spread_cell([line.values[f"{m} {s}"].value for line in own]) for s in subsets for m in TITLES]
        minutes = f"{np.mean([line.train_minutes for line in own]):.1f}"
        text.append(row([model, str(len(own)), *cells, minutes]))
    return [*text, ""]


def _backbone(found: SeedDifference | None) -> list[str]:
    if found is None:
        return []
    return [
        "## GRnet and its backbone alone",
        "",
        f"Video AUC on c23 of `grnet` ({found.runs[0]} seeds) minus that of `resnet18` ({found.runs[1]} seeds): "
        f"{found.value:+.3f}, standard error {found.cluster_error:.3f} over scene groups and {found.seed_error:.3f} "
        f"over trainings, p = {found.p:.3f} (t test of the means on the same videos).",
        "",
    ]


def _runs(lines: Sequence[Line], setting: Setting) -> list[str]:
    subsets = sorted(setting.videos)
    text = [
        "## Every run",
        "",
        "Video AUC with its 95 % interval over scene groups, the chosen epoch and its validation value.",
        "",
        *table_head(["detector", "seed", "epoch", "validation", *(f"AUC {s}" for s in subsets)]),
    ]
    for line in sorted(lines, key=lambda line: (line.model, line.seed)):
        validation = "" if line.validation is None else f"{line.validation:.3f}"
        cells = [interval_cell(line.values[f"auc {s}"]) for s in subsets]
        text.append(row([line.model, str(line.seed), str(line.epoch), validation, *cells]))
    return text


def table_head(heads: Sequence[str]) -> list[str]:
    """Return the first two lines of a Markdown table."""
    return [row(heads), "| --- " * len(heads) + "|"]


def row(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def spread_cell(values: Sequence[float]) -> str:
    """Return the mean, and the smallest and largest of values over seeds."""
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def interval_cell(value: Value) -> str:
    """Return a value with its interval."""
    bounds = "no interval" if value.low is None or value.high is None else f"{value.low:.3f}-{value.high:.3f}"
    return f"{value.value:.3f} ({bounds})"
