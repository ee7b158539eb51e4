"""DiffusionFake: its networks and losses against independent computations, and the official program's weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from formula_weights import formula_images, formula_state, formula_tensor, key_digest
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.registry import get_spec
from dfbench.models.source import model_source
from dfbench.models.weights import load_weights
from dfbench.protocols.training_recipe import TrainingRecipe
from dfbench.training.methods import chosen_method
from dfbench.training.recipe import fill_recipe
from reference_models.diffusionfake.branches import Branch, FeatureFilter, WeightNet
from reference_models.diffusionfake.features import find_feature_map


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def double(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in module.state_dict().items()}


def convolved(maps: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution of odd size with zeros around, in float64: a sum over the shifts."""
    side = kernel.shape[2] // 2
    height, width = maps.shape[2:]
    padded = np.pad(maps, ((0, 0), (0, 0), (side, side), (side, side)))
    total = np.zeros((len(maps), len(kernel), height, width)) + bias[None, :, None, None]
    for y in range(kernel.shape[2]):
        for x in range(kernel.shape[3]):
            total += np.einsum("nchw,oc->nohw", padded[:, :, y : y + height, x : x + width], kernel[:, :, y, x])
    return total


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def filtered(w: Mapping[str, np.ndarray], maps: np.ndarray, heads: int = 4) -> np.ndarray:
    """The feature filter in NumPy."""
    plain = convolved(maps, w["conv1.weight"], w["conv1.bias"])
    active = plain * sigmoid(plain)
    pooled = active.mean(axis=(2, 3))
    hidden = pooled @ w["channel_attention.1.weight"][:, :, 0, 0].T + w["channel_attention.1.bias"]
    channel = np.maximum(hidden, 0) @ w["channel_attention.3.weight"][:, :, 0, 0].T + w["channel_attention.3.bias"]
    position = convolved(active, w["spatial_attention.0.weight"], w["spatial_attention.0.bias"])
    gated = plain * sigmoid(channel)[:, :, None, None] * sigmoid(position)
    n, c, height, width = plain.shape
    matrices = np.split(w["self_attention.in_proj_weight"], 3)
    biases = np.split(w["self_attention.in_proj_bias"], 3)
    query, key, value = (
        (tokens.reshape(n, c, -1).transpose(0, 2, 1) @ m.T + b).reshape(n, -1, heads, c // heads)
        for tokens, m, b in zip((active, gated, gated), matrices, biases, strict=True)
    )
    scores = np.einsum("nqhd,nkhd->nhqk", query, key) / math.sqrt(c // heads)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    attended = np.einsum("nhqk,nkhd->nqhd", shares, value).reshape(n, -1, c)
    attended = attended @ w["self_attention.out_proj.weight"].T + w["self_attention.out_proj.bias"]
    return convolved(attended.transpose(0, 2, 1).reshape(n, c, height, width), w["conv2.weight"], w["conv2.bias"])


def test_feature_filter_against_numpy() -> None:
    torch.manual_seed(0)
    net, maps = FeatureFilter(8, 6), torch.randn(2, 8, 5, 4)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.4)
    with torch.no_grad():
        single, exact = net(maps), net.double()(maps.double())
    expected = filtered(double(net), maps.double().numpy())
    np.testing.assert_allclose(exact.numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 0.1


def test_weight_network_against_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_models.diffusionfake.branches.WEIGHT_WIDTHS", (7, 6, 5, 4))
    torch.manual_seed(0)
    net, maps = WeightNet(8).double(), torch.randn(3, 8, 4, 5).double()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.4)
    w, found = double(net), maps.numpy()
    for layer in ("conv1", "conv2", "conv3"):
        found = convolved(found, w[f"{layer}.weight"], w[f"{layer}.bias"])
    pooled = found.mean(axis=(2, 3)) @ w["fc1.weight"].T + w["fc1.bias"]
    with torch.no_grad():
        given = net(maps).numpy()
    np.testing.assert_allclose(given, sigmoid(pooled @ w["fc2.weight"].T + w["fc2.bias"]), rtol=1e-10)
    assert given.std() > 0.01


def test_transposed_convolutions_enlarge_four_times_and_other_sizes_are_resized() -> None:
    torch.manual_seed(0)
    branch, maps = Branch(4, 6, weighted=False), torch.randn(1, 4, 3, 3)
    assert branch.upsample(maps).shape == (1, 4, 12, 12)
    seen: list[Tensor] = []
    branch.filter.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert branch.hint(maps, (12, 12)).shape == (1, 6, 12, 12)
    assert torch.equal(seen[0], branch.upsample(maps)), "not resized at the published sizes"
    assert branch.hint(maps, (8, 8)).shape == (1, 6, 8, 8)
    assert seen[1].shape == (1, 4, 8, 8), "before the filter, whose attention is quadratic in the positions"
    assert torch.equal(branch.weights(maps), torch.ones(1))


def test_channels_that_the_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ModelError, match="multiple of 4 channels, the detector's last map has 10") as caught:
        Branch(10, 4)
    assert "filter=false" in caught.value.hint
    assert Branch(10, 4, filtered=False, weighted=False).hint(torch.zeros(1, 10, 2, 2), (8, 8)).shape == (1, 4, 8, 8)


def test_published_parameter_counts() -> None:
    with torch.device("meta"):
        branch = Branch(1792, 320)
        assert [count(layer) for layer in branch.upsample] == [51_380_224, 51_380_224]
        assert count(branch.filter) == 48_540_673
        assert branch.weight is not None
        assert count(branch.weight) == 22_448_129
        assert count(build_model("diffusionfake", 1)) == count(build_model("efficientnet-b4", 1)) == 17_550_409
        assert count(build_model("diffusionfake", 1, backbone="vit-b16")) == 85_799_425


# The official program (skJack/DiffusionFake, commit de01c02) with formula weights on a formula feature map.
OFFICIAL_KEYS = {FeatureFilter: "ba20ec693cfa7b74", WeightNet: "d2b505394792584e"}
OFFICIAL_FILTER = {
    1.0: ([-0.003370438, -0.005534981, -0.005534993, -0.005534983, -0.003370399, -0.005534885, -0.005534884,
           -0.005534889], 7.220103e-05, 0.009417359),
    3.0: ([0.02598732, 0.02376164, 0.02376181, 0.02376175, 0.02599484, 0.02377233, 0.02377235, 0.02377226],
          6.506341e-05, 0.01828718),
}  # fmt: skip
OFFICIAL_WEIGHTS = {1.0: (0.4932889, 0.4932889), 3.0: (0.4760293, 0.4760287)}
CLOSE = 1e-5  # of the largest value, which is also the rounding in float32: the second reading is computed in float64


def official(kind: type[nn.Module], *arguments: int) -> nn.Module:
    with torch.device("meta"):
        net = kind(*arguments)
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert key_digest(shapes) == OFFICIAL_KEYS[kind]
    net.load_state_dict({name: formula_tensor(name, s) for name, s in shapes.items()}, assign=True)
    return net.eval()


@pytest.mark.slow
def test_feature_filter_and_weight_network_give_the_official_outputs() -> None:
    maps = 200 * formula_tensor("feature_map", (2, 1792, 8, 8))
    nets = official(FeatureFilter, 1792, 320), official(WeightNet, 1792)
    for gain, (first, mean, deviation) in OFFICIAL_FILTER.items():
        if gain != 1.0:
            maps = maps.double()
            for parameter in [p for net in nets for p in net.double().parameters() if p.ndim > 1]:
                parameter.data.mul_(gain)
        with torch.inference_mode():
            hints, weights = (net(maps) for net in nets)
        assert hints.shape == (2, 320, 8, 8)
        largest = float(hints.abs().max())
        np.testing.assert_allclose(hints.flatten(1)[:, :4].flatten(), first, rtol=0, atol=CLOSE * largest)
        assert float(hints.mean()) == pytest.approx(mean, abs=CLOSE * largest)
        assert float(hints.std(correction=0)) == pytest.approx(deviation, rel=CLOSE)
        np.testing.assert_allclose(weights[:, 0], OFFICIAL_WEIGHTS[gain], rtol=CLOSE)


# The official inference path: encoder, mean over the positions, fc; 256 pixels, logits.
OFFICIAL = {1.0: ((0.0272419, 0.0272419), 3.7e-9), 3.25: ((0.3274608, 0.3020863), 1.6e-6)}
OFFICIAL_INFERENCE = "1fa01f21bafe6755"


@cache
def official_tensors() -> dict[str, Tensor]:
    """What the official program stores of encoder and head, with names of timm, filled by formula."""
    import timm

    with torch.device("meta"):
        encoder = timm.create_model("tf_efficientnet_b4").state_dict()
    shapes = {f"input_hint_block.{name}": tuple(tensor.shape) for name, tensor in encoder.items()}
    shapes |= {"fc.weight": (1, 1792), "fc.bias": (1,)}
    assert key_digest(shapes) == OFFICIAL_INFERENCE
    return formula_state(shapes)


def official_state(gain: float = 1.0) -> dict[str, Tensor]:
    return {name: tensor * gain if tensor.ndim > 1 else tensor for name, tensor in official_tensors().items()}


def checkpoint(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A complete checkpoint: the guide's and Stable Diffusion's tensors beside, one of each."""
    guide = ("upsample_conv_s1.weight", "feature_t.conv1.weight", "contribution_source.fc1.bias", "fc_s.weight",
             "fc_t.bias", "time_embed.0.weight", "input_blocks.0.0.weight", "zero_convs.3.0.weight",
             "middle_block.0.emb_layers.1.bias", "middle_block_out.0.weight")  # fmt: skip
    others = ("model.diffusion_model.out.2.bias", "first_stage_model.quant_conv.weight", "betas", "alphas_cumprod_prev",
              "cond_stage_model.transformer.text_model.final_layer_norm.bias", "sqrt_recipm1_alphas_cumprod",
              "log_one_minus_alphas_cumprod", "posterior_mean_coef1", "logvar")  # fmt: skip
    named = {f"control_model.{name}": tensor for name, tensor in state.items()}
    return named | {f"control_model.{name}": torch.ones(2) for name in guide} | {n: torch.ones(2) for n in others}


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "whole"), [(1.0, False), (3.25, True)])
def test_parity_with_the_official_program(gain: float, whole: bool, tmp_path: Path) -> None:
    state = official_state(gain)
    torch.save({"state_dict": checkpoint(state)} if whole else state, tmp_path / "d.ckpt")
    done = import_weights(tmp_path / "d.ckpt", "diffusionfake", tmp_path / "w.safetensors", profile="box")
    network, card = load_weights(done.path)
    with torch.inference_mode():
        logits = network(formula_images(256)).logits.double()
        alone = torch.cat([network(image[None]).logits.double() for image in formula_images(256)])
    expected, noise = OFFICIAL[gain]
    tolerance = max(10 * noise, 1e-5 * max(expected))
    np.testing.assert_allclose(logits[:, 0], expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(alone, logits, rtol=1e-5, atol=1e-6)
    assert (card.training_method, card.size, card.num_classes) == ("diffusionfake", 256, 1)
    assert card.options == {"backbone": "efficientnet-b4"}
    assert count(network) == 17_550_409
    assert card.origin is not None
    assert card.origin.source == ("diffusionfake" if whole else "diffusionfake-guide")
    left = 2 + (len(checkpoint(state)) - len(state)) * whole  # the unused classifier of the encoder
    assert len(card.origin.left_out) == left


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_a_file_with_one_wrong_key_is_refused_by_its_name(whole: bool, tmp_path: Path) -> None:
    state = official_state()
    right = "input_hint_block.blocks.3.2.se.conv_expand.weight"
    state[f"{right}s"] = state.pop(right)
    torch.save(checkpoint(state) if whole else state, tmp_path / "d.ckpt")
    wrong = f"control_model.{right}s" if whole else f"{right}s"
    with pytest.raises(ModelError, match=rf"1 unused \({re.escape(wrong)}\)"):
        import_weights(tmp_path / "d.ckpt", "diffusionfake", tmp_path / "w.safetensors", profile="box")
    assert not (tmp_path / "w.safetensors").exists()


def test_the_pairing_is_a_plain_classifier_by_the_method() -> None:
    spec = get_spec("diffusionfake")
    assert chosen_method(spec).name == "diffusionfake"
    with torch.device("meta"):
        ours, plain = build_model("diffusionfake"), build_model("efficientnet-b4")
    assert type(ours) is type(plain)
    assert list(ours.state_dict()) == list(plain.state_dict())
    with pytest.raises(UsageError, match="excludes 'rfm'"):
        chosen_method(spec, "rfm")
    with pytest.raises(UsageError, match="excludes 'diffusionfake'"):
        chosen_method(get_spec("rfm"), "diffusionfake")
    with pytest.raises(UsageError, match="backbone") as caught:
        build_model("diffusionfake", backbone="vit-b")
    assert "vit-b16" in caught.value.hint


@pytest.mark.parametrize(
    ("preset", "optimizer", "batch", "epochs", "weight_decay", "rotation"),
    [("", "adam", 32, 20, 0.0, 0.0), ("code", "adamw", 16, 30, 0.01, 30.0)],
)
def test_the_published_pairing_has_the_published_recipe(
    preset: str, optimizer: str, batch: int, epochs: int, weight_decay: float, rotation: float
) -> None:
    spec = model_source("diffusionfake").with_preset(preset).spec
    method = chosen_method(spec)
    assert method.sampling == "balanced"
    recipe = fill_recipe(TrainingRecipe(), spec.recipe, sampling=method.sampling, augments=method.augments)
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == (optimizer, 1e-5, weight_decay)
    assert (recipe.batch_size, recipe.epochs, recipe.sampling) == (batch, epochs, "balanced")
    assert {recipe.rate(epoch, 100 * epoch, 100 * epochs) for epoch in range(epochs)} == {1e-5}
    assert (recipe.augmentation.flip, recipe.augmentation.rotation) == (0.5, rotation)


class Ends(nn.Module):
    """A last map of 8 channels, and what comes after it."""

    def __init__(self, dense: bool) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 8, 3, stride=4)
        self.head = nn.Linear(8 * 9 if dense else 8, 2)
        self.dense = dense

    def forward(self, images: Tensor) -> Any:
        maps = F.adaptive_avg_pool2d(self.maps(images), 3 if self.dense else 1)
        return type("Output", (), {"logits": self.head(maps.flatten(1))})()


def test_a_map_is_found_or_its_lack_is_told() -> None:
    found = find_feature_map(Ends(dense=False))
    assert (found.module, found.channels, found.prefix) == ("maps", 8, None)
    with pytest.raises(ModelError, match="needs a detector with a last feature map") as caught:
        find_feature_map(Ends(dense=True))
    assert "efficientnet-b4" in caught.value.hint


def test_patch_tokens_are_a_map() -> None:
    """Each position of the map has the token of its patch, the class token is left out."""
    with torch.device("meta"):
        found = find_feature_map(build_model("vit-s16"))
    assert (found.module, found.channels, found.prefix) == ("backbone.norm", 384, 1)
    tokens = torch.arange(1.0, 11).view(1, 10, 1) * torch.tensor([1.0, -1.0])
    assert found.of(tokens)[0].tolist() == [
        [[2, 3, 4], [5, 6, 7], [8, 9, 10]],
        [[-2, -3, -4], [-5, -6, -7], [-8, -9, -10]],
    ]


@pytest.mark.slow
def test_the_map_of_a_vision_transformer_follows_its_image() -> None:
    """With the blocks skipped, a token depends on its own patch alone."""
    torch.manual_seed(0)
    model = build_model("vit-s16", 2, 64)
    model.backbone.blocks = nn.Identity()
    found, images = find_feature_map(model), torch.rand(1, 3, 64, 64)
    seen: list[Tensor] = []
    model.get_submodule(found.module).register_forward_hook(lambda *given: seen.append(found.of(given[2])))
    changed = images.clone()
    changed[:, :, 16:32, 48:64] = 0.0  # row 1, column 3 of the patches
    with torch.inference_mode():
        model.eval()(images)
        model(changed)
    differs = (seen[0] != seen[1]).any(1)[0]
    assert differs.nonzero().tolist() == [[1, 3]]
