"""Search of GRnet's options on validation data: normalisation of the residual first, then the attention.

    python benchmarks/grnet_search.py --work DIR [--jobs 2] [--precision bf16] [--markdown docs/results/grnet-search.md]

The paper states neither how the residual is normalised nor how the attention is scaled. A mini data set with a seed of
its own is generated and prepared once in DIR: 32 training pairs, 60 validation pairs, no test pairs. Every option is
trained from random weights with three seeds and two budgets, by the recipe in :func:`search_protocol`, and validated
once, at the end. The rule that chooses is in ``grnet_search_page.py`` and was fixed before the search. Each training is
a process of its own with one thread, and leaves one JSON file in ``DIR/runs``; it may be stopped at any time, and the
same command continues with the missing ones. The page is written when all are finished.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from grnet_search_page import Job, Outcome, Outcomes, Variant, choose, page

from dfbench.io import canonical_hash, write_text
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.mini.settings import MiniSettings
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol, Sampling
from dfbench.protocols.tables import Selection
from dfbench.protocols.training_recipe import Augmentation, TrainingRecipe
from dfbench.versions import library_versions

BATCH = 16
METRIC = "auc.video.mean"
NORMS = ("imagenet", "none", "batch")
"""Normalisations of the residual; of tied ones the first is taken: like RGB, as the paper can be read, then none."""
ATTENTIONS = ((False, False), (True, False), (False, True), (True, True))
"""``afm_scale`` and ``afm_residual``; of tied ones the first is taken: the literal reading, then one change, then two.
"""


@dataclass(frozen=True)
class Search:
    """Where everything lies, and what a finished training must be made of to be taken."""

    work: Path
    protocol: Protocol
    manifest: Manifest
    precision: str
    seeds: tuple[int, ...]
    steps: tuple[int, ...]

    def identity(self, job: Job) -> str:
        """Hash of all that the outcome of a training depends on."""
        versions = {name: library_versions()[name] for name in ("dfbench", "torch")}
        rules = self.protocol.model_dump(mode="json", include={"data", "sampling", "crops", "training"})
        return canonical_hash([rules, self.manifest.info.hash, self.precision, versions, asdict(job)])

    def file(self, job: Job) -> Path:
        """Where the outcome of a training is stored."""
        return self.work / "runs" / f"{job.name}.json"

    def outcome(self, job: Job) -> Outcome | None:
        """The outcome of a training, if it is finished and was made of the same parts."""
        if not self.file(job).is_file():
            return None
        found = json.loads(self.file(job).read_text("utf-8"))
        return Outcome(**found["outcome"]) if found["identity"] == self.identity(job) else None

    def store(self, job: Job, outcome: Outcome) -> None:
        """Store the outcome of a training."""
        found = {"identity": self.identity(job), "job": asdict(job), "outcome": asdict(outcome)}
        write_text(self.file(job), json.dumps(found, indent=2) + "\n")

    def jobs(self, variants: Iterable[Variant]) -> list[Job]:
        """All trainings of some variants, the short ones first."""
        chosen = list(variants)
        return [Job(v, seed, steps) for steps in sorted(self.steps) for seed in self.seeds for v in chosen]


def search_protocol(frames: int, val_frames: int) -> Protocol:
    """Return the protocol ``mini`` with the recipe of the search.

    Paired sampling, flips only, cosine to zero after 10 % warm-up, the detector's own optimiser and rate, batch-norm
    statistics estimated on training data. Nothing is selected: there is one epoch, and the validation follows it.
    """
    base = load_protocol("mini")
    parts = tuple(
        part.model_copy(
            update={
                "subsets": ("c23",),
                "sampling": Sampling(frames=val_frames) if part.role == "val" and val_frames != frames else None,
            }
        )
        for part in base.data
    )
    recipe = TrainingRecipe(
        epochs=1,
        batch_size=BATCH,
        lr_schedule="cosine",
        warmup=0.1,
        sampling="paired",
        augmentation=Augmentation(flip=0.5),
    )
    changed = {
        "name": "grnet-search",
        "version": 1,
        "data": parts,
        "sampling": Sampling(frames=frames),
        "training": recipe,
        "selection": Selection(split="none"),
        "threshold": None,
    }
    return Protocol.model_validate(base.model_copy(update=changed).model_dump(mode="json"))


def train_and_validate(search: Search, job: Job) -> Outcome:
    """Train one variant and score the validation data once, all heads in the same pass."""
    from dfbench.workflow import resolve_training

    weights = search.work / "weights" / f"{job.name}.safetensors"
    plan = resolve_training(
        job.variant.model,
        search.protocol,
        search.manifest,
        weights,
        device="cpu",
        workers=0,
        precision=search.precision,
        save_every=1e9,  # a training that is stopped starts anew, so that its processor time is that of one process
        options=job.variant.options,
        quiet=True,
        seed=job.seed,
        samples_per_epoch=job.steps * BATCH,
    )
    plan.run()
    trained = time.process_time() / 60
    auc = validation_auc(search, weights)
    with weights.with_suffix(".curve.csv").open(newline="", encoding="utf-8") as lines:
        loss = float(next(csv.DictReader(lines))["train_loss"])
    for file in (weights, *(weights.with_suffix(s) for s in (".json", ".curve.csv", ".curve.svg"))):
        file.unlink()
    return Outcome(auc, loss, round(trained, 2), round(time.process_time() / 60 - trained, 2))


def validation_auc(search: Search, weights: Path) -> dict[str, float]:
    """Return the video AUC of every head on the validation data."""
    import torch

    from dfbench.evaluation.dataset import role_data
    from dfbench.evaluation.inference import move_to_device, score_heads
    from dfbench.evaluation.scores_table import scores_table
    from dfbench.metrics import compute_metrics
    from dfbench.models.weights import load_weights

    data = role_data(search.protocol, [search.manifest], "val")
    device = torch.device("cpu")
    network = move_to_device(load_weights(weights)[0], device)
    fused, further = score_heads(network, data.images, device, precision=search.precision)
    found = {}
    for head, logits in ({"fused": fused} | further).items():
        (value,) = compute_metrics(
            scores_table(data, logits, "search", "search"), [METRIC], resamples=0, per_manipulation=False
        )
        assert value.value is not None
        found[head] = value.value
    return found


def run(search: Search, job: Job, arguments: Sequence[str]) -> str:
    """Do one training in a process of its own; returns what went wrong, or nothing."""
    if search.outcome(job) is not None:
        return ""
    start = time.monotonic()
    log = search.work / "logs" / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            [sys.executable, __file__, *arguments, "--only", json.dumps(asdict(job))],
            stdout=stream,
            stderr=stream,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            check=False,
        )
    outcome = search.outcome(job)
    if done.returncode or outcome is None:
        return f"{job.name}: ended with {done.returncode}, see {log}"
    print(f"{job.name}: AUC {outcome.auc['fused']:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return ""


def run_all(search: Search, variants: Sequence[Variant], jobs: int, arguments: Sequence[str]) -> Outcomes:
    """Do the trainings of some variants; exits if one fails."""
    wanted = search.jobs(variants)
    with ThreadPoolExecutor(jobs) as pool:
        faults = [fault for fault in pool.map(lambda job: run(search, job, arguments), wanted) if fault]
    if faults:
        raise SystemExit("\n".join(faults))
    return {job: outcome for job in wanted if (outcome := search.outcome(job)) is not None}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data and outcomes (kept)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one thread each")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of training and validation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8, 9])
    parser.add_argument("--steps", nargs="+", type=int, default=[100, 300], help="budgets, in optimiser steps")
    parser.add_argument("--mini-seed", type=int, default=5)
    parser.add_argument("--train-pairs", type=int, default=32)
    parser.add_argument("--val-pairs", type=int, default=60)
    parser.add_argument("--frames", type=int, default=8, help="training frames per clip")
    parser.add_argument("--val-frames", type=int, default=8, help="validation frames per clip")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--only", help=argparse.SUPPRESS)  # one training, in a process of its own
    given = list(sys.argv[1:] if words is None else words)
    options = parser.parse_args(given)
    work: Path = options.work
    protocol = search_protocol(options.frames, options.val_frames)
    if options.only:
        manifest = open_manifest(work / "manifest")
    else:
        settings = MiniSettings(options.train_pairs, options.val_pairs, 0, seed=options.mini_seed, subsets=("c23",))
        manifest = prepare(
            "mini",
            work / "data",
            work / "manifest",
            protocol=protocol,
            mini=settings,
            workers=options.jobs,
            quiet=True,
        )
    search = Search(work, protocol, manifest, options.precision, tuple(options.seeds), tuple(options.steps))
    if options.only:
        raw = json.loads(options.only)
        job = Job(**raw | {"variant": Variant(**raw["variant"])})
        search.store(job, train_and_validate(search, job))
        return 0
    norms = [Variant(norm=norm) for norm in NORMS]
    outcomes = run_all(search, norms, options.jobs, given)
    norm = choose(outcomes, norms)[0].norm
    attentions = [Variant(norm=norm, scale=scale, residual=residual) for scale, residual in ATTENTIONS]
    yardstick = [Variant("resnet18")]
    outcomes |= run_all(search, [*attentions, *yardstick], options.jobs, given)
    stages = [
        ("1. Normalisation of the residual, attention as the paper reads", norms),
        (f"2. Attention, residual_norm = {norm}", attentions),
        ("Yardstick: ResNet-18 alone, the backbone of both streams", yardstick),
    ]
    data = (
        f"Mini data set of seed {options.mini_seed}: {options.train_pairs} training and {options.val_pairs} validation "
        f"pairs of c23 at {protocol.crops.size} pixels, {options.frames} frames per clip for training and "
        f"{options.val_frames} for validation; manifest `{manifest.info.hash[:12]}`."
    )
    text = page(outcomes, stages, protocol.training, options.precision, data)
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
