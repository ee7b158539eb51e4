"""Images with and without faces from packages that are installed anyway."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfbench.faces.base import FaceDetector
from dfbench.faces.detectors import build_face_detector
from dfbench.media.images import decode_image


@pytest.fixture(scope="session")
def detector() -> FaceDetector:
    return build_face_detector()


@pytest.fixture(scope="session")
def hopper() -> np.ndarray:
    """A portrait of one person, 512 x 600, public domain, shipped with matplotlib."""
    import matplotlib

    return decode_image((Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes())


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A portrait of one person, 512 x 512, public domain, shipped with scikit-image."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def faceless() -> list[np.ndarray]:
    """A cup, a cat and a rocket."""
    data = pytest.importorskip("skimage.data")
    return [np.asarray(load()) for load in (data.coffee, data.chelsea, data.rocket)]
