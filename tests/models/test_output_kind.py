"""Detectors of users that return probabilities: recognised, reported, and converted where they say so."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.evaluation.detector import doubt_of
from dfbench.models.build import build_model
from dfbench.models.interface import fake_probability, logits_of
from dfbench.models.output_kind import output_doubt
from dfbench.models.source import model_source


class Raw(nn.Module):
    """Two logits with a spread on both sides of 0."""

    def forward(self, images: Tensor) -> Tensor:
        y = 25 * (images.mean(dim=(1, 2, 3)) - 0.47)
        return torch.stack([-y / 2, y / 2], 1)


class Softmaxed(Raw):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).softmax(1)


class Sigmoided(Raw):
    def forward(self, images: Tensor) -> Tensor:
        y = super().forward(images)
        return torch.sigmoid(y[:, 1] - y[:, 0])


class Reshaped(Sigmoided):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).view(-1, 1).squeeze(1)[:, None].float()


class TwoSigmoids(Raw):
    def forward(self, images: Tensor) -> Tensor:
        return (super().forward(images) + 1).sigmoid()


class Stacked(Sigmoided):
    """P(real) and P(fake) put together by hand: the last operation is no softmax."""

    def forward(self, images: Tensor) -> Tensor:
        p = super().forward(images)
        return torch.stack([1 - p, p], 1)


class NoGradients(Softmaxed):
    """As exported code that switches gradients off."""

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        images -= 0.0  # in place, which a leaf with gradients would refuse
        return super().forward(images)


class LogSoftmaxed(Raw):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).log_softmax(1)


class HalfProbabilities(Softmaxed):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).half()


def images() -> Tensor:
    return torch.linspace(0.05, 0.95, 24).view(-1, 1, 1, 1).repeat(1, 3, 8, 8)


def scores(network: nn.Module) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        logits = logits_of(network.eval()(images()), 24)
    return logits, fake_probability(logits)


TRUTH = fake_probability(Raw()(images()))
PROBABILITIES = (Softmaxed, Sigmoided, Reshaped, TwoSigmoids, Stacked, NoGradients, HalfProbabilities)


@pytest.mark.parametrize("detector", PROBABILITIES)
def test_probabilities_are_reported(detector: type[nn.Module], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dfbench"):
        network = build_model(detector, image_size=8)
    assert "look like probabilities" in caplog.text
    logits, _ = scores(network)
    assert "outputs_probabilities = True" in doubt_of(model_source(detector), network, logits.numpy())


@pytest.mark.parametrize("detector", [Raw, LogSoftmaxed])
def test_logits_are_not_reported(detector: type[nn.Module], caplog: pytest.LogCaptureFixture) -> None:
    network = build_model(detector, image_size=8)
    logits, p_fake = scores(network)
    assert doubt_of(model_source(detector), network, logits.numpy()) == ""
    assert caplog.text == ""
    assert p_fake.numpy() == pytest.approx(TRUTH.numpy(), abs=1e-6)


@pytest.mark.parametrize("detector", [Softmaxed, Sigmoided, Reshaped, Stacked, NoGradients, HalfProbabilities])
def test_declared_probabilities_are_the_scores(
    detector: type[nn.Module], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "outputs_probabilities", True, raising=False)
    network = build_model(detector, image_size=8)
    logits, p_fake = scores(network)
    assert p_fake.numpy() == pytest.approx(TRUTH.numpy(), abs=1e-3 if detector is HalfProbabilities else 2e-6)
    assert torch.isfinite(logits).all()
    assert caplog.text == ""
    assert doubt_of(model_source(detector), network, logits.numpy()) == ""


def test_an_instance_may_declare_it_and_certain_answers_stay_finite() -> None:
    network = Sigmoided()
    network.outputs_probabilities = True
    built = build_model(network, image_size=8)
    black, white = built(torch.zeros(1, 3, 8, 8)).logits, built(torch.full((1, 3, 8, 8), 100.0)).logits
    assert torch.isfinite(torch.cat([black, white])).all()
    assert fake_probability(white).item() == pytest.approx(1.0, abs=1e-7)


def test_declared_probabilities_are_trained_by_their_logarithm() -> None:
    """Cross-entropy of the logits is the negative logarithm of the probability."""
    from dfbench.models.interface import loss_of

    network = Softmaxed()
    network.outputs_probabilities = True
    built = build_model(network, image_size=8)
    targets = torch.arange(24) % 2
    loss = loss_of(built, built(images().requires_grad_()), targets)
    expected = -Raw()(images()).log_softmax(1)[torch.arange(24), targets].mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("detector", "message"),
    [(Raw, "but one is -?"), (TwoSigmoids, "those of one image sum to"), (object, "is 'yes', not True")],
)
def test_a_wrong_declaration_is_refused(detector: type, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = detector if detector is not object else Softmaxed
    monkeypatch.setattr(kind, "outputs_probabilities", True if detector is not object else "yes", raising=False)
    with pytest.raises(ModelError, match=message):
        build_model(kind, image_size=8)(images())


def test_few_values_between_0_and_1_say_nothing() -> None:
    one = np.linspace(0.1, 0.9, 40)[:, None]
    assert output_doubt(one[:10]) == ""
    assert "all 40 are in [0,1]" in output_doubt(one)
    assert output_doubt(np.full((40, 1), 0.5)) == ""  # constant outputs are another fault
    assert output_doubt(np.zeros((40, 2))) == ""
    assert output_doubt(np.zeros((0, 1))) == ""
    assert output_doubt(one - 0.2) == ""
