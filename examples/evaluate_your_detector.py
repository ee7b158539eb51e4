"""Train a detector of your own and evaluate it, on a few clips of the embedded data set of invented people.

    python examples/evaluate_your_detector.py

Writes to the folder ``dfbench-example`` and takes less than a minute on two CPU cores. On real data, replace ``"mini"``
by a protocol of ``dfbench list protocols``, and prepare its data sets first. Numbers on ``mini`` rank no detectors.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

import dfbench
from dfbench.mini import MiniSettings

FOLDER = Path("dfbench-example")
FEW = MiniSettings(train_pairs=2, val_pairs=1, test_pairs=2, frames=(8, 9), manipulations=("Deepfakes",))


class SmallNet(nn.Module):
    """Any module is a detector: RGB images in [0,1], (N, 3, H, W), in; logits (N, 2), real and fake, out."""

    def __init__(self, num_classes: int = 2, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=4, padding=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise inside the model, so that weights never meet other preprocessing."""
        features = self.features((images - 0.5) / 0.5)
        return self.head(features.mean(dim=(2, 3)))


def main() -> None:
    """Prepare, train, evaluate, print."""
    dfbench.prepare("mini", FOLDER / "media", FOLDER / "manifest", protocol="mini", mini=FEW, quiet=True)
    manifests = [FOLDER / "manifest"]

    model = f"{__file__}:SmallNet"
    weights = FOLDER / "small-net.safetensors"
    dfbench.train(model, "mini", manifests, weights, epochs=1, samples_per_epoch=640, options={"width": 8}, quiet=True)
    run = dfbench.evaluate(model, "mini", manifests, weights, FOLDER / "run", overwrite=True, quiet=True)

    for name in ("auc.frame", "auc.video.mean", "eer.video.mean"):
        for subset in ("c23", "c40"):
            print(f"{name:<15} {subset}  {run.get(name, subset=subset)}")
    print(run.metrics.query("manipulation == 'all'")[["name", "subset", "value", "n_media", "coverage"]].head(4))
    print(f"scores and metadata: {run.folder}")


if __name__ == "__main__":
    main()
