"""What detectors lose when the pixels that they rely on are erased: trained with RFM, and without.

    python benchmarks/mini_erasing.py --work DIR --weights DIR [--markdown docs/results/mini-erasing.md]

``--weights`` is the folder of weights that ``benchmarks/mini_methods.py --pairs rfm --keep-weights`` leaves. Of every
crop of validation people whom no training saw, the 1 to 6 blocks that are most sensitive for a detector are erased, by
that detector's own forgery attention map and the law of RFM's erasing, and video AUC is computed on what is left. The
drop of the detector trained with RFM is compared with that of the plain one, on the same videos.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mini_detectors import SEEDS
from mini_detectors_page import row, table_head
from numpy.typing import NDArray
from seed_intervals import mean_interval
from torch import nn

from dfbench.evaluation.dataset import RoleData, role_data
from dfbench.evaluation.inference import to_input
from dfbench.evaluation.loader import image_loader
from dfbench.explain import fake_minus_real, forgery_attention_map
from dfbench.io import write_text
from dfbench.metrics.delong import auc_influence
from dfbench.mini.settings import MiniSettings
from dfbench.models.interface import logits_of
from dfbench.models.weights import load_weights
from dfbench.preparation.prepare import prepare
from dfbench.progress import progress
from dfbench.protocols.files import load_protocol
from dfbench.schema.ids import seed_from
from dfbench.versions import library_versions
from reference_models.rfm.erasing import filled, largest_side, sensitive_blocks

PEOPLE = 318805
"""Mini seed of the validation people; written down before anything was measured on them."""
BLOCKS = range(7)
SIDE = 120  # the method's default, for crops of 224 pixels


@dataclass(frozen=True, eq=False)
class Videos:
    """Scores of the validation videos of one detector.

    Attributes:
        labels: (V,) 0 real, 1 fake.
        groups: (V,) number of the scene group.
        scores: (7, V), the mean score of a video with 0 to 6 blocks erased of every frame.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Drops:
    """How much less the second of two detectors loses by erased blocks, mean over the seeds.

    Attributes:
        first: AUC of the first by number of blocks.
        second: AUC of the second.
        saved: drop of the first minus drop of the second.
        low: lower end of its 95 % interval, scene groups and trainings.
        high: upper end.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    saved: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def video_scores(network: nn.Module, data: RoleData) -> Videos:
    """Score every crop with 0 to 6 erased blocks, and average over the frames of a video."""
    rows = data.ok_table
    network.eval()
    scores = np.empty((len(BLOCKS), len(rows)))
    total = len(rows)
    with progress("erase", total, "img") as advance:
        for images, numbers in image_loader(data.images, torch.device("cpu"), workers=0, batch_size=32):
            inputs = to_input(images, torch.device("cpu"))
            maps = forgery_attention_map(network, inputs)
            for count in BLOCKS:
                # The same draws for every number of blocks: more blocks contain the fewer.
                torch.manual_seed(seed_from(str(numbers[0]), "erased blocks", PEOPLE))
                erased = sensitive_blocks(maps, count, largest_side(SIDE, inputs.shape[-1]))
                torch.manual_seed(seed_from(str(numbers[0]), "noise", PEOPLE))
                with torch.inference_mode():
                    logits = logits_of(network(filled(inputs, erased)), len(inputs))
                scores[count, numbers] = torch.sigmoid(fake_minus_real(logits).double()).numpy()
            advance(len(numbers))
    media = np.unique(rows["media_id"].to_pylist(), return_inverse=True)[1]
    first = np.unique(media, return_index=True)[1]
    means = np.stack([np.bincount(media, weights=line) / np.bincount(media) for line in scores])
    groups = np.unique(rows["scene_group"].to_pylist(), return_inverse=True)[1]
    return Videos(rows["label"].to_numpy()[first].astype(np.int64), groups[first].astype(np.int64), means)


def compare(first: Sequence[Videos], second: Sequence[Videos]) -> Drops:
    """Compare the drops of two detectors over their training seeds, on the same videos."""
    labels, groups = first[0].labels, first[0].groups
    aucs, influences = [], []
    for runs in (first, second):
        found = [auc_influence(labels, run.scores) for run in runs]
        aucs.append(np.stack([value for value, _ in found]))
        influences.append(np.stack([influence for _, influence in found]))
    drops = [values[:, :1] - values for values in aucs]
    saved = drops[0] - drops[1]
    by_seed = (influences[0][:, :1] - influences[0]) - (influences[1][:, :1] - influences[1])
    lists = (aucs[0].mean(0), aucs[1].mean(0), saved.mean(0), *mean_interval(saved, by_seed, groups))
    return Drops(*(tuple(map(float, values)) for values in lists))


def page(found: Drops, names: tuple[str, str], setting: str) -> str:
    """Return the result as a documentation page."""
    versions = library_versions()
    text = [
        "# Erased blocks on mini",
        "",
        f"Written by `python benchmarks/mini_erasing.py`; do not edit by hand. dfbench {versions['dfbench']}, torch "
        f"{versions['torch']}.",
        "",
        f"* {setting}",
        "* Of every crop, the blocks that are most sensitive for the detector itself are erased, by the law of RFM's "
        "erasing ([RFM](../rfm.md)). Video AUC, mean over the seeds; drops are relative to no erased block.",
        f"* The difference is the drop of `{names[0]}` minus that of `{names[1]}`: above 0, `{names[1]}` loses less. "
        "95 % intervals over scene groups and trainings.",
        f"* Clean AUC: {found.first[0]:.3f} and {found.second[0]:.3f}. Where these differ, a smaller drop may come "
        "from less that can be lost.",
        "* **Invented faces are no ground for ranking methods.**",
        "",
        *table_head(["blocks", names[0], names[1], "difference of the drops", "95 % interval"]),
    ]
    for count in BLOCKS:
        interval = f"{found.low[count]:+.3f} to {found.high[count]:+.3f}" if count else ""
        cells = [f"{found.first[count]:.3f}", f"{found.second[count]:.3f}", f"{found.saved[count]:+.3f}"]
        text.append(row([str(count), *cells, interval]))
    return "\n".join([*text, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the validation people (kept)")
    parser.add_argument("--weights", type=Path, required=True, help="folder of MODEL-seedN.safetensors")
    parser.add_argument("--models", nargs=2, default=["xception", "xception-rfm"], metavar=("PLAIN", "METHOD"))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--groups", type=int, default=40, help="validation pairs")
    parser.add_argument("--frames", type=int, default=4, help="per video")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    protocol = load_protocol("mini")
    sampling = protocol.sampling.model_copy(update={"frames": options.frames})
    protocol = protocol.model_copy(update={"sampling": sampling})
    settings = MiniSettings(seed=PEOPLE, train_pairs=1, val_pairs=options.groups, test_pairs=1)
    manifest = prepare(
        "mini", options.work / "data", options.work / "manifest", protocol=protocol, mini=settings, quiet=True
    )
    data = role_data(protocol, [manifest], "val")
    videos: dict[str, list[Videos]] = {name: [] for name in options.models}
    for seed in options.seeds:
        for name in options.models:
            network, _ = load_weights(options.weights / f"{name}-seed{seed}.safetensors")
            videos[name].append(video_scores(network, data))
    plain, method = options.models
    setting = (
        f"{options.groups} validation pairs of mini seed {PEOPLE}, c23, {options.frames} frames of each video, "
        f"training seeds {', '.join(map(str, options.seeds))}; weights of [Training methods on mini](mini-methods.md)."
    )
    text = page(compare(videos[plain], videos[method]), (plain, method), setting)
    print(text)
    if options.markdown:
        write_text(options.markdown, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
