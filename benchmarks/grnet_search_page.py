"""What ``benchmarks/grnet_search.py`` has trained, the rule that chooses among it, and the page of the results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfbench.protocols.training_recipe import TrainingRecipe
from dfbench.versions import library_versions

HEADS = ("fused", "rgb", "residual")
RULE = (
    "the largest mean of the fused head over seeds and budgets; a variant whose mean paired difference from it is at "
    "most its standard error is tied, and of tied variants the one nearest to the literal reading is taken (the order "
    "of the rows)."
)


@dataclass(frozen=True, order=True)
class Variant:
    """A detector with the options that are searched; of the yardstick ``resnet18`` the options stay empty."""

    model: str = "grnet"
    norm: str = ""
    scale: bool = False
    residual: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Options of the detector, every searched one by its value."""
        if self.model != "grnet":
            return {}
        return {"residual_norm": self.norm, "afm_scale": self.scale, "afm_residual": self.residual}

    @property
    def name(self) -> str:
        """Name in the page and in file names."""
        added = [word for word, on in (("scale", self.scale), ("residual", self.residual)) if on]
        return "-".join([self.model, *([self.norm] if self.norm else []), *added])


@dataclass(frozen=True)
class Job:
    """One training."""

    variant: Variant
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.variant.name}-steps{self.steps}-seed{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """A finished training in figures; ``auc`` maps a head to its video AUC on the validation data."""

    auc: Mapping[str, float]
    train_loss: float
    cpu_minutes: float
    validation_minutes: float


Outcomes = dict[Job, Outcome]


@dataclass(frozen=True)
class Comparison:
    """A variant next to the best one: its mean, and the paired difference with its standard error."""

    variant: Variant
    mean: float
    below: float
    error: float

    @property
    def tied(self) -> bool:
        """Whether it is within one standard error of the best one."""
        return self.below <= self.error


def choose(outcomes: Outcomes, variants: Sequence[Variant]) -> tuple[Variant, list[Comparison]]:
    """Choose among variants by the rule of the search.

    The best one has the largest mean video AUC of the fused head over seeds and budgets. A variant is tied with it if
    the mean of the paired differences (same seed, same budget) is at most their standard error. Of the best one and
    those tied with it, the first in the given order is chosen: from the literal reading to the most changed one.
    """
    values = {v: {(j.seed, j.steps): o.auc["fused"] for j, o in outcomes.items() if j.variant == v} for v in variants}
    means = {v: float(np.mean(list(found.values()))) for v, found in values.items()}
    best = max(variants, key=lambda v: means[v])  # the first of equal ones
    compared = []
    for v in variants:
        gaps = [values[best][pair] - values[v][pair] for pair in values[best]]
        compared.append(Comparison(v, means[v], float(np.mean(gaps)), standard_error(gaps)))
    return next(c.variant for c in compared if c.tied), compared


def standard_error(values: Sequence[float]) -> float:
    """Standard error of a mean; 0 for a single value.

    >>> standard_error([1.0, 3.0])
    1.0
    """
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def page(
    outcomes: Outcomes,
    stages: Sequence[tuple[str, Sequence[Variant]]],
    recipe: TrainingRecipe,
    precision: str,
    data: str,
) -> str:
    """The result as a documentation page; ``data`` describes the data set in a sentence."""
    versions = library_versions()
    budgets = sorted({job.steps for job in outcomes})
    seeds = ", ".join(map(str, sorted({job.seed for job in outcomes})))
    steps = " and ".join(map(str, budgets))
    text = [
        "# Search of GRnet's options",
        "",
        "Written by `python benchmarks/grnet_search.py`; do not edit by hand. "
        f"dfbench {versions['dfbench']}, torch {versions['torch']}, CPU, one thread a process, {precision}.",
        "",
        "The paper states neither how the residual is normalised nor whether the attention is scaled or has a residual "
        "connection. This page has the validation results on which the defaults rest.",
        "",
        f"* {data} No test data exist in it.",
        f"* Random weights, batches of {recipe.batch_size}, paired sampling, flips, cosine to zero after 10 % warm-up, "
        "optimiser and rate of the detector, batch-norm statistics estimated on training data. Seeds "
        f"{seeds}; {steps} optimiser steps. One validation, after the last step.",
        f"* Video AUC, mean of the frames' P(fake). Rule, fixed beforehand: {RULE}",
        "* **Limits.** The faces are invented and the forgeries programmed; the budgets are a small part of a "
        "published training, which starts from ImageNet weights. The search tells which reading can be learnt from "
        "random weights in a short time, not which one the authors used.",
        "",
    ]
    for title, variants in stages:
        text += [f"## {title}", ""]
        chosen, compared = choose(outcomes, variants)
        text += stage_table(outcomes, budgets, compared)
        if len(variants) > 1:
            text += ["", f"Chosen: **{chosen.name}**."]
        text.append("")
    text += ["## Every training", ""]
    heads = [f"AUC {head}" for head in HEADS]
    text.append("| variant | steps | seed | " + " | ".join(heads) + " | training loss | CPU minutes | validation |")
    text.append("| --- " * (len(heads) + 6) + "|")
    for job, found in sorted(outcomes.items(), key=lambda item: (item[0].variant, item[0].steps, item[0].seed)):
        cells = [f"{found.auc[head]:.3f}" if head in found.auc else "" for head in HEADS]
        cells += [f"{found.train_loss:.3f}", f"{found.cpu_minutes:.1f}", f"{found.validation_minutes:.1f}"]
        text.append(f"| {job.variant.name} | {job.steps} | {job.seed} | " + " | ".join(cells) + " |")
    total = sum(o.cpu_minutes + o.validation_minutes for o in outcomes.values())
    text += [
        "",
        "The training loss of GRnet is the sum over its three heads, averaged over the whole training. "
        f"{len(outcomes)} trainings, {total:.0f} CPU minutes with validation.",
    ]
    return "\n".join(text) + "\n"


def stage_table(outcomes: Outcomes, budgets: Sequence[int], compared: Sequence[Comparison]) -> list[str]:
    """Means and standard errors over the seeds for every budget and head, and the paired difference from the best."""
    columns = [(head, budget) for head in HEADS for budget in budgets]
    titles = [f"{head}, {budget} steps" for head, budget in columns]
    lines = [
        "| variant | " + " | ".join(titles) + " | fused, all | below the best |",
        "| --- " * (len(titles) + 3) + "|",
    ]
    for c in compared:
        cells = []
        for head, budget in columns:
            own = [o for j, o in outcomes.items() if j.variant == c.variant and j.steps == budget]
            found = [o.auc[head] for o in own if head in o.auc]
            cells.append(f"{np.mean(found):.3f} ± {standard_error(found):.3f}" if found else "")
        gap = "best" if c.below == 0 else f"{c.below:.3f} ± {c.error:.3f}{', tied' if c.tied else ''}"
        lines.append(f"| {c.variant.name} | " + " | ".join(cells) + f" | {c.mean:.3f} | {gap} |")
    return lines
