"""Crops of invented faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dfbench.mini import MiniSettings, generate
from dfbench.preparation.prepare import prepare

SIZE = 64
REALS = 16


@pytest.fixture(scope="session")
def mini_crops(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, torch.Tensor]:
    """32 crops of the embedded data set, (32, 3, 64, 64) in [0,1], real and fake in turn, and their labels."""
    folder: Path = tmp_path_factory.mktemp("mini")
    settings = MiniSettings(train_pairs=1, val_pairs=0, test_pairs=0, frames=(8, 8), subsets=("c23",))
    root = generate(folder / "tree", settings, workers=1, quiet=True)
    manifest = prepare(
        "ff++", root, folder / "manifest", frames=8, sizes=[SIZE], workers=1, engine="inline", quiet=True
    )
    rows = manifest.to_pandas()
    rows = rows[rows["status"] == "ok"].sort_values("sample_id")
    reals = rows[rows["label"] == 0]["sample_id"].tolist()
    fakes = rows[rows["label"] == 1]["sample_id"].tolist()
    chosen = [reals[:REALS], fakes[:: len(fakes) // REALS][:REALS]]
    crops = [np.stack(list(manifest.crops(ids, SIZE))) for ids in chosen]
    images = torch.from_numpy(np.stack(crops, axis=1).reshape(2 * REALS, SIZE, SIZE, 3))
    return images.permute(0, 3, 1, 2).float() / 255, torch.arange(2 * REALS) % 2
