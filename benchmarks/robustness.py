"""GRnet, ResNet-18 and Meso-4, trained on clean crops of mini, under every condition of the suite robustness/v1.

    python benchmarks/robustness.py --work DIR [--results docs/results] [--jobs N] [--device auto]

Generates and prepares mini, trains the detectors by protocol ``robustness/mini`` (the recipe of protocol ``mini``,
fixed before any of them was tested under a condition), evaluates them, and writes ``robustness.md`` (tables),
``robustness.csv`` (every condition) and ``robustness.svg`` (curves). What is finished in DIR is not done again: after
an interruption rerunning the same command resumes. Mini checks the pipeline end to end; do not rank detectors on it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dfbench.evaluation.run import Run, open_runs
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.report.figures.robustness import curves_figure
from dfbench.report.figures.svg import INK
from dfbench.report.robustness import (
    SUMMARY_HEAD,
    RunRobustness,
    interval_notes,
    robustness_csv,
    robustness_summaries,
    summary_cells,
    unavailable_notes,
)
from dfbench.report.tables import percent
from dfbench.schema.result import MetricValue
from dfbench.workflow import evaluate, train

PROTOCOL = "robustness/mini"
DETECTORS = ("grnet", "resnet18", "meso4")
SHOWN = ("auc.video.mean", "acc.video.mean")


def make_runs(work: Path, jobs: int | None, device: str) -> list[Path]:
    """The run folders of the detectors."""
    root = work / "data"
    manifest = prepare("mini", root, work / "manifest", protocol=PROTOCOL, workers=jobs).path
    folders = []
    for name in DETECTORS:
        folder = work / "runs" / name
        if not (folder / "result.json").is_file():
            weights = work / "weights" / f"{name}.safetensors"
            if not weights.is_file():
                say(f"train {name}")
                train(name, PROTOCOL, [manifest], weights, device=device)
            say(f"evaluate {name}")
            evaluate(name, PROTOCOL, [manifest], weights, folder, roots={"mini": root}, device=device)
        folders.append(folder)
    return folders


def page(runs: Sequence[Run]) -> str:
    """The results page as Markdown."""
    found = [one for one in robustness_summaries(runs) if one.found.name in SHOWN]
    protocol = load_protocol(PROTOCOL)
    conditions = len(found[0].found.cells)
    lines = [
        "# Three detectors under the suite robustness/v1, on mini",
        "",
        "Made by `python benchmarks/robustness.py`; do not edit. **mini: invented faces**, no stand-in for real "
        "forgeries, no ground for ranking detectors.",
        "",
        f"Protocol `{protocol.name}` version {protocol.version} ({protocol.hash[:12]}): trained on clean crops of mini "
        f"c23, tested on mini c23, {protocol.crops.size} pixels, clean and under {conditions} conditions. Recipes were "
        "fixed before any test. Percent. Every family of degradations counts alike in the mean.",
        "",
        " ".join(interval_notes(found)),
        "",
        *_table(SUMMARY_HEAD, (summary_cells(one, "–") for one in found)),
        "",
        *_what_it_says(runs),
        "",
        "![curves](robustness.svg)",
        "",
        f"{SHOWN[0]} of every family, the mean over its severities and the hardest (severity 5 for most):",
        "",
        *_table(*_families([one for one in found if one.found.name == SHOWN[0]])),
        "",
        "Every condition: [robustness.csv](robustness.csv).",
        *unavailable_notes(runs),
        "",
        "| detector | weights | selected on | versions |",
        "|---|---|---|---|",
        *(_origin(run) for run in runs),
    ]
    return "\n".join(lines) + "\n"


def _what_it_says(runs: Sequence[Run]) -> list[str]:
    """What a reader should know before reading the tables; clean values with their intervals."""
    clean = [(run.label, _clean_value(run)) for run in runs]
    _, counts = clean[0]
    real, fake = counts.n - counts.n_positive, counts.n_positive
    majority = 100 * max(real, fake) / counts.n
    values = ", ".join(f"{label} {percent(m, span='–')}" for label, m in clean)
    blind = [label for label, m in clean if m.low is not None and m.low <= 0.5]
    return [
        f"* The test has {real} real and {fake} fake videos: one answer for all has an accuracy of {majority:.1f} at "
        "best and an AUC of 50. The accuracy is that of the threshold chosen on clean validation data; under a "
        "condition it moves with the bias of the scores as much as with what they tell apart, and can rise where the "
        "AUC falls.",
        f"* Clean {SHOWN[0]} with its 95 % interval: {values}. The recipe is short, and from random weights.",
        *(
            f"* {label} does not tell real from fake on clean crops to begin with: its flat curve is not robustness."
            for label in blind
        ),
        "* What it shows: how far the suite's severities reach, and what detectors rest on that learnt from the same "
        "invented forgeries. What it does not show: which detector is more robust on films.",
    ]


def _clean_value(run: Run) -> MetricValue:
    found = [m for m in run.result.metrics if (m.name, m.condition, m.manipulation) == (SHOWN[0], "clean", "all")]
    assert len(found) == 1
    return found[0]


def _families(found: Sequence[RunRobustness]) -> tuple[list[str], Iterator[list[str]]]:
    head = ["family"] + [f"{one.label} {what}" for one in found for what in ("mean", "lowest")]

    def lines() -> Iterator[list[str]]:
        for number, family in enumerate(found[0].found.families):
            line = [family.family]
            for one in found:
                lowest = min(c.value for c in one.found.cells if c.family == family.family and c.value is not None)
                line += [f"{100 * one.found.families[number].value:.1f}", f"{100 * lowest:.1f}"]
            yield line

    return head, lines()


def _table(head: Sequence[str], lines: Iterator[Sequence[str]]) -> list[str]:
    rows = [list(head), ["---"] * len(head), *map(list, lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _origin(run: Run) -> str:
    result = run.result
    weights = result.weights.sha256[:12] if result.weights else "none"
    versions = ", ".join(f"{name} {result.versions[name]}" for name in ("torch", "numpy") if name in result.versions)
    chosen = f"{result.selection.get('metric')} on {result.selection.get('split')}"
    return f"| {run.label} | {weights} | {chosen} | {versions} |"


def standalone(svg: str) -> str:
    """A figure of the report as a file of its own, readable on light and dark pages."""
    return svg.replace("currentColor", INK).replace("<svg ", '<svg style="background:white" ', 1) + "\n"


def write(results: Path, runs: Sequence[Run]) -> None:
    """Write the three files."""
    results.mkdir(parents=True, exist_ok=True)
    found = robustness_summaries(runs)
    curves = curves_figure([one for one in found if one.found.name == SHOWN[0]], "robustness", mini=True)
    texts = {
        "robustness.md": page(runs),
        "robustness.csv": robustness_csv(found),
        "robustness.svg": standalone(curves or ""),
    }
    for name, text in texts.items():
        partial = results / f".{name}.part"
        partial.write_text(text, "utf-8")
        os.replace(partial, results / name)
        say(str(results / name))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and runs")
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    parser.add_argument("--jobs", type=int, help="worker processes of prepare; default: one per CPU core")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    write(arguments.results, open_runs(make_runs(arguments.work, arguments.jobs, arguments.device)))


if __name__ == "__main__":
    main()
