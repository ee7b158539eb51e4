"""Every registered detector on the mini data set by one fixed recipe, with several seeds: the table of results.

    python benchmarks/mini_detectors.py --work DIR [--jobs 2] [--markdown docs/results/mini-detectors.md] [--json FILE]
                                        [--records benchmarks/results/mini-detectors]

The recipe is that of the protocol ``mini``, which ``dfbench demo`` uses too; nothing is chosen here. The people are
those of mini seed ``MINI_SEED``. GRnet and its backbone ResNet-18 are trained with two more seeds and compared. The
data set is generated and prepared once in DIR; then every detector is trained and evaluated once for each seed by the
commands ``dfbench train`` and ``dfbench evaluate``, each in a process of its own with one thread. It may be stopped at
any time; the same command resumes: finished runs are kept, and a training resumes from its last stored state. Of every
finished run, a small record is written, with which another machine can go on. The page is written when every run is
finished.
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

import pyarrow as pa
import pyarrow.compute as pc
from mini_detectors_page import METRICS, Line, Setting, Value, page
from mini_detectors_records import Record, Records, video_scores
from sklearn.metrics import roc_curve

from dfbench.evaluation.run import open_run
from dfbench.io import write_text
from dfbench.metrics import SeedDifference, seed_difference
from dfbench.mini.settings import MiniSettings
from dfbench.models.card import card_path, read_card
from dfbench.models.registry import get_spec, model_names
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import MetricValue, RunResult
from dfbench.versions import library_versions

MINI_SEED = 945439
"""People of the measurement. Written down before the recipe of the protocol ``mini`` was chosen on validation people of
another seed; nothing may be chosen on these."""
EARLIER = (
    "Seed 550917, version 3 of the protocol (6.5e12 multiply-adds), begun and not finished, because its demo took more "
    "than ten minutes. Video AUC on c23: grnet 0.877 (0.836-0.909) with seed 7; amtennet-srm 0.904 (0.860-0.935) with "
    "seed 7 and 0.884 (0.830-0.923) with seed 8; resnet18 0.823 (0.779-0.860) with seed 7.",
)
"""Measurements on other people before this one; told on the page."""
SEEDS = (7, 8, 9)
MORE_SEEDS = (10, 11)
COMPARED = ("grnet", "resnet18")
"""These two are trained with more seeds, for the difference of their means."""


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

    def identity(self, model: str, seed: int) -> dict[str, Any]:
        """Return what a record must be made of to be taken.

        The manifest's own hash is not part of it: mini's pixels differ in their last digits between kinds of CPU.
        """
        version = library_versions()["dfbench"]
        return {
            "model": model,
            "seed": seed,
            "protocol": self.protocol.hash,
            "recipe": self.recipe_hash,
            "dfbench": version,
        }

    def record(self, model: str, seed: int) -> Record | None:
        """The record of a finished run, if there is one or it can be made from the run."""
        identity = self.identity(model, seed)
        found = self.records.read(identity)
        if found is None and self.result(model, seed) is not None:
            scores = open_run(self.run_folder(model, seed)).scores_table
            videos = test_videos(self, model, seed)
            compared = video_scores(scores, "c23") if model in COMPARED else None
            found = Record(identity, self.manifest_hash, read_line(self, model, seed), videos, compared)
            self.records.write(found)
        return found


def run(bench: Bench, model: str, seed: int) -> str:
    """Train and evaluate one detector with one seed; returns what went wrong, or nothing."""
    if bench.record(model, seed) is not None:
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
    bench.record(model, seed)
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
    scores = open_run(bench.run_folder(model, seed)).scores_table
    values |= {f"best {s}": Value(best_balanced_accuracy(scores, s), None, None) for s in subsets}
    chosen = result.selection
    return Line(model, seed, chosen["epoch"], chosen["value"], round(seconds / 60, 1), values)


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


def compared(records: Sequence[Record], failure_policy: str) -> SeedDifference:
    """Return the difference of the mean video AUC of the compared detectors on c23."""
    ours, theirs = ([r.scores for r in records if r.line.model == name and r.scores is not None] for name in COMPARED)
    return seed_difference(ours, theirs, METRICS["auc"], failure_policy=failure_policy)


def test_videos(bench: Bench, model: str, seed: int) -> dict[str, tuple[int, int]]:
    """Real and fake test videos of every subset."""
    result = bench.result(model, seed)
    assert result is not None
    counts = [m for m in result.metrics if (m.name, m.manipulation) == (METRICS["auc"], "all")]
    return {m.subset: (m.n - m.n_positive, m.n_positive) for m in counts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and runs (kept)")
    parser.add_argument("--models", nargs="+", default=list(model_names()), help="default: every registered detector")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument(
        "--more-seeds", nargs="*", type=int, default=list(MORE_SEEDS), help=f"further seeds of {', '.join(COMPARED)}"
    )
    parser.add_argument("--mini-seed", type=int, default=MINI_SEED, help="people of the data set")
    parser.add_argument("--pairs", type=int, nargs=3, metavar=("TRAIN", "VAL", "TEST"), help="default: those of mini")
    parser.add_argument("--jobs", type=int, default=1, help="detectors trained side by side, one thread each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-weights", action="store_true", help="they are removed after their evaluation otherwise")
    parser.add_argument("--records", type=Path, help="folder for the records of finished runs  [default: in --work]")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for model in options.models:
        get_spec(model)
    protocol = load_protocol("mini")
    sizes = dict(zip(("train_pairs", "val_pairs", "test_pairs"), options.pairs or (), strict=False))
    manifest = prepare(
        "mini",
        options.work / "data",
        options.work / "manifest",
        protocol=protocol,
        mini=MiniSettings(seed=options.mini_seed, **sizes),
        workers=options.jobs,
        quiet=True,
    )
    info, records = manifest.info, Records(options.records or options.work / "records")
    bench = Bench(
        options.work,
        protocol,
        protocol.name,
        manifest.path,
        info.hash,
        info.recipe_hash,
        options.device,
        options.keep_weights,
        records,
    )
    wanted = [(model, seed) for seed in options.seeds for model in options.models]
    both = set(COMPARED) <= set(options.models)
    wanted += [(model, seed) for seed in options.more_seeds for model in COMPARED if both]
    with ThreadPoolExecutor(options.jobs) as pool:
        faults = [fault for fault in pool.map(lambda pair: run(bench, *pair), wanted) if fault]
    if faults:
        print("\n".join(faults), file=sys.stderr)
        return 1
    found = [record for pair in wanted if (record := bench.record(*pair)) is not None]
    assert len(found) == len(wanted)
    lines = [record.line for record in found]
    difference = compared(found, protocol.failure_policy) if both else None
    manifests = len({record.manifest for record in found})
    setting = Setting(protocol, options.mini_seed, options.device, found[0].videos, EARLIER, manifests)
    text = page(lines, setting, difference)
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    if options.json:
        report = {
            "protocol": protocol.hash,
            "manifest": bench.manifest_hash,
            "versions": library_versions(),
            "runs": [asdict(line) for line in lines],
            "grnet_minus_resnet18": asdict(difference) if difference else None,
        }
        write_text(options.json, json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
