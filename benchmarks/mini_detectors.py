"""Detectors on the mini data set by one fixed recipe, with several seeds: the table of results.

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
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mini_detectors_page import Setting, page
from mini_runs import Training, difference, make_bench, run_all

from dfbench.io import write_text
from dfbench.mini.settings import MiniSettings
from dfbench.models.registry import get_spec
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
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
MODELS = (
    *("amtennet", "amtennet-srm", "capsule", "efficientnet-b4", "grnet", "highpass", "meso4", "mesoinception4"),
    *("mislnet", "resnet18", "vit-b16", "xception"),
)
"""GRnet, the detectors that its paper compares it with, and plain classifiers. Methods and the detectors that stand for
them are measured by ``benchmarks/mini_methods.py``."""
COMPARED = ("grnet", "resnet18")
"""These two are trained with more seeds, for the difference of their means."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and runs (kept)")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"default: {', '.join(MODELS)}")
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
    bench = make_bench(
        options.work, protocol, manifest, options.records, device=options.device, keep_weights=options.keep_weights
    )
    wanted = [Training(model, seed, compared=model in COMPARED) for seed in options.seeds for model in options.models]
    both = set(COMPARED) <= set(options.models)
    wanted += [Training(model, seed, compared=True) for seed in options.more_seeds for model in COMPARED if both]
    found = run_all(bench, wanted, options.jobs)
    lines = [record.line for record in found]
    against = difference(found, COMPARED, protocol.failure_policy) if both else None
    manifests = len({record.manifest for record in found})
    setting = Setting(protocol, options.mini_seed, options.device, found[0].videos, EARLIER, manifests)
    text = page(lines, setting, against)
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    if options.json:
        report = {
            "protocol": protocol.hash,
            "manifest": bench.manifest_hash,
            "versions": library_versions(),
            "runs": [asdict(line) for line in lines],
            "grnet_minus_resnet18": asdict(against) if against else None,
        }
        write_text(options.json, json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
