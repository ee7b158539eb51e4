"""A small FF++ tree for commands to work on."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from dfbench.media.encode import write_clip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reals of one pair of FF++, in which a public-domain portrait drifts."""
    root = tmp_path_factory.mktemp("tree")
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    photo = cv2.resize(cv2.imread(str(file)), (200, 236), interpolation=cv2.INTER_AREA)[:, :, ::-1]
    for name in ("000", "003"):
        path = root / "original_sequences" / "youtube" / "c23" / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = []
        for n in range(6):
            frame = np.full((240, 320, 3), 90, np.uint8)
            frame[2:238, 20 + n : 220 + n] = photo
            frames.append(frame)
        write_clip(path, frames, 25, 23)
    return root
