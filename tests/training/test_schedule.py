"""Learning rates, clipping, the moving average of the weights and early ends."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from dfbench.errors import UsageError
from dfbench.models.card import read_card
from dfbench.models.device import check_precision
from dfbench.models.registry import get_spec
from dfbench.models.spec import TrainingDefaults
from dfbench.models.weights import read_state
from dfbench.protocols.files import load_protocol
from dfbench.protocols.training_recipe import TrainingRecipe
from dfbench.training.averaging import averaged_network, moving_average
from dfbench.training.fit import Validation, out_of_patience
from dfbench.training.recipe import FullRecipe, fill_recipe
from dfbench.training.store import EpochRecord, TrainingState
from dfbench.workflow import train

PLAIN = TrainingDefaults()
EPOCHS, PER_EPOCH = 5, 8
STEPS = EPOCHS * PER_EPOCH


def rates(recipe: FullRecipe) -> list[float]:
    return [recipe.rate(step // PER_EPOCH, step, STEPS) for step in range(STEPS)]


def torchs(make: Any, warm: int) -> list[float]:
    """Return the learning rates of torch's schedulers, base rate 0.1."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler: LRScheduler = make(optimizer)
    if warm:
        first = LinearLR(optimizer, start_factor=1 / warm, total_iters=warm - 1)
        scheduler = SequentialLR(optimizer, [first, scheduler], milestones=[warm])
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("warmup", [0, 6, 0.2])
def test_rates_are_those_of_torchs_schedulers(warmup: float) -> None:
    warm = math.ceil(warmup * STEPS) if warmup < 1 else int(warmup)
    cosine = TrainingRecipe(lr=0.1, lr_schedule="cosine", lr_min=0.001, warmup=warmup)
    expected = torchs(lambda o: CosineAnnealingLR(o, STEPS - warm, 0.001), warm)
    assert rates(fill_recipe(cosine, PLAIN, epochs=EPOCHS)) == pytest.approx(expected, rel=1e-9)
    constant = TrainingRecipe(lr=0.1, lr_schedule="constant", warmup=warmup)
    expected = torchs(lambda o: ConstantLR(o, factor=1.0), warm)
    assert rates(fill_recipe(constant, PLAIN, epochs=EPOCHS)) == pytest.approx(expected, rel=1e-9)
    assert rates(fill_recipe(cosine, PLAIN, epochs=EPOCHS))[-1] < 0.0013, "it ends near lr_min"


def test_step_decay_is_torchs() -> None:
    stepped = TrainingRecipe(lr=0.1, lr_decay=0.5, lr_decay_steps=7)
    expected = torchs(lambda o: StepLR(o, 7, 0.5), 0)
    assert rates(fill_recipe(stepped, PLAIN, epochs=EPOCHS)) == pytest.approx(expected, rel=1e-9)
    warm = rates(fill_recipe(stepped, PLAIN, epochs=EPOCHS, warmup=4))
    assert warm[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert warm[4:] == pytest.approx(expected[4:]), "decays are counted from the first step"


def test_a_linear_rate_is_constant_and_then_falls_to_zero_over_the_epochs() -> None:
    """The published rule: ``lr - lr / (epochs - start) * (epoch - start)`` after the epoch ``int(epochs / 4 * 3)``."""
    recipe = fill_recipe(TrainingRecipe(lr=0.1, lr_schedule="linear", lr_linear_from=0.75), PLAIN, epochs=10)
    start = int(10 / 4 * 3)
    expected = [0.1 - 0.1 / (10 - start) * (epoch - start) if epoch > start else 0.1 for epoch in range(10)]
    assert [recipe.rate(epoch, 8 * epoch, 80) for epoch in range(10)] == pytest.approx(expected)
    assert recipe.rate(9, 72, 80) == recipe.rate(9, 79, 80) == pytest.approx(0.1 / 3)
    assert recipe.rate_depends_on_length
    whole = fill_recipe(TrainingRecipe(lr=0.1), PLAIN, epochs=4, lr_schedule="linear")
    assert [whole.rate(epoch, epoch, 4) for epoch in range(4)] == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_a_detector_may_have_a_linear_rate_of_its_own() -> None:
    own = TrainingDefaults(lr=0.1, lr_linear_from=0.5, epochs=8)
    filled = fill_recipe(TrainingRecipe(), own)
    assert (filled.lr_schedule, filled.lr_linear_from, filled.rate(6, 6, 8)) == ("linear", 0.5, pytest.approx(0.05))
    assert fill_recipe(TrainingRecipe(lr_decay=0.5), own).lr_schedule == "step"
    assert fill_recipe(TrainingRecipe(), own, lr_schedule="cosine").lr_linear_from == 0.0
    assert fill_recipe(TrainingRecipe(lr_schedule="linear"), own).lr_linear_from == 0.5
    assert fill_recipe(TrainingRecipe(lr_schedule="linear", lr_linear_from=0.0), own).lr_linear_from == 0.0


def test_a_schedule_replaces_the_detectors_decay() -> None:
    meso = get_spec("meso4").recipe
    cosine = fill_recipe(TrainingRecipe(), meso, lr_schedule="cosine")
    assert (cosine.lr_schedule, cosine.lr_decay, cosine.lr_decay_steps, cosine.lr_min) == ("cosine", 1.0, None, 0.0)
    assert fill_recipe(TrainingRecipe(lr_schedule="step"), meso) == fill_recipe(TrainingRecipe(), meso)
    assert fill_recipe(TrainingRecipe(), meso).lr_schedule == "step"
    assert fill_recipe(TrainingRecipe(), PLAIN).lr_schedule == "constant"
    constant = fill_recipe(TrainingRecipe(lr_decay=0.5), meso, lr_schedule="constant")
    assert constant.rate(9, 999, 1000) == constant.lr
    assert not constant.rate_depends_on_length
    assert cosine.rate_depends_on_length
    assert fill_recipe(TrainingRecipe(warmup=0.1), PLAIN).rate_depends_on_length


@pytest.mark.parametrize(
    "bad",
    [
        {"lr_schedule": "cosine", "lr_decay": 0.5},
        {"lr_schedule": "constant", "lr_min": 0.1},
        {"lr_schedule": "linea"},
        {"lr_decay": 0.5, "lr_schedule": "linear"},
        {"lr_linear_from": 0.5},
        {"lr_linear_from": 1.0, "lr_schedule": "linear"},
        {"warmup": 1.5},
        {"warmup": -1},
        {"clip_norm": 0},
        {"ema_decay": 1.0},
        {"patience": 0},
    ],
)
def test_fields_that_contradict_or_are_out_of_range(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        TrainingRecipe.model_validate(bad)


@pytest.mark.parametrize(
    "bad",
    [{"lr_schedule": "linea"}, {"warmup": 1.5}, {"clip_norm": 0.0}, {"ema_decay": 1.0}, {"patience": 0}, {"lrr": 1}],
)
def test_values_of_a_call_out_of_range(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        fill_recipe(TrainingRecipe(), PLAIN, **bad)


def test_fields_that_are_not_used_do_not_change_the_hash(tiny: SimpleNamespace, tmp_path: Path) -> None:
    plain = load_protocol(tiny.protocol)
    assert not {"lr_schedule", "warmup", "clip_norm", "ema_decay", "patience"} & plain.training.model_dump().keys()
    file = tmp_path / "own.toml"
    file.write_text(tiny.protocol.read_text("utf-8").replace("[training]\n", "[training]\nwarmup = 0.1\n"), "utf-8")
    assert load_protocol(file).hash != plain.hash


def test_the_average_follows_the_weights() -> None:
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    weight, norm = net[0].weight, net[1]
    average = moving_average(net, decay=0.5)
    expected = None
    for number in range(1, 6):
        with torch.no_grad():
            weight.fill_(float(number))
            norm.running_mean.fill_(float(number))
        average.update_parameters(net)
        decay = min(0.5, number / (9 + number))  # of the update before this one: the first one copies
        expected = float(number) if expected is None else decay * expected + (1 - decay) * number
        assert float(average.module[0].weight.detach()) == pytest.approx(expected, rel=1e-6)
    norm.running_mean.fill_(-1.0)
    assert float(averaged_network(average, net)[1].running_mean) == -1.0
    assert float(weight.detach()) == 5.0


def test_patience_counts_epochs_after_the_selected_one() -> None:
    recipe = fill_recipe(TrainingRecipe(patience=2), PLAIN)
    curve = [EpochRecord(epoch, 0.1, 1.0, "auc.video.mean", 0.5, 1.0) for epoch in range(1, 4)]
    assert out_of_patience(TrainingState(curve, best=0), recipe)
    assert not out_of_patience(TrainingState(curve, best=1), recipe)
    assert not out_of_patience(TrainingState(), recipe)
    assert not out_of_patience(TrainingState(curve, best=0), fill_recipe(TrainingRecipe(), PLAIN))


def test_a_training_that_does_not_improve_ends_early(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.7, 0.9, 0.8, 0.6, 1.0])
    monkeypatch.setattr("dfbench.training.fit.validate", lambda *_, **__: Validation(next(values)))
    out = tmp_path / "w.safetensors"
    train("meso4", tiny.protocol, tiny.manifest, out, epochs=5, patience=2, device="cpu", quiet=True)
    assert len(list(csv.DictReader((tmp_path / "w.curve.csv").open()))) == 4
    card = read_card(out)
    assert (card.selection.epoch, card.overrides) == (2, {"epochs": 5, "patience": 2})


def test_patience_needs_a_validation_metric(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "last.toml"
    file.write_text(tiny.protocol.read_text("utf-8") + '\n[selection]\nsplit = "none"\n', "utf-8")
    with pytest.raises(UsageError, match="patience needs a validation metric"):
        train("meso4", file, tiny.manifest, tmp_path / "w.safetensors", patience=2)


def test_clipping_and_averaging_change_the_weights(tiny: SimpleNamespace, tmp_path: Path) -> None:
    def weights(name: str, **values: Any) -> dict[str, torch.Tensor]:
        out = tmp_path / name / "w.safetensors"
        common = {"epochs": 1, "device": "cpu", "quiet": True}
        return read_state(train("meso4", tiny.protocol, tiny.manifest, out, **common, **values))

    plain, clipped, averaged = weights("a"), weights("b", clip_norm=1e-12), weights("c", ema_decay=0.9)
    name = next(n for n, t in plain.items() if n.endswith("weight") and t.ndim == 4)
    assert not torch.equal(plain[name], averaged[name])
    # Adam divides by the size of the gradient unless that is below its epsilon of 1e-8.
    initial = weights("d", lr=1e-12)
    assert float((clipped[name] - initial[name]).abs().max()) < 0.1 * float((plain[name] - initial[name]).abs().max())


def test_float16_needs_a_gpu(tiny: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fp16 needs a GPU"):
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", device="cpu", precision="fp16")
    check_precision("bf16", "cpu")


def test_the_decay_of_a_second_phase_begins_anew() -> None:
    """As two trainings with StepLR, of three epochs and of two."""
    recipe = TrainingDefaults(lr=0.1, lr_decay=0.5, lr_decay_epochs=2, lr_restart_epoch=3)
    found = rates(fill_recipe(TrainingRecipe(), recipe, epochs=EPOCHS))[::PER_EPOCH]
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.1, 0.1])
    other = fill_recipe(TrainingRecipe(lr_decay=0.5), recipe, epochs=EPOCHS)
    assert other.lr_restart_epoch is None, "a protocol's schedule replaces the whole of the detector's"
