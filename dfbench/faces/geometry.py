"""What several crop profiles share: the template, its targets, and the check of a size."""

from __future__ import annotations

import numpy as np

from dfbench.errors import UsageError

ARCFACE = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]], np.float64
)
"""ArcFace's template (Deng et al., 2019) in a frame 96 wide and 112 high: eyes, nose, mouth corners, image-left first.

Shifted right by 8 it is the familiar one of 112 x 112, whose first point is (38.2946, 51.6963).
"""
ARCFACE.setflags(write=False)

TARGETS = ((ARCFACE + np.array([8.0, 0.0])) / 112.0 + 0.15) / 1.3
"""Where DeepfakeBench's preprocessing puts the five points, in units of the crop's side: the widened template with a
margin of 0.15 around it."""
TARGETS.setflags(write=False)


def check_size(size: int) -> None:
    """Refuse a size that is not positive.

    Raises:
        UsageError: it is not.
    """
    if size < 1:
        raise UsageError(f"a crop needs a positive size, not {size}", "for example 224")
