"""The benchmark compares like with like."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from loading import load_file

from dfbench.degrade import apply, psnr


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_file("benchmarks/degrade.py", "degrade_benchmark")


def test_bare_opencv_gives_the_same_image(benchmark: ModuleType) -> None:
    image = benchmark.random_images(128, 1)[0]
    bare = benchmark.bare(np.ascontiguousarray(image[..., ::-1]))[..., ::-1]
    assert psnr(bare, apply("JP60+ME5", image, "a")) > 45


def test_the_ratio_is_measured(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ratio = benchmark.jp60_me5_over_opencv(2)
    assert 0.2 < ratio < 2, "the two do the same work"
    assert capsys.readouterr().out.count("of the speed of bare OpenCV") == 2
