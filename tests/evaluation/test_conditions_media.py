"""Conditions that act before cropping: a run under them is a run on the degraded copy of the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loading import load_file

import dfbench
from dfbench.errors import DataError
from dfbench.evaluation.run import Run
from dfbench.manifest import degraded as degraded_module
from dfbench.manifest.manifest import Manifest
from dfbench.preparation.derived.degrade import degrade
from dfbench.workflow import evaluate

pytestmark = pytest.mark.slow

tree = load_file("tests/preparation/conftest.py", "tiny_trees").tree

PROTOCOL = """
name = "three"
version = 1
source = "tests"
summary = "three splits of one pair each"
{extra}

[[data]]
role = "train"
dataset = "ff++"
split = "train"

[[data]]
role = "test"
dataset = "ff++"
split = "test"

[sampling]
frames = 3

[crops]
size = 64

[selection]
split = "none"

[training]
epochs = 1
batch_size = 6
lr = 1e-3

[metrics]
names = ["acc.frame", "auc.frame"]
resamples = 0
"""
MODEL = """
from torch import nn
class Net(nn.Module):
    def forward(self, images):
        return 8 * (images[:, 0] - images[:, 2]).abs().mean(dim=(1, 2)) - 3 * images.var(dim=(1, 2, 3))
"""
CONDITIONS = ("h264:crf=40@clip", "median:k=5@source", "gaussian-noise:sigma=18@clip")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DFBENCH_ROOTS", "")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("places")
    (folder / "net.py").write_text(MODEL, "utf-8")
    (folder / "three.toml").write_text(PROTOCOL.format(extra=""), "utf-8")
    return f"{folder / 'net.py'}:Net", folder / "three.toml"


@pytest.fixture(scope="module")
def manifest(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("manifest") / "m"
    return dfbench.prepare("ff++", tree, out, frames=3, sizes=[64], workers=1, quiet=True)


def run(places: tuple[str, Path], manifest: Path, out: Path, **options: Any) -> Run:
    return evaluate(places[0], places[1], [manifest], out=out, device="cpu", quiet=True, **options)


def scores(run: Run, condition: str) -> dict[str, float]:
    rows = run.scores_table.select(["sample_id", "condition", "score"]).to_pylist()
    return {row["sample_id"]: row["score"] for row in rows if row["condition"] == condition}


def test_evaluating_under_a_condition_is_evaluating_the_degraded_copy(
    places: tuple[str, Path], manifest: Manifest, tree: Path, tmp_path: Path
) -> None:
    done = run(places, manifest.path, tmp_path / "run", conditions=CONDITIONS, roots={"ff++": tree})
    clean = scores(done, "clean")
    for number, condition in enumerate(CONDITIONS):
        copy = degrade(manifest, condition, tmp_path / f"m{number}", root=tree, workers=1, quiet=True)
        other = run(places, copy.path, tmp_path / f"run{number}")
        assert scores(other, condition) == pytest.approx(scores(done, condition), abs=1e-6)
        assert scores(done, condition) != pytest.approx(clean, abs=1e-4)


def test_crops_that_were_cut_again_are_kept(
    places: tuple[str, Path], manifest: Manifest, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(places, manifest.path, tmp_path / "a", conditions=CONDITIONS[:1], roots={"ff++": tree})
    kept = list((tmp_path / "cache" / "dfbench" / "crops").glob("*/*.bin"))
    assert len(kept) == 1

    def no_more(*arguments: object) -> None:
        raise AssertionError("cut again although it was kept")

    monkeypatch.setattr(degraded_module.Degrader, "encoded", no_more)
    again = run(places, manifest.path, tmp_path / "b", conditions=CONDITIONS[:1], roots={"ff++": tree}, workers=2)
    assert scores(again, CONDITIONS[0]) == scores(first, CONDITIONS[0])


def test_roots_come_from_the_configuration(
    places: tuple[str, Path], manifest: Manifest, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"median:k=5@source acts before cropping .*no root is known") as error:
        run(places, manifest.path, tmp_path / "run", conditions=["median:k=5@source"])
    assert "--root" in error.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="acts before cropping"):
        run(places, manifest.path, tmp_path / "run", conditions=["JP60@source"], roots={"ff++": tmp_path / "empty"})
    monkeypatch.setenv("DFBENCH_ROOTS", f"ff++={tree}")
    done = run(places, manifest.path, tmp_path / "run", conditions=["median:k=5@source"])
    assert set(done.scores_table["condition"].to_pylist()) == {"clean", "median:k=5@source"}


def test_training_under_a_clip_condition(
    places: tuple[str, Path], manifest: Manifest, tree: Path, tmp_path: Path
) -> None:
    from dfbench.models.card import read_card
    from dfbench.models.weights import read_state

    options: dict[str, Any] = {"device": "cpu", "quiet": True}
    file = tmp_path / "under.toml"
    file.write_text(PROTOCOL.format(extra=f'conditions = {{ train = "{CONDITIONS[0]}" }}'), "utf-8")
    weights = dfbench.train("meso4", file, [manifest.path], tmp_path / "a.safetensors", roots={"ff++": tree}, **options)
    assert read_card(weights).train_condition == CONDITIONS[0]
    copy = degrade(manifest, CONDITIONS[0], tmp_path / "m", root=tree, workers=1, quiet=True)
    other = dfbench.train("meso4", places[1], [copy.path], tmp_path / "b.safetensors", **options)
    one, two = read_state(weights), read_state(other)
    assert all(bool((tensor == two[name]).all()) for name, tensor in one.items())
