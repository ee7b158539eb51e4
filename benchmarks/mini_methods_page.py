"""The page that ``benchmarks/mini_methods.py`` writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mini_detectors_page import Line, interval_cell, row, spread_cell, table_head
from scipy.stats import t as student

from dfbench.metrics import SeedDifference
from dfbench.protocols.protocol import Protocol
from dfbench.report.formats import p_text
from dfbench.versions import library_versions


@dataclass(frozen=True)
class Comparison:
    """A method against its backbone.

    Attributes:
        name: of the method.
        own: its runs.
        plain: those of the backbone.
        against: video AUC on c23, method minus backbone.
        mean: 95 % interval of the method's mean video AUC on c23, over scene groups and trainings.
    """

    name: str
    own: Sequence[Line]
    plain: Sequence[Line]
    against: SeedDifference
    mean: tuple[float, float]


def interval(found: SeedDifference) -> tuple[float, float]:
    """Return the 95 % interval of a difference: both errors, Student's t with its degrees of freedom."""
    half = float(student.ppf(0.975, found.df)) * math.hypot(found.cluster_error, found.seed_error)
    return found.value - half, found.value + half


def verdict(one: Comparison) -> str:
    """Return what a comparison says: against the backbone, and against chance."""
    low, high = interval(one.against)
    found = "is better than its backbone" if low > 0 else "is worse than its backbone" if high < 0 else ""
    against = (
        f"{found}: the interval of the difference excludes 0"
        if found
        else ("does not differ from its backbone: the interval of the difference contains 0")
    )
    chance = "above" if one.mean[0] > 0.5 else "not above"
    return f"`{one.own[0].model}` {against}. Its mean AUC is {chance} chance by its interval."


def page(comparisons: Sequence[Comparison], protocol: Protocol, mini_seed: int, device: str) -> str:
    """Return the result as a documentation page."""
    versions = library_versions()
    text = [
        "# Training methods on mini",
        "",
        f"Written by `python benchmarks/mini_methods.py`; do not edit by hand. dfbench {versions['dfbench']}, torch "
        f"{versions['torch']}, device {device}, one thread a process.",
        "",
        f"* Protocol `{protocol.name}` (version {protocol.version}, hash `{protocol.hash[:12]}`), people of mini seed "
        f"{mini_seed}, {protocol.crops.size} pixels, random initial weights: see [Detectors on mini]"
        "(mini-detectors.md), with what such figures mean and what they do not. **Invented faces are no ground for "
        "ranking methods.**",
        "* A method and its backbone have the same recipe, seeds and number of steps; steps of a method cost more.",
        "",
        "## Against the backbone",
        "",
        "Video AUC on c23, means (smallest-largest) over the seeds; the difference with its 95 % interval (scene "
        "groups and trainings, t test on the same videos).",
        "",
        *table_head(["method", "AUC", "its interval", "backbone", "AUC", "seeds", "difference", "p"]),
    ]
    for one in comparisons:
        low, high = interval(one.against)
        cells = [spread_cell([line.values["auc c23"].value for line in lines]) for lines in (one.own, one.plain)]
        difference = f"{one.against.value:+.3f} ({low:+.3f} to {high:+.3f})"
        names = one.own[0].model, one.plain[0].model
        mean, p = "{:.3f} to {:.3f}".format(*one.mean), p_text(one.against.p)
        text.append(row([names[0], cells[0], mean, names[1], cells[1], str(len(one.own)), difference, p]))
    text += ["", *(f"* {verdict(one)}" for one in comparisons)]
    subsets = sorted({key.split()[1] for one in comparisons for line in one.own for key in line.values})
    heads = [f"AUC {subset}" for subset in subsets]
    text += [
        "",
        "## Every run",
        "",
        "Video AUC with its 95 % interval over scene groups, the chosen epoch and its validation value. "
        "Minutes are those of the clock; the machine may have done other work.",
        "",
        *table_head(["detector", "seed", "epoch", "validation", *heads, "training, minutes"]),
    ]
    lines = {(line.model, line.seed): line for one in comparisons for line in (*one.own, *one.plain)}
    for line in (lines[key] for key in sorted(lines)):
        validation = "" if line.validation is None else f"{line.validation:.3f}"
        cells = [interval_cell(line.values[f"auc {subset}"]) for subset in subsets]
        text.append(row([line.model, str(line.seed), str(line.epoch), validation, *cells, f"{line.train_minutes:.1f}"]))
    return "\n".join([*text, ""])
