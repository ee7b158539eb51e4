"""Clips that show one public-domain photo (inside matplotlib's wheel) moving about, and untrained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from loading import load_file

from dfbench.media.encode import write_clip
from dfbench.models.build import build_model
from dfbench.models.card import SelectionRecord, WeightCard
from dfbench.models.registry import get_spec
from dfbench.models.weights import save_weights

SIZE = 64


tiny = load_file("tests/evaluation/conftest.py", "scoring_evaluation").tiny
moving = load_file("tests/preparation/conftest.py", "scoring_preparation").moving


def two_people(frames: int) -> list[np.ndarray]:
    """The photo twice, the one on the right smaller."""
    out = []
    for image in moving(frames, seed=3):
        small = cv2.resize(image[2:238, 40:280], (160, 158), interpolation=cv2.INTER_AREA)
        wide = np.full((240, 500, 3), 90, np.uint8)
        wide[:, :320] = image
        wide[40:198, 330:490] = small
        out.append(wide)
    return out


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: ``one.mp4`` and ``two.mp4`` with one and two faces, ``none.mp4`` without, ``photo.png``."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "one.mp4", moving(12, seed=3), 25, 23)
    write_clip(folder / "two.mp4", two_people(8), 25, 18)
    write_clip(folder / "none.mp4", moving(4, seed=5, face=False), 25, 23)
    cv2.imwrite(str(folder / "photo.png"), cv2.cvtColor(moving(1, seed=3)[0][:239, :319], cv2.COLOR_RGB2BGR))
    return folder


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write untrained weights: ``save(model, profile=..., mini=..., ...)`` gives their path."""

    def make(model: str = "meso4", out: Path | None = None, **card: object) -> Path:
        torch.manual_seed(1)
        values = {
            "options": dict(get_spec(model).options),
            "num_classes": 2,
            "profile": "native",
            "size": SIZE,
            "mini": False,
        } | card
        selection = SelectionRecord(split="none", epoch=0, note="untrained")
        full = WeightCard.model_validate({"model": model, "selection": selection, **values})
        path = out or tmp_path_factory.mktemp("weights") / f"{model}.safetensors"
        save_weights(path, build_model(model, full.num_classes, full.size), full)
        return path

    return make


@pytest.fixture(scope="session")
def weights(save: Callable[..., Path]) -> Path:
    return save()
