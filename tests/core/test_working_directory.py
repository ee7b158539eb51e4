"""Relative paths mean the working directory of the call, also in worker processes that joblib reuses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from loading import load_file

import dfbench
from dfbench.degrade import parse
from dfbench.manifest.degraded import degraded_dataset, make_degrader
from dfbench.manifest.manifest import Manifest
from dfbench.mini import MiniSettings
from dfbench.mini.generate import generate
from dfbench.mini.pair import pair_is_complete
from dfbench.mini.plan import official_pairs
from dfbench.preparation.derived.degrade import degrade
from dfbench.preparation.derived.recrop import recrop

pytestmark = pytest.mark.slow

tree = load_file("tests/preparation/conftest.py", "tiny_trees").tree

PROTOCOL = """
name = "test-split"
version = 1
source = "tests"
summary = "the test split"
data = [{ role = "test", dataset = "ff++", split = "test" }]
sampling = { frames = 1 }
crops = { size = 48 }
selection = { split = "none" }
metrics = { names = ["auc.frame"], resamples = 0 }
"""
TWO_PAIRS = MiniSettings(1, 0, 1, frames=(4, 5), size=(192, 144), manipulations=("Deepfakes",), subsets=("c23",))


@pytest.fixture(scope="module")
def manifest(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A manifest of three shards, with patches."""
    out = tmp_path_factory.mktemp("manifest") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 1)
        return dfbench.prepare("ff++", tree, out, frames=1, sizes=[48], patch=True, workers=1, quiet=True)


@pytest.fixture
def in_two_folders(
    tmp_path: Path, tree: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], Path]:
    """Call a function in one folder, then in another one, each with ``tree`` and ``m``; return the other one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(function: Callable[[], object]) -> Path:
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            shutil.copytree(tree, folder / "tree")
            shutil.copytree(manifest.path, folder / "m")
            (folder / "protocol.toml").write_text(PROTOCOL, "utf-8")
            monkeypatch.chdir(folder)
            function()
            if name == "first":
                os.chdir(tmp_path)
                shutil.rmtree(folder)
        return tmp_path / "second"

    return call


def test_mini_is_generated_in_the_working_directory(in_two_folders: Callable[[Callable[[], object]], Path]) -> None:
    folder = in_two_folders(lambda: generate(Path("mini"), TWO_PAIRS, workers=2, quiet=True))
    assert all(pair_is_complete(folder / "mini", pair, TWO_PAIRS) for pair in official_pairs(TWO_PAIRS))


def test_derived_manifests_are_written_in_the_working_directory(
    in_two_folders: Callable[[Callable[[], object]], Path],
) -> None:
    def derive() -> None:
        degrade("m", "JP60@source", "degraded", root="tree", workers=2, quiet=True)
        recrop("m", "recropped", sizes=[32], workers=2, quiet=True)

    folder = in_two_folders(derive)
    for name in ("degraded", "recropped"):
        assert len(list((folder / name).glob("shard-*.parquet"))) == 3


def test_media_are_read_in_the_working_directory(in_two_folders: Callable[[Callable[[], object]], Path]) -> None:
    datasets = []

    def cut() -> None:
        manifest = dfbench.open_manifest("m")
        condition = parse(f"h264:crf={30 + len(datasets)}@clip")  # crops of the same condition would be in the cache
        degrader = make_degrader(manifest, condition, [48], "tree")
        datasets.append(
            degraded_dataset(
                manifest, manifest.samples(Path("protocol.toml"), "test"), 48, degrader, lambda number: None
            )
        )

    in_two_folders(cut)
    assert len(datasets[1]) == len(datasets[0]) > 0
    assert np.asarray(datasets[1][0][0]).any()
