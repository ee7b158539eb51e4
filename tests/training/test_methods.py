"""Training methods that make an object for their steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dfbench.cli.main import run_command
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.evaluation.run import open_run
from dfbench.models.card import read_card
from dfbench.models.registry import get_spec
from dfbench.protocols.files import load_protocol
from dfbench.training import Batch, StepResult, TrainingMethod, TrainingRequest, TrainingStep, supervised_step
from dfbench.training.methods import TRAINING_METHODS, chosen_method
from dfbench.workflow import evaluate, resolve_training, train
from reference_models.rfm.steps import RepresentativeForgeryMining


class Scaled(nn.Module):
    """A step with a parameter of its own, which freezes the detector's first layer in the first epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.epochs: list[int] = []
        self.passes = 0
        self.moved: list[bool] = []

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        self.epochs.append(epoch)
        self.first = next(detector.parameters())
        self.before = self.first.detach().clone()
        self.first.requires_grad_(epoch > 0)

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        result = supervised_step(detector, batch)
        return StepResult(result.loss * self.scale.square() + (self.scale - 2).square(), result.output)

    def after_backward(self, detector: nn.Module) -> None:
        assert self.scale.grad is not None
        self.passes += 1
        self.moved.append(not torch.equal(self.first, self.before))


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})

    def register(made: Any) -> str:
        if isinstance(made, TrainingMethod):
            TRAINING_METHODS.register("own", made)
            return "own"
        TRAINING_METHODS.register("own", TrainingMethod("own", "of a test", make=lambda detector: made))
        return "own"

    return register


@pytest.mark.slow
def test_its_parameters_are_trained_and_its_phases_kept(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    step = Scaled()
    assert isinstance(step, TrainingStep)
    train(
        "meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method=method(step), device="cpu", quiet=True
    )
    assert step.epochs == [0, 1]
    assert step.passes == 8
    assert float(step.scale.detach()) != 1.0
    assert step.moved[:4] == [False] * 4, "frozen in the first epoch"
    assert step.moved[-1], "and trained in the second"


def test_what_it_makes_is_checked(tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]) -> None:
    with pytest.raises(ModelError, match="makes Linear, which is no TrainingStep"):
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method=method(nn.Linear(1, 1)))


@pytest.mark.parametrize("both", [True, False])
def test_a_method_has_a_function_or_makes_an_object(both: bool) -> None:
    given = {"step": supervised_step, "make": lambda detector: Scaled()} if both else {}
    with pytest.raises(UsageError, match="either step or make"):
        TRAINING_METHODS.register("wrong", TrainingMethod("wrong", "of a test", **given))


@pytest.mark.parametrize("field", [{"choices": {"sise": ("1",)}}, {"folders": {"sise": ()}}, {"storage": ("sise",)}])
def test_what_a_method_says_of_options_names_its_options(field: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="'sise' is not"):
        TRAINING_METHODS.register("own", own(step=supervised_step, options={"size": "1"}, **field))


def own(**given: Any) -> TrainingMethod:
    return TrainingMethod("own", "of a test", **given)


def doubled(detector: nn.Module, batch: Batch, *, factor: float = 2.0) -> StepResult:
    result = supervised_step(detector, batch)
    return replace(result, loss=result.loss * factor)


@pytest.mark.slow
def test_options_reach_the_step_and_the_card(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    name = method(own(step=doubled, options={"factor": 2.0}))
    losses = []
    for chosen in ({}, {"factor": 4.0}):
        out = tmp_path / f"{len(losses)}.safetensors"
        common = {"device": "cpu", "quiet": True, "epochs": 1, "lr": 1e-9}
        weights = train("meso4", tiny.protocol, tiny.manifest, out, method=name, method_options=chosen, **common)
        card = read_card(weights)
        assert (card.training_method, card.method_options) == ("own", {"factor": 2.0} | chosen)
        assert card.overrides == {"epochs": 1, "lr": 1e-9} | {f"own.{k}": v for k, v in chosen.items()}
        losses.append(float(weights.with_suffix(".curve.csv").read_text().splitlines()[1].split(",")[2]))
    assert losses[1] == pytest.approx(2 * losses[0], rel=1e-3)


def test_options_are_checked_before_anything_is_made(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    seen: list[TrainingRequest] = []

    def check(request: TrainingRequest) -> None:
        seen.append(request)
        if request.model.name == "grnet":
            raise UsageError("own cannot train grnet", "train another detector")

    name = method(own(step=doubled, options={"factor": 2.0}, check=check))
    given = (tiny.protocol, tiny.manifest, tmp_path / "w.safetensors")
    resolve_training("meso4", *given, method=name, epochs=3)
    (request,) = seen
    assert (request.recipe.epochs, request.protocol.name, dict(request.options)) == (3, "tiny", {"factor": 2.0})
    with pytest.raises(UsageError, match="cannot train grnet"):
        resolve_training("grnet", *given, method=name)
    with pytest.raises(UsageError, match="method own has no option 'factors'") as caught:
        resolve_training("meso4", *given, method=name, method_options={"factors": 1.0})
    assert "did you mean 'factor'" in caught.value.hint
    with pytest.raises(UsageError, match="takes a number"):
        resolve_training("meso4", *given, method=name, method_options={"factor": "much"})
    with pytest.raises(UsageError, match="training method supervised has no option"):
        resolve_training("meso4", *given, method_options={"factor": 1.0})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_method_sees_columns_of_the_manifest(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    seen: dict[str, tuple[str, int]] = {}

    def step(detector: nn.Module, batch: Batch) -> StepResult:
        pairs = zip(batch.columns["scene_group"], batch.columns["frame_index"], strict=True)
        seen.update(zip(batch.sample_ids, pairs, strict=True))
        assert batch.real_classes == (0,)
        return supervised_step(detector, batch)

    name = method(own(step=step, columns=("scene_group", "frame_index")))
    out = tmp_path / "w.safetensors"
    train("meso4", tiny.protocol, tiny.manifest, out, method=name, device="cpu", quiet=True, epochs=1)
    assert len(seen) == 32
    for sample, (group, frame) in seen.items():
        assert sample.split("/")[-1] == f"{group}#{frame:06d}.0"


@pytest.mark.parametrize("column", ["landmarks", "nothing"])
def test_a_manifest_without_the_columns_is_refused(
    column: str, tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    name = method(own(step=doubled, columns=(column,)))
    with pytest.raises(DataError, match=f"needs the column '{column}'") as caught:
        resolve_training("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method=name)
    assert "prepare a manifest" in caught.value.hint


def test_extras_that_manifests_cannot_have_are_refused_with_the_method(method: Callable[[Any], str]) -> None:
    with pytest.raises(UsageError, match="not 'patches'"):
        method(own(step=doubled, extras=("dense", "patches")))


def test_batches_are_balanced_where_the_method_needs_it(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    rules = load_protocol(tiny.protocol)
    natural = rules.model_copy(update={"training": rules.training.model_copy(update={"sampling": "natural"})})
    paired = rules.model_copy(update={"training": rules.training.model_copy(update={"sampling": "paired"})})
    name = method(own(step=doubled, sampling="balanced"))
    found = []
    for protocol, chosen in ((natural, None), (natural, name), (paired, name)):
        flow = resolve_training("meso4", protocol, tiny.manifest, tmp_path / "w.safetensors", method=chosen)
        found.append(flow.training.recipe.sampling)
        assert any("sampling is balanced" in note for note in flow.notes) == (protocol is natural and chosen == name)
    assert found == ["natural", "balanced", "paired"]


def test_default_weight_files_are_named_after_an_added_method(
    tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    cases = (("meso4", None, "meso4"), ("meso4", "rfm", "meso4-rfm"), ("rfm", None, "rfm"), ("rfm", "rfm", "rfm"))
    for model, chosen, stem in cases:
        plan = resolve_training(model, tiny.protocol, tiny.manifest, method=chosen).training
        assert plan.out.stem == stem
        assert plan.method.name == (chosen or get_spec(model).training_method)


def test_methods_exclude_each_other(tiny: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"--protocol {tiny.protocol} --manifest {tiny.manifest} --out {tmp_path / 'w.safetensors'}".split()
    assert run_command(["train", "--model", "meso4", *data, "--method", "rfm", "--method", "supervised"]) == 2
    assert "rfm and supervised exclude each other" in capsys.readouterr().err
    assert run_command(["train", "--model", "rfm", *data, "--method", "supervised"]) == 2
    told = capsys.readouterr().err
    assert "excludes 'supervised'" in told
    assert "dfbench train --model xception --method supervised" in told
    with pytest.raises(UsageError, match="unknown training method 'rfn'"):
        chosen_method(get_spec("rfm"), "rfn")
    assert run_command(["train", "--model", "meso4", *data, "--method", "rfm", "--method-option", "blocks=0"]) == 2
    assert "blocks" in capsys.readouterr().err
    assert run_command(["train", "--model", "meso4", *data, "--method", "rfm", "--method-option", "blocks"]) == 2
    assert "--method-option name=value" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_methods_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "training-methods"]) == 0
    assert "representative forgery mining" in capsys.readouterr().out
    assert run_command(["list", "training-methods", "--long"]) == 0
    assert "blocks=3" in capsys.readouterr().out


@pytest.mark.slow
def test_activation_erasing_without_a_final_map_is_refused_before_the_first_step(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Batch] = []
    monkeypatch.setattr(RepresentativeForgeryMining, "__call__", lambda self, detector, batch: trained.append(batch))
    given = {"method": "rfm", "method_options": {"erase": "ae"}, "device": "cpu", "quiet": True, "epochs": 1}
    with pytest.raises(ModelError, match="no final feature map") as caught:
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", **given)
    assert "--method-option erase=sfe" in caught.value.hint
    assert not trained
    assert not (tmp_path / "w.safetensors").exists()


def test_weights_cards_and_results_name_the_method(tiny: SimpleNamespace, tmp_path: Path) -> None:
    common = {"device": "cpu", "quiet": True, "epochs": 1}
    given = {"method": "rfm", "method_options": {"blocks": 2}}
    weights = train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", **common, **given)
    card = read_card(weights)
    assert card.training_method == "rfm"
    assert card.method_options == dict(TRAINING_METHODS.get("rfm").options) | {"blocks": 2}
    assert card.overrides == {"epochs": 1, "rfm.blocks": 2}
    assert card.recipe["method_version"] == "1"
    run = evaluate("meso4", tiny.protocol, tiny.manifest, weights, tmp_path / "run", device="cpu", quiet=True)
    assert {value.training_method for value in run.result.metrics} == {"rfm blocks=2"}
    assert open_run(run.folder).label == "meso4 + rfm blocks=2"
