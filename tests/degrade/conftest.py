"""An invented face, clips of invented people, and crops of openly licensed portraits."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from loading import load_file

from dfbench.media.images import decode_image

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def tool() -> ModuleType:
    """The maintainers' program that measures degradations and writes the golden file."""
    return load_file("tools/degradations.py", "degradations_tool")


@pytest.fixture(scope="session")
def face() -> np.ndarray:
    """An invented face, 128 pixels."""
    return decode_image((HERE / "face.png").read_bytes())


@pytest.fixture(scope="session")
def mini(tool: ModuleType) -> list:
    """Clips of two invented people."""
    return list(tool.mini_clips(("005", "120"), frames=6))


@pytest.fixture(scope="session")
def portraits(shared_folder: Path) -> list[np.ndarray]:
    """Faces of twelve public-domain portraits, 128 pixels."""
    folder = shared_folder / "faces_public_domain"
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::17][:12]
    crops = []
    for row in rows:
        image = decode_image((folder / row["file"]).read_bytes())
        x, y, w, h = (int(row[key]) for key in ("face_x", "face_y", "face_w", "face_h"))
        part = image[max(y, 0) : y + h, max(x, 0) : x + w]
        crops.append(cv2.resize(part, (128, 128), interpolation=cv2.INTER_AREA))
    return crops
