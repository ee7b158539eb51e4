"""Every registered detector on the mini data set by one fixed recipe, with several seeds: the table of results.

    python benchmarks/mini_detectors.py --work DIR [--jobs 2] [--markdown docs/results/mini-detectors.md] [--json FILE]

The recipe is that of the protocol ``mini``; nothing is chosen here. The data set is generated and prepared once in
DIR; then every detector is trained and evaluated once for each seed by the commands ``dfbench train`` and ``dfbench
evaluate``, each in a process of its own with one thread. It may be stopped at any time; the same command
resumes: finished runs are kept, and a training resumes from its last stored state. The page is written when every run
is finished.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfbench.models.card import card_path, read_card
from dfbench.models.registry import get_spec, model_names
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import MetricValue, RunResult
from dfbench.versions import library_versions

SEEDS = (7, 8, 9)
METRICS = {"auc": "auc.video.mean", "acc": "acc.video.mean", "bacc": "bacc.video.mean", "eer": "eer.video.mean"}


@dataclass(frozen=True)
class Bench:
    """Where everything lies and what a run must be made of to be taken."""

    work: Path
    protocol: Protocol
    protocol_name: str
    manifest: Path
    manifest_hash: str
    device: str
    keep_weights: bool

    def run_folder(self, model: str, seed: int) -> Path:
        """The run of a detector and seed."""
        return self.work / "runs" / f"{model}-seed{seed}"

    def weights(self, model: str, seed: int) -> Path:
        """The weights of a detector and seed; card and curve beside them stay when they are removed."""
        return self.work / "weights" / f"{model}-seed{seed}.safetensors"

    def trained(self, weights: Path, seed: int) -> bool:
        """Whether weights are there, made of the same protocol, manifest, seed and version."""
        if not (weights.is_file() and card_path(weights).is_file()):
            return False
        return self._fits(read_card(weights).model_dump(mode="json"), seed)

    def _fits(self, card: dict[str, Any], seed: int) -> bool:
        found = [(card.get("protocol") or {}).get("hash"), *(m["hash"] for m in card.get("manifests", ()))]
        found += [card.get("seed"), card.get("versions", {}).get("dfbench")]
        return found == [self.protocol.hash, self.manifest_hash, seed, library_versions()["dfbench"]]

    def result(self, model: str, seed: int) -> RunResult | None:
        """The finished run, if it is there and was made of the same protocol, manifest, seed and version."""
        file = self.run_folder(model, seed) / "result.json"
        if not file.is_file():
            return None
        found = RunResult.model_validate_json(file.read_text("utf-8"))
        return found if self._fits(found.weights.card if found.weights else {}, seed) else None


@dataclass(frozen=True)
class Value:
    """A metric of one run with its bootstrap interval over scene groups."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """One finished run in figures; ``values`` maps ``metric subset`` to its value."""

    model: str
    seed: int
    epoch: int
    validation: float | None
    train_minutes: float
    values: dict[str, Value]


def run(bench: Bench, model: str, seed: int) -> str:
    """Train and evaluate one detector with one seed; returns what went wrong, or nothing."""
    if bench.result(model, seed) is not None:
        return ""
    weights = bench.weights(model, seed)
    common = ["--model", model, "--protocol", bench.protocol_name, "--manifest", str(bench.manifest)]
    common += ["--device", bench.device, "-q"]
    start = time.monotonic()
    steps = [
        ["evaluate", *common, "--weights", str(weights), "--out", str(bench.run_folder(model, seed)), "--overwrite"],
    ]
    if not bench.trained(weights, seed):
        steps.insert(0, ["train", *common, "--seed", str(seed), "--out", str(weights)])
    log = bench.work / "logs" / f"{model}-seed{seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for words in steps:
        with log.open("a", encoding="utf-8") as stream:
            done = subprocess.run(
                [sys.executable, "-m", "dfbench", *words],
                stdout=stream,
                stderr=stream,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=False,
            )
        if done.returncode:
            return f"{model}, seed {seed}: dfbench {words[0]} ended with {done.returncode}, see {log}"
    if not bench.keep_weights:
        weights.unlink()
    print(f"{model} seed {seed}: {time.monotonic() - start:.0f} s", flush=True)
    return ""


def read_line(bench: Bench, model: str, seed: int) -> Line:
    """The figures of a finished run."""
    result = bench.result(model, seed)
    assert result is not None
    with bench.weights(model, seed).with_suffix(".curve.csv").open(newline="", encoding="utf-8") as lines:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(lines))
    subsets = sorted({m.subset for m in result.metrics})
    values = {f"{m} {s}": _find(result.metrics, name, s) for m, name in METRICS.items() for s in subsets}
    chosen = result.selection
    return Line(model, seed, chosen["epoch"], chosen["value"], round(seconds / 60, 1), values)


def _find(metrics: Sequence[MetricValue], name: str, subset: str) -> Value:
    found = [m for m in metrics if (m.name, m.subset, m.manipulation) == (name, subset, "all")]
    assert len(found) == 1
    assert found[0].value is not None
    return Value(found[0].value, found[0].low, found[0].high)


def page(lines: Sequence[Line], bench: Bench, videos: dict[str, tuple[int, int]]) -> str:
    """The result as a documentation page; ``videos`` are the real and fake test videos of every subset."""
    rules = bench.protocol
    recipe = rules.training
    seeds = sorted({line.seed for line in lines})
    subsets = sorted(videos)
    real, fake = videos[subsets[0]]
    majority = max(real, fake) / (real + fake)
    versions = library_versions()
    text = [
        "# Detectors on mini",
        "",
        "Written by `python benchmarks/mini_detectors.py`; do not edit by hand. "
        f"dfbench {versions['dfbench']}, torch {versions['torch']}, device {bench.device}, one thread a process.",
        "",
        "## What this is, and what it is not",
        "",
        f"* Every detector is trained from random weights on the invented faces of mini, {recipe.epochs} epochs of "
        f"{recipe.samples_per_epoch} crops at {rules.crops.size} pixels, by the recipe of protocol `{rules.name}` "
        f"(version {rules.version}, hash `{rules.hash[:12]}`); rates and optimisers are each detector's own. The "
        "recipe was fixed on validation data beforehand, the epoch is chosen on validation data, and every run was "
        "tested once.",
        "* **It is no ground for ranking detectors.** The recipe is a small part of any published training, without "
        "the pretrained weights that most of these detectors were published with; the published input size of many "
        "is another; the forgeries are programmed, and their traces need not be those of real forgeries. A detector "
        "near 0.5 here has learnt nothing in so short a time, which says nothing about what it can do.",
        "* What it shows: every detector runs end to end, learns or does not learn under one short recipe, and how "
        "far seeds and the choice of test people move a number. The intervals are wide because the test people are "
        "few; two detectors whose intervals overlap are not told apart.",
        f"* Training is on c23 alone. The test has {real} real and {fake} fake videos in each of "
        f"{' and '.join(subsets)}: calling everything fake has an accuracy of {majority:.3f}, a balanced accuracy and "
        "AUC of 0.5.",
        "",
        "## Means over seeds",
        "",
        f"Seeds {', '.join(map(str, seeds))}. Mean (smallest-largest over the seeds), video level, mean of the frames' "
        "P(fake), threshold 0.5. In the order of their names.",
        "",
    ]
    heads = ["detector", *(f"{METRIC_TITLES[m]} {s}" for s in subsets for m in METRICS), "training, minutes"]
    text += ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for model in sorted({line.model for line in lines}):
        own = [line for line in lines if line.model == model]
        cells = [_spread([line.values[f"{m} {s}"].value for line in own]) for s in subsets for m in METRICS]
        minutes = f"{np.mean([line.train_minutes for line in own]):.1f}"
        text.append(f"| {model} | " + " | ".join(cells) + f" | {minutes} |")
    text += [
        "",
        "## Every run",
        "",
        f"Video AUC with its 95 % interval ({rules.metrics.resamples} bootstrap draws over scene groups), the chosen "
        "epoch and its validation value.",
        "",
    ]
    heads = ["detector", "seed", "epoch", "validation", *(f"AUC {s}" for s in subsets)]
    text += ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for line in sorted(lines, key=lambda line: (line.model, line.seed)):
        validation = "" if line.validation is None else f"{line.validation:.3f}"
        cells = [_interval(line.values[f"auc {s}"]) for s in subsets]
        text.append(f"| {line.model} | {line.seed} | {line.epoch} | {validation} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


METRIC_TITLES = {"auc": "AUC", "acc": "ACC", "bacc": "bACC", "eer": "EER"}


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def _interval(value: Value) -> str:
    bounds = "no interval" if value.low is None or value.high is None else f"{value.low:.3f}-{value.high:.3f}"
    return f"{value.value:.3f} ({bounds})"


def test_videos(bench: Bench, model: str, seed: int) -> dict[str, tuple[int, int]]:
    """Real and fake test videos of every subset."""
    result = bench.result(model, seed)
    assert result is not None
    counts = [m for m in result.metrics if (m.name, m.manipulation) == (METRICS["auc"], "all")]
    return {m.subset: (m.n - m.n_positive, m.n_positive) for m in counts}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and runs (kept)")
    parser.add_argument("--models", nargs="+", default=list(model_names()), help="default: every registered detector")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=1, help="detectors trained side by side, one thread each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-weights", action="store_true", help="they are removed after their evaluation otherwise")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for model in options.models:
        get_spec(model)
    protocol = load_protocol("mini")
    manifest = prepare(
        "mini", options.work / "data", options.work / "manifest", protocol=protocol, jobs=options.jobs, quiet=True
    )
    place, digest = manifest.path, manifest.info.hash
    bench = Bench(options.work, protocol, protocol.name, place, digest, options.device, options.keep_weights)
    wanted = [(model, seed) for seed in options.seeds for model in options.models]
    with ThreadPoolExecutor(options.jobs) as pool:
        faults = [fault for fault in pool.map(lambda pair: run(bench, *pair), wanted) if fault]
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    lines = [read_line(bench, model, seed) for model, seed in wanted]
    text = page(lines, bench, test_videos(bench, *wanted[0]))
    print(text)
    if options.markdown:
        write(options.markdown, text)
    if options.json:
        report = {
            "protocol": protocol.hash,
            "manifest": bench.manifest_hash,
            "versions": library_versions(),
            "runs": [asdict(line) for line in lines],
        }
        write(options.json, json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
