"""The shipped face detector on invented faces, against the ground truth that lies beside the clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfbench.faces.detectors import build_face_detector
from dfbench.media.reader import read
from dfbench.mini.generate import generate
from dfbench.mini.settings import MiniSettings

FRAMES_A_CLIP = 4


def truth_of(root: Path, clip: Path) -> dict[str, np.ndarray]:
    method = "real" if "original_sequences" in clip.parts else clip.parts[-4]
    with np.load(root / "ground_truth" / method / f"{clip.stem}.npz") as arrays:
        return {name: arrays[name] for name in ("landmarks", "visible")}


def spread(count: int) -> list[int]:
    return [round(i) for i in np.linspace(0, count - 1, FRAMES_A_CLIP)]


@pytest.mark.slow
def test_faces_are_found_where_they_are(tmp_path: Path) -> None:
    """At c23 a face is found in >= 98 % of the frames of one person, with a mean error < 6 % of the eye distance."""
    settings = MiniSettings(train_pairs=0, val_pairs=0, test_pairs=4, frames=(10, 14), subsets=("c23",))
    root = generate(tmp_path / "mini", settings, workers=1, quiet=True)
    detector = build_face_detector()
    found: list[bool] = []
    errors: list[float] = []
    for clip in sorted(root.rglob("c23/videos/*.mp4")):
        truth = truth_of(root, clip)
        if truth["visible"].shape[1] > 1:
            continue
        reading = read(clip, spread)
        for index, frame in reading.frames.items():
            if not truth["visible"][index, 0]:
                continue
            (faces,) = detector.detect([frame.image])
            found.append(bool(faces))
            if faces:
                points = truth["landmarks"][index, 0]
                eyes = np.linalg.norm(points[0] - points[1])
                errors.append(float(np.linalg.norm(faces[0].landmarks - points, axis=1).mean() / eyes))
    assert len(found) >= 100
    assert np.mean(found) >= 0.98
    assert np.mean(errors) < 0.06
