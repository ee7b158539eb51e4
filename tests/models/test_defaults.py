"""Defaults that change: cards list every option, and what an old card means by one that it lacks; presets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dfbench.cli.main import run_command
from dfbench.errors import ModelError, UsageError
from dfbench.models import ModelSpec, Preset, TrainingDefaults
from dfbench.models.build import build_model
from dfbench.models.card import IntendedUse, SelectionRecord, WeightCard, card_path, check_card, read_card
from dfbench.models.options import cautions, preset_options, recorded_options
from dfbench.models.registry import get_spec, model_names
from dfbench.models.source import ModelSource
from dfbench.models.weights import load_weights, save_weights
from dfbench.training.train import _options_of_identity
from dfbench.workflow import resolve_evaluation, resolve_training

SIZE = 64
FORMER = get_spec("meso4").options["normalization"]


def card(**changes: object) -> WeightCard:
    selection = SelectionRecord(split="none", epoch=1)
    fields = {"model": "meso4", "num_classes": 2, "profile": "native", "size": SIZE, "mini": False}
    return WeightCard.model_validate(fields | {"selection": selection} | changes)


def changed_spec(former: bool = True) -> ModelSpec:
    """Meso-4 with another default of its normalisation than today's."""
    spec = get_spec("meso4")
    return replace(
        spec,
        options=dict(spec.options) | {"normalization": "half"},
        former_defaults={"normalization": FORMER} if former else {},
    )


def source(spec: ModelSpec) -> ModelSource:
    return ModelSource(spec, spec.name)


@pytest.fixture
def old_weights(tmp_path: Path) -> Path:
    """Weights of Meso-4 whose card lists no option, as cards of 0.1.0."""
    torch.manual_seed(1)
    path = tmp_path / "old.safetensors"
    save_weights(path, build_model("meso4", 2, SIZE), card())
    return path


def test_weights_from_before_a_change_still_are_the_network_that_they_were(old_weights: Path) -> None:
    images = torch.rand(2, 3, SIZE, SIZE)
    before, _ = load_weights(old_weights)
    after, _ = load_weights(old_weights, IntendedUse(model=source(changed_spec())))
    with torch.inference_mode():
        assert torch.equal(after(images).logits, before(images).logits)
    with pytest.raises(ModelError, match="other scores than when they were saved"):
        load_weights(old_weights, IntendedUse(model=source(changed_spec(former=False))))


def test_weights_from_after_a_change_have_the_new_default(tmp_path: Path) -> None:
    spec, path = changed_spec(), tmp_path / "new.safetensors"
    network = source(spec).build(2, SIZE, {})
    save_weights(path, network, card(options=dict(spec.options)))
    loaded, _ = load_weights(path, IntendedUse(model=source(spec)))
    images = torch.rand(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        assert torch.equal(loaded(images).logits, network.eval()(images).logits)


@pytest.mark.parametrize("name", model_names())
def test_former_defaults_and_presets_are_options_with_values_that_exist(name: str) -> None:
    spec = get_spec(name)
    for options in (spec.former_defaults, *(preset.options for preset in spec.presets.values())):
        assert set(options) <= set(spec.options)
        assert all(isinstance(value, type(spec.options[option])) for option, value in options.items())
    assert set(recorded_options(spec, {})) == set(spec.options)


def test_an_evaluation_says_that_weights_have_a_former_default(old_weights: Path, tiny: SimpleNamespace) -> None:
    places = {"weights": old_weights, "device": "cpu", "allow_crop_mismatch": True}
    given = (tiny.protocol, tiny.manifest)
    assert not resolve_evaluation("meso4", *given, **places).notes
    (note,) = resolve_evaluation(source(changed_spec()), *given, **places).notes
    assert f"a former default of meso4: normalization={FORMER} (now half)" in note


def test_a_stored_training_is_not_continued_with_another_default(tmp_path: Path, tiny: SimpleNamespace) -> None:
    plan = resolve_training("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", device="cpu").training
    assert _options_of_identity(plan) == {}, "of a detector whose defaults are as they were, nothing changes"
    other = replace(plan, source=source(changed_spec()))
    assert _options_of_identity(other) == {"normalization": "half"}
    given = replace(other, options={"normalization": "none"})
    assert _options_of_identity(given) == {"normalization": "none"}


def test_the_paper_preset_is_the_literal_reading() -> None:
    with torch.device("meta"):
        network = build_model("grnet", preset="paper")
        changed = build_model("grnet", preset="paper", residual_norm="batch")
    assert (network.residual_norm, network.afm_scale, network.afm_residual) == ("imagenet", False, False)
    assert (changed.residual_norm, changed.afm_scale) == ("batch", False), "explicit options override the preset"


def test_an_unknown_preset_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="unknown preset of grnet 'papper'") as caught:
        build_model("grnet", preset="papper")
    assert "'paper'" in caught.value.hint
    with pytest.raises(UsageError, match="meso4 has no presets"):
        build_model("meso4", preset="paper")


def test_an_option_named_preset_of_ones_own_detector_is_still_its_own() -> None:
    class Net(torch.nn.Module):
        def __init__(self, num_classes: int = 2, preset: str = "small") -> None:
            super().__init__()
            self.preset, self.head = preset, torch.nn.Linear(3, num_classes)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(images.mean(dim=(2, 3)))  # type: ignore[no-any-return]

    assert build_model(Net, preset="large").network.preset == "large"


def test_a_preset_goes_into_plan_card_and_file_name(tmp_path: Path, tiny: SimpleNamespace, empty: Path) -> None:
    plan = resolve_training("grnet", tiny.protocol, tiny.manifest, preset="paper", options={"radius": 4}).training
    assert plan.options == {"residual_norm": "imagenet", "afm_scale": False, "afm_residual": False, "radius": 4}
    assert (plan.preset, plan.out.name) == ("paper", "grnet-paper.safetensors")
    evaluation = resolve_evaluation("grnet", "mini", preset="paper", device="cpu")
    assert evaluation.training is not None
    assert evaluation.training.preset == "paper"
    assert evaluation.evaluation.options == {}, "weights decide the options"


def test_a_preset_may_have_a_training_of_its_own() -> None:
    code = Preset("as in the published code", {"normalization": "half"}, TrainingDefaults(lr=0.25))
    spec = replace(get_spec("meso4"), presets={"code": code})
    found = source(spec).with_preset("code")
    assert (found.spec.recipe.lr, found.spec.options) == (0.25, spec.options)
    assert source(spec).with_preset("").spec is spec
    assert preset_options(spec, "code", {"normalization": "none"}) == {"normalization": "none"}


def test_weights_with_other_options_than_the_wanted_preset_are_refused() -> None:
    use = IntendedUse(model="grnet", preset="paper")
    check_card(card(model="grnet"), Path("w"), use)  # an old card, of the former defaults
    check_card(card(model="grnet", options={"residual_norm": True}), Path("w"), use)
    with pytest.raises(ModelError, match="have residual_norm=batch, the preset 'paper'") as caught:
        check_card(card(model="grnet", options={"residual_norm": "batch"}), Path("w"), use)
    assert "--preset paper" in caught.value.hint


def test_the_card_names_the_preset_only_where_there_is_one(old_weights: Path) -> None:
    assert "preset" not in json.loads(card_path(old_weights).read_text("utf-8"))
    assert read_card(old_weights).preset == ""
    assert card(preset="paper").model_dump()["preset"] == "paper"


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "models", "--long"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("grnet ")]
    assert "  paper: literal reading of the paper" in line


def test_readers_are_told_of_a_size_that_was_not_published() -> None:
    spec = ModelSpec("m", "m:M", published_sizes=(380, 299), caution="the faces are enlarged")
    assert cautions(spec, 299) == ["the faces are enlarged"]
    assert cautions(spec, 128) == ["the faces are enlarged", "crops of 128 px are not the published size (380, 299)"]
    assert cautions(get_spec("meso4"), 128) == []
