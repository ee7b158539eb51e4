"""Which way of detection a face rule uses."""

from __future__ import annotations

import numpy as np
import pytest

from dfbench.faces.base import Face
from dfbench.faces.profiles import get_profile
from dfbench.media.frames import Frame
from dfbench.preparation.extraction.clip_faces import ExtractionSettings, find_faces

POINTS = np.array([(30, 30), (50, 30), (40, 42), (32, 52), (48, 52)], np.float32)


class Detector:
    """Finds two faces if asked for every face, else only the larger one."""

    name = "two"
    fingerprint = "two-v1"

    def detect(self, frames):
        small = Face(np.array([70, 70, 90, 90], np.float32), 0.9, POINTS / 3 + 60)
        return [[Face(np.array([20, 15, 60, 65], np.float32), 0.9, POINTS), small] for _ in frames]

    detect_every_face = detect

    def detect_clip(self, frames):
        return [faces[:1] for faces in self.detect(frames)]


class WithoutOffer(Detector):
    """The same, of which every face cannot be asked for."""

    detect_every_face = None


@pytest.mark.parametrize(("rule", "faces"), [("largest", 1), ("all", 2), ("track", 2), ("manipulated", 2)])
@pytest.mark.parametrize("offers", [True, False])
def test_where_every_face_matters_every_face_is_asked_for(rule, faces, offers):
    detector = Detector() if offers else WithoutOffer()
    settings = ExtractionSettings((32,), get_profile("native"), detector, "pyav", rule)
    frames = [Frame(n, None, np.zeros((100, 100, 3), np.uint8)) for n in range(3)]
    found = find_faces(frames, settings)
    assert [frame.detected for frame in found] == [faces if offers else 1] * 3
    assert [len(frame.crops) for frame in found] == [faces if offers else 1] * 3
