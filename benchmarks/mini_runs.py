"""Trainings and evaluations on one mini data set, each in a process of its own, with a record of every finished run."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from mini_detectors_page import METRICS, Line, Value
from mini_detectors_records import Record, Records, video_scores
from sklearn.metrics import roc_curve

from dfbench.evaluation.run import open_run
from dfbench.manifest.manifest import Manifest
from dfbench.metrics import SeedDifference, seed_difference
from dfbench.models.card import card_path, read_card
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import MetricValue, RunResult
from dfbench.versions import library_versions


@dataclass(frozen=True)
class Training:
    """One training with one seed.

    Attributes:
        model: registered detector.
        seed: of the training.
        method: added training method; empty: the detector's own.
        words: further words of the command line.
        compared: whether the scores of its test videos are kept, for comparisons.
    """

    model: str
    seed: int
    method: str = ""
    words: tuple[str, ...] = ()
    compared: bool = False

    @property
    def name(self) -> str:
        """Name of the detector in files and tables."""
        return f"{self.model}-{self.method}" if self.method else self.model

    def command(self) -> list[str]:
        """Return the words of ``dfbench train`` that this training adds."""
        return ["--seed", str(self.seed), *(["--method", self.method] if self.method else []), *self.words]


@dataclass(frozen=True)
class Bench:
    """Where everything lies and what a run must be made of to be taken."""

    work: Path
    protocol: Protocol
    protocol_name: str
    manifest: Path
    manifest_hash: str
    recipe_hash: str
    device: str
    keep_weights: bool
    records: Records

    def run_folder(self, training: Training) -> Path:
        """The run of a training."""
        return self.work / "runs" / f"{training.name}-seed{training.seed}"

    def weights(self, training: Training) -> Path:
        """The weights of a training; card and curve beside them stay when they are removed."""
        return self.work / "weights" / f"{training.name}-seed{training.seed}.safetensors"

    def trained(self, training: Training) -> bool:
        """Whether weights are there, made of the same protocol, manifest, seed and version."""
        weights = self.weights(training)
        if not (weights.is_file() and card_path(weights).is_file()):
            return False
        return self._fits(read_card(weights).model_dump(mode="json"), training)

    def _fits(self, card: dict[str, Any], training: Training) -> bool:
        found = [(card.get("protocol") or {}).get("hash"), *(m["hash"] for m in card.get("manifests", ()))]
        found += [card.get("seed"), card.get("versions", {}).get("dfbench")]
        return found == [self.protocol.hash, self.manifest_hash, training.seed, library_versions()["dfbench"]]

    def result(self, training: Training) -> RunResult | None:
        """The finished run, if it is there and was made of the same protocol, manifest, seed and version."""
        file = self.run_folder(training) / "result.json"
        if not file.is_file():
            return None
        found = RunResult.model_validate_json(file.read_text("utf-8"))
        return found if self._fits(found.weights.card if found.weights else {}, training) else None

    def identity(self, training: Training) -> dict[str, Any]:
        """Return what a record must be made of to be taken.

        The manifest's own hash is not part of it: mini's pixels differ in their last digits between kinds of CPU.
        """
        added = {"words": list(training.words)} if training.words else {}
        return {
            "model": training.name,
            "seed": training.seed,
            "protocol": self.protocol.hash,
            "recipe": self.recipe_hash,
            "dfbench": library_versions()["dfbench"],
        } | added

    def record(self, training: Training) -> Record | None:
        """The record of a finished run, if there is one or it can be made from the run."""
        identity = self.identity(training)
        found = self.records.read(identity)
        if found is not None and not (training.compared and found.scores is None):
            return found
        if self.result(training) is None:
            return None
        scores = open_run(self.run_folder(training)).scores_table
        compared = video_scores(scores, "c23") if training.compared else None
        made = Record(identity, self.manifest_hash, read_line(self, training), test_videos(self, training), compared)
        self.records.write(made)
        return made


def make_bench(
    work: Path, protocol: Protocol, manifest: Manifest, records: Path | None, *, device: str, keep_weights: bool
) -> Bench:
    """Return where the runs on a manifest lie.

    Args:
        work: folder for weights and runs.
        protocol: a registered protocol.
        manifest: prepared for it.
        records: folder of the records; default: in ``work``.
        device: where the detectors run.
        keep_weights: whether weights are kept after their evaluation.
    """
    info = manifest.info
    store = Records(records or work / "records")
    return Bench(work, protocol, protocol.name, manifest.path, info.hash, info.recipe_hash, device, keep_weights, store)


def run(bench: Bench, training: Training) -> str:
    """Train and evaluate; returns what went wrong, or nothing."""
    if bench.record(training) is not None:
        return ""
    weights, name = bench.weights(training), f"{training.name}-seed{training.seed}"
    common = ["--model", training.model, "--protocol", bench.protocol_name, "--manifest", str(bench.manifest)]
    common += ["--device", bench.device, "-q"]
    start = time.monotonic()
    steps = [
        ["evaluate", *common, "--weights", str(weights), "--out", str(bench.run_folder(training)), "--overwrite"],
    ]
    if not bench.trained(training):
        steps.insert(0, ["train", *common, *training.command(), "--out", str(weights)])
    log = bench.work / "logs" / f"{name}.log"
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
            return f"{name}: dfbench {words[0]} ended with {done.returncode}, see {log}"
    bench.record(training)
    if not bench.keep_weights:
        weights.unlink()
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return ""


def run_all(bench: Bench, trainings: Sequence[Training], jobs: int) -> list[Record]:
    """Run trainings side by side; returns their records, or ends the program with what went wrong."""
    with ThreadPoolExecutor(jobs) as pool:
        faults = [fault for fault in pool.map(lambda training: run(bench, training), trainings) if fault]
    if faults:
        raise SystemExit("\n".join(faults))
    found = [record for training in trainings if (record := bench.record(training)) is not None]
    assert len(found) == len(trainings)
    return found


def read_line(bench: Bench, training: Training) -> Line:
    """The figures of a finished run."""
    result = bench.result(training)
    assert result is not None
    with bench.weights(training).with_suffix(".curve.csv").open(newline="", encoding="utf-8") as lines:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(lines))
    subsets = sorted({m.subset for m in result.metrics})
    values = {f"{m} {s}": _find(result.metrics, name, s) for m, name in METRICS.items() for s in subsets}
    scores = open_run(bench.run_folder(training)).scores_table
    values |= {f"best {s}": Value(best_balanced_accuracy(scores, s), None, None) for s in subsets}
    chosen = result.selection
    return Line(training.name, training.seed, chosen["epoch"], chosen["value"], round(seconds / 60, 1), values)


def _find(metrics: Sequence[MetricValue], name: str, subset: str) -> Value:
    found = [m for m in metrics if (m.name, m.subset, m.manipulation) == (name, subset, "all")]
    assert len(found) == 1
    assert found[0].value is not None
    return Value(found[0].value, found[0].low, found[0].high)


def best_balanced_accuracy(scores: pa.Table, subset: str) -> float:
    """Return the largest balanced accuracy of the videos of a subset over all thresholds."""
    rows = scores.filter(pc.and_(pc.equal(scores["subset"], subset), pc.is_valid(scores["score"]))).to_pandas()
    videos = rows.groupby("media_id").agg(label=("label", "first"), score=("score", "mean"))
    false, true, _ = roc_curve(videos.label, videos.score)
    return float(((true + 1 - false) / 2).max())


def difference(records: Sequence[Record], names: tuple[str, str], failure_policy: str) -> SeedDifference:
    """Return the difference of the mean video AUC of two detectors on c23, first minus second."""
    ours, theirs = ([r.scores for r in records if r.line.model == name and r.scores is not None] for name in names)
    return seed_difference(ours, theirs, METRICS["auc"], failure_policy=failure_policy)


def test_videos(bench: Bench, training: Training) -> dict[str, tuple[int, int]]:
    """Real and fake test videos of every subset."""
    result = bench.result(training)
    assert result is not None
    counts = [m for m in result.metrics if (m.name, m.manipulation) == (METRICS["auc"], "all")]
    return {m.subset: (m.n - m.n_positive, m.n_positive) for m in counts}
