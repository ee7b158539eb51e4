"""Training methods on the mini data set, each against its own backbone with the same steps and start.

    python benchmarks/mini_methods.py --work DIR [--jobs 2] [--markdown docs/results/mini-methods.md]
                                      [--records benchmarks/results/mini-methods]

Protocol, recipe and people are those of ``benchmarks/mini_detectors.py``, which resumes and keeps records in the same
way; nothing is chosen here. The detector of a pair is trained with and without the method by the same recipe, from
the same initial weights, for as many steps as the protocol's budget gives the detector alone. The manifest also holds
patches and landmarks, for self-blended images. DiffusionFake trains ResNet-34 (its Table 3), since a step on
EfficientNet-B4 takes 15 times a plain one, and with a tiny diffusion model of random weights, which shows that it runs
and not what it does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from method_pairs import PAIRS, MethodPair
from mini_detectors import MINI_SEED, SEEDS
from mini_detectors_records import Record
from mini_methods_page import Comparison, page
from mini_runs import Training, difference, make_bench, run_all
from seed_intervals import mean_interval

from dfbench.io import write_text
from dfbench.metrics.delong import auc_influence
from dfbench.mini.settings import MiniSettings
from dfbench.models.registry import get_spec
from dfbench.models.source import model_source
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol

# The clips of mini are framed differently, so that no target is cut as its fake.
_TINY = {"sd": "tiny", "size": 64, "own_geometry": True}
ON_MINI = PAIRS | {"diffusionfake": MethodPair("resnet34", "diffusionfake", "resnet34", _TINY)}


def samples_per_epoch(model: str, protocol: Protocol) -> int:
    """Return the samples of an epoch that the protocol's budget gives a detector."""
    from dfbench.models.build import build_seeded
    from dfbench.training.cost import within_budget
    from dfbench.training.recipe import fill_recipe

    size, spec = protocol.crops.size, get_spec(model)
    network = build_seeded(model_source(model), "initial weights", 0, protocol.num_classes, size, {})
    found = within_budget(fill_recipe(protocol.training, spec.recipe), network, size).samples_per_epoch
    assert found is not None
    return found


def mean_auc(records: Sequence[Record]) -> tuple[float, float]:
    """Return the 95 % interval of the mean video AUC on c23 of several trainings of one detector."""
    tables = [record.scores.to_pandas() for record in records if record.scores is not None]
    labels, (_, groups) = tables[0].label.to_numpy(), np.unique(tables[0].scene_group, return_inverse=True)
    scores = np.stack([table.score.to_numpy() for table in tables])
    scored = ~np.isnan(scores).any(axis=0)
    values, influences = auc_influence(labels[scored], scores[:, scored])
    low, high = mean_interval(values[:, None], influences[:, None], groups[scored])
    return float(low[0]), float(high[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and runs (kept)")
    parser.add_argument("--pairs", nargs="+", default=list(ON_MINI), choices=list(ON_MINI))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--mini-seed", type=int, default=MINI_SEED, help="people of the data set")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one thread each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep-weights", action="store_true", help="they are removed after their evaluation otherwise")
    parser.add_argument("--records", type=Path, help="folder for the records of finished runs  [default: in --work]")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    protocol = load_protocol("mini")
    settings = MiniSettings(seed=options.mini_seed)
    manifest = prepare(
        "mini",
        options.work / "data",
        options.work / "manifest",
        protocol=protocol,
        mini=settings,
        patch=True,
        landmarks="average-face",
        workers=options.jobs,
        quiet=True,
    )
    bench = make_bench(
        options.work, protocol, manifest, options.records, device=options.device, keep_weights=options.keep_weights
    )
    trainings: dict[tuple[str, int], tuple[Training, Training]] = {}
    for name in options.pairs:
        pair = ON_MINI[name]
        same = ("--samples-per-epoch", str(samples_per_epoch(pair.backbone, protocol)))
        for seed in options.seeds:
            plain = Training(pair.backbone, seed, compared=True)
            own = Training(pair.model, seed, pair.method, (*same, *pair.words()), compared=True)
            trainings[name, seed] = (own, plain)
    wanted = list(dict.fromkeys(training for both in trainings.values() for training in both))
    found = dict(zip(wanted, run_all(bench, wanted, options.jobs), strict=True))
    comparisons = []
    for name in options.pairs:
        both = [trainings[name, seed] for seed in options.seeds]
        own, plain = ([found[pair[side]] for pair in both] for side in (0, 1))
        names = (own[0].line.model, plain[0].line.model)
        against = difference([*own, *plain], names, protocol.failure_policy)
        comparisons.append(Comparison(name, [r.line for r in own], [r.line for r in plain], against, mean_auc(own)))
    text = page(comparisons, protocol, options.mini_seed, options.device)
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
