"""Training under a condition, and degradations as augmentation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dfbench import degrade
from dfbench.errors import DataError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.manifest.manifest import open_manifest
from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.preparation.derived.degrade import degrade as degrade_manifest
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.training import augment
from dfbench.training.augment import DegradedAtRandom
from dfbench.training.recipe import fill_recipe
from dfbench.workflow import evaluate, train

pytestmark = pytest.mark.slow

AUGMENTED = """
[training.augmentation]
flip = 0.5
degradations = ["JP60", "gaussian-noise:sigma=8"]
degradations_p = 0.6
"""


def run(protocol: Path | Protocol, manifest: Path, out: Path | None = None, **options: Any) -> Path:
    fixed: dict[str, Any] = {"device": "cpu", "quiet": True}
    return train("meso4", protocol, [manifest], out / "w.safetensors" if out else None, **fixed | options)


def assert_same(first: Path, second: Path) -> None:
    one, two = read_state(first), read_state(second)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.fixture
def augmented(tiny: SimpleNamespace, tmp_path: Path) -> Path:
    file = tmp_path / "augmented.toml"
    file.write_text(tiny.protocol.read_text("utf-8") + AUGMENTED, "utf-8")
    return file


def test_a_condition_of_the_call_equals_a_degraded_manifest(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights = run(tiny.protocol, tiny.manifest, tmp_path / "a", condition="jpeg:q=60")
    card = read_card(weights)
    assert card.train_condition == "JP60"
    made = degrade_manifest(tiny.manifest, "JP60", tmp_path / "jp60", workers=1, quiet=True)
    other = run(tiny.protocol, made.path, tmp_path / "b")
    assert read_card(other).train_condition == "JP60"
    assert_same(weights, other)
    done = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, tmp_path / "run", device="cpu", quiet=True)
    assert {(m.train_condition, m.condition) for m in done.result.metrics} == {("JP60", "clean")}
    clean = read_state(run(tiny.protocol, tiny.manifest, tmp_path / "c"))
    assert any(not torch.equal(tensor, clean[name]) for name, tensor in read_state(weights).items())
    with pytest.raises(DataError, match="already degraded, under JP60"):
        run(tiny.protocol, made.path, tmp_path / "d", condition="ME5")


def test_a_condition_of_the_protocol(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "me5.toml"
    file.write_text(tiny.protocol.read_text("utf-8") + '\n[conditions]\ntrain = "ME5"\n', "utf-8")
    weights = run(file, tiny.manifest, tmp_path / "a")
    assert read_card(weights).train_condition == "ME5"
    clean = run(file, tiny.manifest, tmp_path / "b", condition="clean")
    assert read_card(clean).train_condition == "clean"
    assert_same(clean, run(tiny.protocol, tiny.manifest, tmp_path / "c"))


def test_weights_of_another_condition_have_a_place_of_their_own(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    plain = run(tiny.protocol, tiny.manifest)
    weights = run(tiny.protocol, tiny.manifest, condition="mean:k=3+JP60")
    assert (plain.name, weights.name) == ("meso4.safetensors", "meso4-mean-k-3-JP60.safetensors")
    assert read_card(plain).train_condition == "clean"


def test_augmentation_is_drawn_from_id_epoch_and_seed(tiny: SimpleNamespace, augmented: Path) -> None:
    protocol = load_protocol(augmented)
    data = role_data(protocol, [open_manifest(tiny.manifest)], "train")
    recipe = fill_recipe(protocol.training, _defaults())
    rules = recipe.augmentation
    assert (rules.degradations, rules.degradations_p) == (("JP60", "gaussian-noise:sigma=8"), 0.6)
    first = DegradedAtRandom(data.images, data.sample_ids, rules, recipe.seed)
    again = DegradedAtRandom(data.images, data.sample_ids, rules, recipe.seed)
    places = list(range(len(first)))
    shown = {place: first[place][0] for place in places}
    for place in reversed(places):
        assert torch.equal(again[place][0], shown[place])
        assert again[place][1] == place
    changed = np.mean([not torch.equal(shown[p], data.images[p][0]) for p in places])
    assert 0.3 < changed < 0.9
    crop = {p: np.ascontiguousarray(data.images[p][0].permute(1, 2, 0).numpy()) for p in places}
    jpeg = [
        torch.equal(shown[p].permute(1, 2, 0), torch.from_numpy(degrade.apply("JP60", crop[p], ""))) for p in places
    ]
    assert 0 < sum(jpeg) < changed * len(places)
    assert first.in_epoch(places, 0) == places
    later = dict(zip(places, first.in_epoch(places, 1), strict=True))
    assert all(first[item][1] == place for place, item in later.items())
    assert any(not torch.equal(first[later[p]][0], shown[p]) for p in places)


def _defaults() -> Any:
    from dfbench.models.registry import get_spec

    return get_spec("meso4").recipe


def test_augmented_training_is_resumed_exactly(
    tiny: SimpleNamespace, augmented: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run(augmented, tiny.manifest, tmp_path / "a", epochs=2)
    assert read_card(undisturbed).recipe["augmentation"]["degradations"] == ["JP60", "gaussian-noise:sigma=8"]
    plain = read_state(run(tiny.protocol, tiny.manifest, tmp_path / "p", epochs=2))
    assert any(not torch.equal(tensor, plain[name]) for name, tensor in read_state(undisturbed).items())
    real = augment.DegradedAtRandom.__getitem__

    def killed(self: DegradedAtRandom, place: int) -> Any:
        if place >= len(self):  # the second epoch
            raise KeyboardInterrupt
        return real(self, place)

    monkeypatch.setattr(augment.DegradedAtRandom, "__getitem__", killed)
    with pytest.raises(KeyboardInterrupt):
        run(augmented, tiny.manifest, tmp_path / "b", epochs=2)
    monkeypatch.undo()
    assert_same(undisturbed, run(augmented, tiny.manifest, tmp_path / "b", epochs=2))
    monkeypatch.setattr("dfbench.manifest.crop_cache.cache_home", lambda: tmp_path / "cache")
    assert_same(undisturbed, run(augmented, tiny.manifest, tmp_path / "c", epochs=2, workers=2, decoded=True))
    assert len(list((tmp_path / "cache").rglob("*.bin"))) == 2, "training and validation crops, in one entry"


@pytest.mark.parametrize(
    ("words", "match"),
    [('["jpg:q=60"]', "did you mean"), ('["h264:crf=40"]', "act @crop"), ('["clean"]', "act @crop")],
)
def test_degradations_that_cannot_augment(tiny: SimpleNamespace, tmp_path: Path, words: str, match: str) -> None:
    file = tmp_path / "p.toml"
    text = tiny.protocol.read_text("utf-8") + f"\n[training.augmentation]\ndegradations = {words}\n"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match=match):
        load_protocol(file)
    with pytest.raises(UsageError, match="unknown degradation"):
        run(tiny.protocol, tiny.manifest, tmp_path, condition="jpg:q=60")
