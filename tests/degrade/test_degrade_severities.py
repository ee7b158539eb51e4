"""A higher severity is farther from the original, for every family, on invented and on real faces."""

from __future__ import annotations

import statistics
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest

from dfbench.degrade import SEVERITIES, apply, degradation_names, parse, psnr, severity_condition

FAMILIES = degradation_names()


def falls(values: list[float]) -> bool:
    return all(worse < better for better, worse in pairwise(values))


@pytest.mark.parametrize("name", FAMILIES)
def test_psnr_falls_with_severity_on_mini_faces(tool: ModuleType, mini: list, name: str) -> None:
    assert falls([tool.mean_psnr(mini, severity_condition(name, level)) for level in SEVERITIES])


@pytest.mark.parametrize("name", FAMILIES)
def test_psnr_falls_with_severity_on_portraits(portraits: list[np.ndarray], name: str) -> None:
    values = [
        statistics.fmean(
            psnr(apply(severity_condition(name, level), face, f"portraits/all/real/{i}#000000.0"), face)
            for i, face in enumerate(portraits)
        )
        for level in SEVERITIES
    ]
    assert falls(values), values


def test_psnr_falls_with_severity_of_social_clips(tool: ModuleType, mini: list) -> None:
    platforms = [severity_condition("social", level).steps[0].settings["platform"] for level in SEVERITIES]
    assert falls([tool.mean_psnr(mini, parse(f"social:platform={name}@clip")) for name in platforms])


def test_a_large_image_makes_jpeg_a_milder_test(portraits: list[np.ndarray]) -> None:
    """What the guide warns of: the same quality before a resize to 128 leaves less than at 128."""
    for face in portraits:
        large = np.repeat(np.repeat(face, 4, 0), 4, 1)
        before = apply("JP60@source", large, "a").reshape(128, 4, 128, 4, 3).mean((1, 3)).round().astype(np.uint8)
        assert psnr(before, face) > psnr(apply("JP60", face, "a"), face) + 3
