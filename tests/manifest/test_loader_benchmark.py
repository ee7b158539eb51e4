"""The benchmark of the loader compares like with like."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from loading import load_file

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_file("benchmarks/loader.py", "loader_benchmark")


@pytest.fixture(scope="module")
def folder(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("loader")
    benchmark.make_manifest(folder, 320)
    return folder


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_both_ways_give_the_same_batches(
    benchmark: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    from dfbench.manifest.manifest import open_manifest

    monkeypatch.setattr(benchmark, "LIMIT", limit)
    manifest = open_manifest(folder)
    samples = manifest.samples(folder / "loader.toml", "train")
    old, new = benchmark.OldCrops(manifest, samples.rows, tmp_path), benchmark.dataset(manifest, samples)
    assert (tmp_path / "old.bin").exists() == (limit == 0)
    batches = [[300, 5, 5], [0, 319]]
    for one, two in zip(benchmark.loader("before", old, batches), benchmark.loader("now", new, batches), strict=True):
        assert torch.equal(one[0], two[0])
        assert one[1].tolist() == two[1]


def test_the_figures_become_a_table(
    benchmark: ModuleType, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfbench.manifest.crop_cache.cache_home", lambda: tmp_path / "cache")
    start = benchmark.start("now", folder, tmp_path)
    figures = {
        "rows": 320, "manifest_gb": 0.01, "rates": benchmark.rates(folder, tmp_path, 64, 1),
        "order": benchmark.orders(2000), "copies_gb_before": 1.0, "copies_gb_now": 0.0,
        **{f"{turn}_{arm}": start for turn in ("first", "second") for arm in benchmark.ARMS},
    }  # fmt: skip
    assert figures["rates"]["decoded"] > figures["rates"]["before"] > 0
    assert figures["order"]["unseen_now"] < figures["order"]["unseen_before"]
    text = benchmark.table(figures)
    assert {line.count("|") for line in text.splitlines()} == {5}
