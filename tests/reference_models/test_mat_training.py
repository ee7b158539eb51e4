"""A training of MAT in two phases: interrupted in each of them and resumed, it ends with the same weights."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from loading import load_file
from tiny_backbone import TinyBackbone

from dfbench.errors import ModelError, UsageError
from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training.module import TrainingModule
from dfbench.workflow import evaluate, train
from dfbench.workflow.training import resolve_training
from reference_models.mat import network as mat

pytestmark = pytest.mark.slow

STEPS = 3  # of an epoch
Place = tuple[int, int]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A manifest of twelve training crops of 96 pixels, and a protocol with three epochs."""
    drawn = load_file("tests/evaluation/conftest.py", "crops_of_96_pixels")
    drawn.SIZE = 96
    base = tmp_path_factory.mktemp("mat")
    text = drawn.PROTOCOL.format(name="mat-test", dataset="folder").replace("size = 64", "size = 96")
    protocol = base / "mat-test.toml"
    protocol.write_text(text.replace("epochs = 2\nbatch_size = 8", "epochs = 3\nbatch_size = 4"), "utf-8")
    return SimpleNamespace(protocol=protocol, manifest=drawn.build(base / "manifest", groups=3))


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """``.seen``: epochs and batches gone through; ``.stop``: where the user interrupts, one after the other."""
    monkeypatch.setattr(mat, "timm_network", lambda *_, num_classes, **__: TinyBackbone(num_classes))
    step = TrainingModule.training_step
    found = SimpleNamespace(seen=[], stop=[])

    def training_step(self: TrainingModule, batch: Any, number: int) -> Any:
        place = (self.epoch, self.start.batches + number)
        if found.stop and place == found.stop[0]:
            del found.stop[0]
            raise KeyboardInterrupt
        found.seen.append(place)
        return step(self, batch, number)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    return found


def run(data: SimpleNamespace, out: Path, **options: Any) -> Path:
    chosen = {"padding": "same", "backbone_epochs": 1, "alpha": 0.2}
    return train("mat", data.protocol, data.manifest, out, device="cpu", quiet=True, options=chosen, **options)


def test_interrupted_in_both_phases_equals_undisturbed(
    data: SimpleNamespace, tmp_path: Path, places: SimpleNamespace
) -> None:
    whole, broken = tmp_path / "a" / "w.safetensors", tmp_path / "b" / "w.safetensors"
    run(data, whole)
    assert places.seen == [(epoch, batch) for epoch in range(3) for batch in range(STEPS)]
    places.seen.clear()
    places.stop = [(0, 1), (2, 2)]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(data, broken, save_every=0.0)
    run(data, broken, save_every=0.0)
    assert places.seen == [(epoch, batch) for epoch in range(3) for batch in range(STEPS)], "nothing was done twice"
    one, two = read_state(whole), read_state(broken)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name
    curves = [list(csv.DictReader(w.with_suffix(".curve.csv").open())) for w in (whole, broken)]
    for row in [row for curve in curves for row in curve]:
        del row["seconds"]
    assert curves[0] == curves[1]
    assert [bool(row["val_backbone"]) for row in curves[0]] == [True, False, False], "its own head, in the first phase"
    if read_card(whole).selection.epoch > 1:
        assert one["independence.centres"].any()
        assert float(one["independence.alpha"]) < 0.2
    found = evaluate("mat", data.protocol, data.manifest, whole, tmp_path / "run", device="cpu", quiet=True)
    assert "crops of 96 px are not the published size (380)" in found.result.caution


def test_a_training_of_the_first_phase_alone_is_refused(data: SimpleNamespace) -> None:
    with pytest.raises(UsageError, match=r"first 3 epochs \(backbone_epochs=3\), and the training has 3") as caught:
        resolve_training("mat", data.protocol, data.manifest, options={"backbone_epochs": 3})
    assert "--epochs 4" in caught.value.hint
    with pytest.raises(UsageError, match=r"first 20 epochs"):
        resolve_training("mat", data.protocol, data.manifest, preset="code")
    with pytest.raises(UsageError, match="may end after 1 epochs") as caught:
        resolve_training("mat", data.protocol, data.manifest, options={"backbone_epochs": 1}, patience=1)
    assert "--patience 2" in caught.value.hint
    with pytest.raises(UsageError, match=r"head_epochs=3"):
        resolve_training("xception", data.protocol, data.manifest, options={"head_epochs": 3})
    with pytest.raises(UsageError, match="several devices"):
        resolve_training("mat", data.protocol, data.manifest, device="cpu", devices=2, options={"backbone_epochs": 1})


def test_another_size_than_the_published_one_is_noted(data: SimpleNamespace) -> None:
    noted = resolve_training("mat", data.protocol, data.manifest).notes
    assert "mat: crops of 96 px are not the published size (380)" in noted


def test_crops_below_96_pixels_are_refused_before_anything_is_made(data: SimpleNamespace, tmp_path: Path) -> None:
    protocol = tmp_path / "small.toml"
    protocol.write_text(data.protocol.read_text("utf-8").replace("size = 96", "size = 64"), "utf-8")
    out = tmp_path / "made" / "w.safetensors"
    with pytest.raises(ModelError, match="mat takes sizes of at least 96 pixels, not 64") as caught:
        resolve_training("mat", protocol, data.manifest, out)
    assert "380" in caught.value.hint
    assert not out.parent.exists()
