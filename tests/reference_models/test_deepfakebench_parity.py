"""The answers of DeepfakeBench's detectors, from state dicts under its names that are imported as its files are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from efficientnet_names import package_name
from formula_weights import formula_images, formula_state, formula_tensor, key_digest, noise_tensor
from torch import Tensor

from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.interface import fake_probability
from dfbench.models.weights import load_weights

pytestmark = pytest.mark.slow

SIZE = 256
Shapes = dict[str, tuple[int, ...]]


def shapes_of(model: str, *renamed: tuple[str, str]) -> Shapes:
    """Names and shapes of one of our detectors, renamed."""
    with torch.device("meta"):
        state = build_model(model, 2, SIZE).state_dict()
    result: Shapes = {}
    for name, tensor in state.items():
        for pattern, new in renamed:
            name = re.sub(pattern, new, name)
        result[name] = tuple(tensor.shape)
    return result


def norm(name: str, planes: int) -> Shapes:
    tensors = {f"{name}.{what}": (planes,) for what in ("weight", "bias", "running_mean", "running_var")}
    return tensors | {f"{name}.num_batches_tracked": ()}


def xception() -> Shapes:
    """With a layer that is stored and not used."""
    unused = {"backbone.adjust_channel.0.weight": (512, 2048, 1, 1), "backbone.adjust_channel.0.bias": (512,)}
    own = shapes_of("xception", (r"^backbone\.fc\.", "backbone.last_linear."))
    return own | unused | norm("backbone.adjust_channel.1", 512)


def efficientnet() -> Shapes:
    own = shapes_of("efficientnet-b4", (r"^backbone\.", ""))
    names = {name: f"backbone.efficientnet.{package_name(name)}" for name in own}
    return {names[name].replace("efficientnet._fc.", "last_layer."): shape for name, shape in own.items()}


def capsule() -> Shapes:
    return shapes_of("capsule", (r"^vgg\.", "vgg_ext.vgg_1."))


DENSE: Shapes = {"fc1.weight": (16, 1024), "fc1.bias": (16,), "fc2.weight": (2, 16), "fc2.bias": (2,)}


def in_backbone(shapes: Shapes) -> Shapes:
    return {f"backbone.{name}": shape for name, shape in shapes.items()}


def meso4() -> Shapes:
    """Convolutions without bias, and two normalisations, each used twice."""
    kernels = {"conv1": (8, 3, 3, 3), "conv2": (8, 8, 5, 5), "conv3": (16, 8, 5, 5), "conv4": (16, 16, 5, 5)}
    convolutions = {f"{name}.weight": shape for name, shape in kernels.items()}
    return in_backbone(convolutions | norm("bn1", 8) | norm("bn2", 16) | DENSE)


def mesoinception4() -> Shapes:
    shapes = {"conv1.weight": (16, 12, 5, 5), "conv2.weight": (16, 16, 5, 5)} | norm("bn1", 16) | DENSE
    for block, inside, first in ((1, 3, 1), (2, 11, 2)):
        start = f"Incption{block}"
        shapes |= {f"{start}_conv1.weight": (first, inside, 1, 1)} | norm(f"{start}_bn", first + 10)
        for branch, width in ((2, 4), (3, 4), (4, 2)):
            shapes[f"{start}_conv{branch}_1.weight"] = (width, inside, 1, 1)
            shapes[f"{start}_conv{branch}_2.weight"] = (width, width, 3, 3)
    return in_backbone(shapes)


@dataclass(frozen=True)
class Official:
    """One of DeepfakeBench's detectors (SCLBD/DeepfakeBench, commit 8a4a7bf).

    Attributes:
        model: ours.
        shapes: names and shapes of its state dict.
        digest: of these, as its own class has them.
        features: our module whose input are the features below.
        gain: of the weights that are noise.
    """

    model: str
    shapes: Callable[[], Shapes]
    digest: str
    features: str
    gain: float


@dataclass(frozen=True)
class Answers:
    """What it answers for two formula images of 256 pixels; torch 2.15, CPU, evaluation mode.

    Attributes:
        logits: its ``cls``; for Capsule, class scores.
        fake: its ``prob``.
        features: mean and population standard deviation.
        noise: largest change of the logits in float64.
    """

    logits: tuple[tuple[float, float], tuple[float, float]]
    fake: tuple[float, float]
    features: tuple[float, float]
    noise: float


DETECTORS = {
    "xception": Official("xception", xception, "256803a99eedb0f7", "backbone.fc", 0.75),
    "meso4": Official("meso4", meso4, "4dbac50c86469c8f", "classifier.5", 1.2),
    "meso4Incep": Official("mesoinception4", mesoinception4, "306a651daf7c2bf4", "classifier.5", 0.9),
    "effnb4": Official("efficientnet-b4", efficientnet, "1dd9d7fa46afff09", "backbone.classifier", 1.1),
    "capsule": Official("capsule", capsule, "fdd4e2854f77dd05", "routing_stats", 5.0),
}

# Weights that are sines: most deep networks forget their images, so that both have one answer.
PLAIN = {
    "xception": Answers(
        ((0.1545111, -0.1055562), (0.1545111, -0.1055562)), (0.4353472, 0.4353472), (0.006520726, 0.00892399), 2.1e-08
    ),
    "meso4": Answers(
        ((-0.003079459, -0.01239488), (-0.002218186, -0.01211126)),
        (0.4976711, 0.4975267),
        (0.003379219, 0.005732022),
        7.5e-09,
    ),
    "meso4Incep": Answers(
        ((-0.005372702, -0.01291793), (-0.005663214, -0.01307131)),
        (0.4981137, 0.498148),
        (0.00265434, 0.003611138),
        4.6e-09,
    ),
    "effnb4": Answers(
        ((0.06322444, 0.137527), (0.06322443, 0.1375271)), (0.5185671, 0.5185671), (0.004366024, 0.06609452), 2.8e-08
    ),
    "capsule": Answers(((0.5, 0.5), (0.5, 0.5)), (0.5, 0.5), (0.0002636425, 0.0005768577), 4.4e-11),
}
# Weights that are noise.
NOISE = {
    "xception": Answers(
        ((0.1231942, -0.216545), (0.1202917, -0.2761249)), (0.4158728, 0.4021736), (0.4066177, 0.4605961), 1.6e-07
    ),
    "meso4": Answers(
        ((1.938804, -0.7917795), (2.270167, -0.2211962)), (0.06119267, 0.0764659), (0.5512837, 0.9484141), 1.8e-06
    ),
    "meso4Incep": Answers(
        ((-0.8345699, 0.8076814), (-1.831041, 0.9953822)), (0.837841, 0.944087), (0.9276512, 1.520728), 2.3e-06
    ),
    "effnb4": Answers(
        ((-0.06822622, 0.04359524), (-0.05487523, 0.03992372)),
        (0.5279263, 0.523682),
        (0.009791847, 0.07901547),
        7.5e-08,
    ),
    "capsule": Answers(
        ((0.5013119, 0.4986881), (0.501376, 0.498624)), (0.499344, 0.499312), (0.01771169, 0.3157314), 3.3e-08
    ),
}


@cache
def official_shapes(name: str) -> Shapes:
    shapes = DETECTORS[name].shapes()
    assert key_digest(shapes) == DETECTORS[name].digest
    return shapes


@pytest.mark.parametrize("filled", ["plain", "noise"])
@pytest.mark.parametrize("name", list(DETECTORS))
def test_the_official_answers(name: str, filled: str, tmp_path: Path) -> None:
    detector, answers = DETECTORS[name], (PLAIN if filled == "plain" else NOISE)[name]
    gain, formula = (1.0, formula_tensor) if filled == "plain" else (detector.gain, noise_tensor)
    file = tmp_path / f"{name}_best.pth"
    torch.save(formula_state(official_shapes(name), gain, formula), file)
    # The scores that an import checks are computed on smaller images where the network takes them, which is faster.
    size = None if "meso" in name else 64
    done = import_weights(file, detector.model, tmp_path / "w.safetensors", size=size)
    assert done.card.origin is not None
    assert (done.card.origin.source, done.card.size, done.card.profile) == ("deepfakebench", size or SIZE, "dfb256")
    network, _ = load_weights(done.path, golden=False)
    seen: list[Tensor] = []
    network.get_submodule(detector.features).register_forward_pre_hook(lambda _, given: seen.append(given[0].double()))
    with torch.inference_mode():
        logits = network(formula_images(SIZE)).logits
    expected = torch.tensor(answers.logits, dtype=torch.float64)
    tolerance = max(10 * answers.noise, 1e-5 * float(expected.abs().max()))
    assert float((logits.double() - expected).abs().max()) <= tolerance
    assert fake_probability(logits).tolist() == pytest.approx(answers.fake, rel=1e-5)
    mean, deviation = answers.features
    assert float(seen[0].std(correction=0)) == pytest.approx(deviation, rel=1e-5)
    assert float(seen[0].mean()) == pytest.approx(mean, abs=1e-5 * deviation)
