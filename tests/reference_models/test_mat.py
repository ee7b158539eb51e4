"""MAT: its modules and losses against their definitions in NumPy, counts, sizes, and the authors' weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from formula_weights import formula_images, formula_state
from numpy.typing import NDArray
from tiny_backbone import TinyBackbone
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, UsageError
from dfbench.models import TrainingDefaults
from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.registry import get_spec
from dfbench.models.source import model_source
from dfbench.models.weights import load_weights, write_state
from reference_models.mat import network as mat
from reference_models.mat.attention import AttentionModule, attention_average, bilinear_attention_pooling
from reference_models.mat.degradation import blur, choose_maps, degrade, soft_weights
from reference_models.mat.independence import Margins, regional_independence
from reference_models.mat.network import MAT, MATOutput, match_loss
from reference_models.mat.texture import TextureEnhancement

pytestmark = pytest.mark.slow

Array = NDArray[np.float64]


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0, 1, shape)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 1, shape)


def same(found: Tensor, expected: Array) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


# --- the operations of the definitions, in float64 NumPy


def bilinear(maps: Array, size: tuple[int, int]) -> Array:
    """Corners are aligned."""
    for axis, length in ((-2, size[0]), (-1, size[1])):
        old = maps.shape[axis]
        place = np.arange(length) * (old - 1) / (length - 1)
        low = np.minimum(np.floor(place).astype(int), old - 2)
        part = (place - low).reshape((-1, 1) if axis == -2 else (-1,))
        maps = np.take(maps, low, axis) * (1 - part) + np.take(maps, low + 1, axis) * part
    return maps


def convolved(x: Array, weight: Array, bias: Array | None, pad: int, groups: int = 1) -> Array:
    """Stride 1, zeros around."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    inside, outside = x.shape[1] // groups, weight.shape[0] // groups
    parts = [
        np.einsum(
            "nchwij,ocij->nohw",
            windows[:, g * inside : (g + 1) * inside],
            weight[g * outside : (g + 1) * outside],
        )
        for g in range(groups)
    ]
    out = np.concatenate(parts, axis=1)
    return out if bias is None else out + bias[:, None, None]


def normed(x: Array, layer: nn.BatchNorm2d) -> Array:
    mean, var, weight, bias = (
        t.detach().numpy()[:, None, None]  # type: ignore[union-attr]
        for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / np.sqrt(var + layer.eps) * weight + bias


def averaged(x: Array, size: tuple[int, int]) -> Array:
    """Adaptive average pooling."""
    out = np.empty((*x.shape[:2], *size))
    for i in range(size[0]):
        for j in range(size[1]):
            rows = slice(i * x.shape[2] // size[0], -(-(i + 1) * x.shape[2] // size[0]))
            columns = slice(j * x.shape[3] // size[1], -(-(j + 1) * x.shape[3] // size[1]))
            out[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return out


def nearest(x: Array, size: tuple[int, int]) -> Array:
    rows = np.arange(size[0]) * x.shape[2] // size[0]
    columns = np.arange(size[1]) * x.shape[3] // size[1]
    return x[:, :, rows][:, :, :, columns]


def of_length_one(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def stirred(module: nn.Module, seed: int = 1) -> Any:
    """Float64, evaluation mode, parameters and running statistics unlike the fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not name.endswith("mask"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * 0.8 - 0.3)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return module


# --- modules


def test_attention_module() -> None:
    module = stirred(AttentionModule(5, 3))
    x = normal(2, 5, 8, 8)
    weight = {name: t.detach().numpy() for name, t in module.named_parameters()}
    inner = np.maximum(normed(convolved(x, weight["conv1.weight"], weight["conv1.bias"], 1), module.norm1), 0)
    z = normed(convolved(inner, weight["conv2.weight"], None, 0), module.norm2)
    elu = np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1) + 1
    inside = np.zeros((8, 8))
    inside[1:, 1:] = 1  # every third row and column of a mask of 24 with a border of 2
    same(module(torch.from_numpy(x)), elu * inside)


def test_attention_module_of_the_paper() -> None:
    module = stirred(AttentionModule(5, 3, "paper"))
    x = normal(2, 5, 6, 7)
    z = normed(convolved(x, module.conv2.weight.detach().numpy(), None, 0), module.norm2)
    same(module(torch.from_numpy(x)), np.maximum(z, 0))


def test_the_border_at_the_published_size() -> None:
    maps = AttentionModule(4, 1).eval()(torch.zeros(1, 4, 23, 23))[0, 0]
    inside = (maps > 0).nonzero()
    assert (inside.min(0).values.tolist(), inside.max(0).values.tolist()) == ([2, 2], [21, 21])


@pytest.mark.parametrize("own", [False, True], ids=["shared features", "features of each map"])
def test_bilinear_attention_pooling(own: bool) -> None:
    features = normal(2, 3, 4, 10, 13) if own else normal(2, 4, 10, 13)
    attention = uniform(2, 3, 5, 4)
    attention[1, 2] = 0
    weights = bilinear(attention, (10, 13))
    sums = [
        [[(weights[n, m] * (features[n, m] if own else features[n])[c]).sum() for c in range(4)] for m in range(3)]
        for n in range(2)
    ]
    found = bilinear_attention_pooling(torch.from_numpy(features), torch.from_numpy(attention))
    same(found, of_length_one(np.array(sums)))
    assert not found[1, 2].any()


def test_attention_average() -> None:
    features, attention = normal(2, 4, 5, 6), uniform(2, 3, 9, 8)
    attention[1] = 0
    weights = bilinear(attention.sum(axis=1, keepdims=True), (5, 6)) + 1e-8
    expected = (features * weights).sum(axis=(2, 3)) / weights.sum(axis=(2, 3))
    found = attention_average(torch.from_numpy(features), torch.from_numpy(attention))
    same(found, expected)
    np.testing.assert_allclose(found[1], features[1].mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize("form", ["v2", "v1"])
@pytest.mark.parametrize("size", [(12, 12), (11, 13)])
def test_texture_enhancement(form: str, size: tuple[int, int]) -> None:
    module = stirred(TextureEnhancement(3, 2, form))
    features, attention = normal(2, 3, *size), 2 * uniform(2, 2, 4, 5)
    groups = 2 if form == "v2" else 1

    def conv(x: Array, layer: nn.Conv2d, groups: int) -> Array:
        assert layer.bias is not None
        return convolved(
            x, layer.weight.detach().numpy(), layer.bias.detach().numpy(), layer.weight.shape[-1] // 2, groups
        )

    def joined(one: Array, two: Array) -> Array:
        """The channels of each group stay together."""
        parts = [np.split(x, groups, axis=1) for x in (one, two)]
        return np.concatenate([half for pair in zip(*parts, strict=True) for half in pair], axis=1)

    x = conv(features, module.extract, 1) if form == "v2" else features
    averages = averaged(x, (4, 5))
    x = x - nearest(averages, size)
    if form == "v2":
        gates = np.tanh(bilinear(attention, size))
        x = np.concatenate([x * gates[:, m : m + 1] for m in range(2)], axis=1)
    x = conv(x, module.first, groups)
    for layer in module.dense:
        x = joined(x, conv(np.maximum(normed(x, layer.norm), 0), layer.conv, groups))
    x = normed(conv(np.maximum(normed(x, module.last.norm), 0), module.last.conv, groups), module.norm)
    expected = np.maximum(x, 0).reshape(2, 2, 3, *size) if form == "v2" else x
    found, found_averages = module(torch.from_numpy(features), torch.from_numpy(attention))
    same(found_averages, averages)
    same(found, expected)


def test_no_gradient_flows_from_the_textures_to_the_attention() -> None:
    attention = torch.rand(1, 2, 4, 4, requires_grad=True)
    textures, _ = TextureEnhancement(3, 2)(torch.rand(1, 3, 8, 8, requires_grad=True), attention)
    textures.sum().backward()
    assert attention.grad is None


# --- losses


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("form", ["v2", "v1"])
def test_regional_independence(form: str, squared: bool) -> None:
    regions = of_length_one(normal(5, 4, 6))
    centres = 0.3 * normal(4, 6, seed=1)
    fake = np.array([False, True, True, False, True])
    alpha, margins = 0.3, Margins(0.9, 0.25, -0.8 if form == "v2" else 0.6, squared)

    moved = centres.copy()
    for m in range(4):
        step = np.zeros(6)
        for n in range(5):
            if form == "v1" or not fake[n]:
                step += (regions[n, m] - centres[m]) / 5
        moved[m] += alpha * step

    def length(vector: Array) -> float:
        return float((vector**2).sum() if squared else np.sqrt((vector**2).sum()))

    within = 0.0
    for n in range(5):
        limit = margins.fake if fake[n] else margins.real
        if form == "v1":
            within += sum(max(0.0, length(regions[n, m] - moved[m]) - limit) for m in range(4)) / 4
        else:  # a negative margin is a least distance
            distance = length((regions[n] - moved).ravel())
            within += max(0.0, distance - limit) if limit >= 0 else max(0.0, -limit - distance)
    between = sum(max(0.0, margins.between - length(moved[j] - moved[k])) for j in range(4) for k in range(j + 1, 4))
    expected = within / 5 + (between / 4 / alpha if form == "v2" else between)

    loss, found = regional_independence(
        torch.from_numpy(regions), torch.from_numpy(centres), torch.from_numpy(fake), alpha, margins, form
    )
    same(found, moved)
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    assert within > 0
    assert between > 0


def test_gradients_are_finite_where_distances_are_zero() -> None:
    """Equal centres, and vectors on their centres."""
    regions = torch.full((2, 4, 3), 3**-0.5, requires_grad=True)
    for form in ("v2", "v1"):
        loss, _ = regional_independence(
            regions, torch.full((4, 3), 3**-0.5), torch.tensor([False, True]), 0.05, Margins(), form
        )
        (gradient,) = torch.autograd.grad(loss, regions)
        assert torch.isfinite(gradient).all()


def test_match_loss() -> None:
    one, two, chosen = normal(3, 4, 5), normal(3, 4, 5, seed=1), np.array([2, 0, 3])
    expected = sum(np.linalg.norm(one[n, m] - two[n, m]) for n in range(3) for m in range(4) if m != chosen[n]) / (
        3 * 4
    )
    found = match_loss(*map(torch.from_numpy, (one, two, chosen)))
    assert float(found) == pytest.approx(expected, rel=1e-12)


# --- degraded images


def test_maps_are_chosen_by_the_root_of_their_sums() -> None:
    sums = np.array([0.0, 3.0, 8.0, 99.0])
    attention = torch.from_numpy(np.broadcast_to(sums[:, None, None] / 4, (4, 2, 2)).copy())
    torch.manual_seed(0)
    count = 20_000
    chosen = choose_maps(attention.expand(count, 4, 2, 2))
    found = np.bincount(chosen.numpy(), minlength=4) / count
    expected = np.sqrt(sums + 1) / np.sqrt(sums + 1).sum()  # 1, 2, 3 and 10 sixteenths
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / count)


def test_soft_weights() -> None:
    a = uniform(2, 1, 4, 4)

    def sigmoid(x: Array | float) -> Any:
        return 1 / (1 + np.exp(-x))

    expected = (sigmoid((a - 0.45) * 4) - sigmoid(-0.45 * 4)) / (1 - sigmoid(-0.45 * 4))
    same(soft_weights(torch.from_numpy(a), 0.45, 4.0), expected)
    assert float(soft_weights(torch.zeros(1), 0.45, 4.0)) == 0.0


def blurred(x: Array) -> Array:
    """Gaussian of 11 x 11 pixels and deviation 7, the border reflected."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 7.0**2))
    window = np.outer(line, line) / line.sum() ** 2
    padded = np.pad(x, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (11, 11), axis=(2, 3))
    return np.einsum("nchwij,ij->nchw", windows, window)


def test_blur() -> None:
    x = normal(2, 3, 9, 12)
    same(blur(torch.from_numpy(x)), blurred(x))


@pytest.mark.parametrize("form", ["soft", "linear"])
def test_degraded_images(form: str) -> None:
    images, attention, chosen = normal(2, 3, 24, 30), uniform(2, 4, 6, 6), np.array([3, 1])
    large = bilinear(attention, (24, 30))
    weights = np.stack([large[n, chosen[n]] / (large[n, chosen[n]].max() + 1e-8) for n in range(2)])[:, None]
    if form == "soft":
        torch.manual_seed(5)
        threshold, steepness = 0.4 + 0.2 * float(torch.rand(())), 3 + 2 * float(torch.rand(()))
        weights = soft_weights(torch.from_numpy(weights), threshold, steepness).numpy()
    low = bilinear(blurred(bilinear(images, (12, 15))), (24, 30))
    torch.manual_seed(5)
    found = degrade(*map(torch.from_numpy, (images, attention, chosen)), form, 0.5, 0.0)
    same(found, (1 - weights) * images + weights * low)


def test_noise_is_added_to_the_degraded_image() -> None:
    images, attention = torch.zeros(4, 3, 64, 64), torch.ones(4, 1, 8, 8)
    torch.manual_seed(0)
    found = degrade(images, attention, torch.zeros(4, dtype=torch.int64), "linear", 0.5, 0.1)
    # Enlarged bilinearly, noise loses about half of its deviation.
    assert 0.05 < float(found.std()) < 0.1


# --- the whole network


@pytest.fixture
def tiny_mat(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MAT]:
    """MAT on a tiny backbone."""
    monkeypatch.setattr(mat, "timm_network", lambda *_, num_classes, **__: TinyBackbone(num_classes))

    def make(**options: Any) -> MAT:
        torch.manual_seed(0)
        return MAT(2, padding="same", **options)

    return make


def test_parameter_counts() -> None:
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    with torch.device("meta"):
        model = MAT(2)
        assert count(model) == 18_826_068
        assert count(MAT(2, texture_layer="b1")) == 18_664_236
        assert count(TextureEnhancement(32, 4, "v1")) == 73_856
    assert count(model.attention) == 231_528
    assert count(model.texture) == 352_672
    assert (count(model.local), count(model.semantic), count(model.classifier)) == (98_816, 459_008, 131_842)
    assert not any(p.requires_grad for p in model.backbone.get_submodule("classifier").parameters())


@pytest.mark.parametrize(
    ("size", "padding", "sides"),
    [(380, "fixed", (95, 23, 11)), (380, "same", (95, 24, 12)), (128, "fixed", (32, 8, 4)), (96, "fixed", (24, 6, 3))],
)
def test_sizes_of_the_maps(size: int, padding: str, sides: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        maps = MAT(2, padding=padding).eval()._features(torch.zeros(1, 3, size, size))
    assert tuple(m.shape[2] for m in maps) == sides
    assert tuple(m.shape[1] for m in maps) == (32, 160, 1792)


def test_crops_below_96_pixels_are_refused(tiny_mat: Callable[..., MAT]) -> None:
    with pytest.raises(ModelError, match="at least 96 pixels, not 95") as caught:
        build_model("mat", 2, 95)
    assert "380" in caught.value.hint
    with pytest.raises(ModelError, match="95 x 95 pixels are too small") as caught:
        tiny_mat()(torch.zeros(1, 3, 95, 95))
    assert "96 x 96" in caught.value.hint


def test_named_outputs(tiny_mat: Callable[..., MAT]) -> None:
    model, images = tiny_mat(), torch.rand(3, 3, 96, 96)
    output = model.eval()(images)
    assert output.attention.shape == (3, 4, 12, 12)
    assert output.regions.shape == (3, 4, 6)
    assert output.degraded_logits is output.backbone_logits is None
    output = model.train()(images)
    assert output.degraded_logits.shape == (3, 2)
    assert output.degraded_regions.shape == (3, 4, 6)
    assert output.chosen.shape == (3,)


def test_the_vectors_of_the_regions_are_pooled_from_standardised_averages(tiny_mat: Callable[..., MAT]) -> None:
    model, images = tiny_mat().double().eval(), torch.rand(2, 3, 96, 96, dtype=torch.float64)
    shallow, deep, _ = model._features(2 * images - 1)
    maps = model.attention(deep)
    averages = model.texture(shallow, maps)[1].detach().numpy()
    spread = averages.std(axis=(2, 3), keepdims=True, ddof=1)
    averages = (averages - averages.mean(axis=(2, 3), keepdims=True)) / (spread + 1e-8)
    expected = np.einsum("nmhw,nchw->nmc", maps.detach().numpy(), averages)
    same(model(images).regions, of_length_one(expected))


def test_dropout_leaves_out_the_same_maps_in_both_branches(
    tiny_mat: Callable[..., MAT], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]]) / 0.75
    drawn: list[tuple[tuple[int, ...], float, bool]] = []

    def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """No dropout but that of the maps."""
        if p in (0.25, 0.5):
            drawn.append((tuple(x.shape), p, training))
        return x * torch.from_numpy(kept) if p == 0.25 and training else x

    monkeypatch.setattr(F, "dropout", dropout)
    model, images = tiny_mat(agda="none").double().train(), torch.rand(2, 3, 96, 96, dtype=torch.float64)
    joined: dict[str, Array] = {}
    for branch in ("local", "semantic"):
        hook = lambda _, given, branch=branch: joined.update({branch: given[0].detach().numpy()})  # noqa: E731
        model.get_submodule(branch).register_forward_pre_hook(hook)
    output = model(images)
    assert drawn == [((2, 4), 0.25, True), ((2, 10), 0.5, True)], "one draw for both branches, then that of the average"

    shallow, deep, final = (maps.detach() for maps in model._features(2 * images - 1))
    maps = model.attention(deep).detach()
    textures = model.texture(shallow, maps)[0].detach().numpy()
    attention, last = maps.numpy(), final.numpy()
    pooled = np.einsum("nmhw,nmchw->nmc", bilinear(attention, textures.shape[3:]), textures)
    expected = of_length_one(pooled) * kept[:, :, None]
    np.testing.assert_allclose(joined["local"], expected.reshape(2, -1), rtol=1e-9, atol=1e-12)
    weights = bilinear((attention * kept[:, :, None, None]).sum(axis=1, keepdims=True), last.shape[2:]) + 1e-8
    average = (last * weights).sum(axis=(2, 3)) / weights.sum(axis=(2, 3))
    np.testing.assert_allclose(joined["semantic"], average, rtol=1e-9, atol=1e-12)
    assert output.regions.any(dim=2).all(), "the vectors of the loss are of all maps"

    drawn.clear()
    model.eval()(images)
    assert drawn == [((2, 4), 0.25, False), ((2, 10), 0.5, False)]


def test_the_loss_is_the_weighted_sum_of_its_parts(tiny_mat: Callable[..., MAT]) -> None:
    """And the centres move twice."""
    model = tiny_mat(w_independence=0.5, w_agda=0.7, w_match=0.1, alpha=0.2)
    images, targets = torch.rand(4, 3, 96, 96), torch.tensor([0, 1, 0, 1])
    output: MATOutput = model.train()(images)
    assert output.regions is not None
    assert output.degraded_regions is not None
    assert output.degraded_logits is not None
    assert output.chosen is not None
    fake, start = targets != 0, torch.zeros(4, 6)
    independence, moved = regional_independence(output.regions, start, fake, 0.2, Margins())
    _, twice = regional_independence(output.degraded_regions, moved, fake, 0.2, Margins())
    expected = (
        F.cross_entropy(output.logits, targets)
        + 0.5 * independence
        + 0.7 * F.cross_entropy(output.degraded_logits, targets)
        + 0.1 * match_loss(output.regions, output.degraded_regions, output.chosen)
    )
    torch.testing.assert_close(model.loss(output, targets), expected)
    torch.testing.assert_close(model.independence.centres, twice.detach())
    assert not torch.equal(twice, moved)


def test_one_update_of_the_centres_where_the_degraded_images_do_not_count(tiny_mat: Callable[..., MAT]) -> None:
    for options in ({"agda_centres": False}, {"agda": "none"}):
        model = tiny_mat(**options)
        output = model.train()(torch.rand(4, 3, 96, 96))
        targets = torch.tensor([0, 1, 0, 1])
        _, moved = regional_independence(output.regions, torch.zeros(4, 6), targets != 0, 0.05, Margins())
        model.loss(output, targets)
        torch.testing.assert_close(model.independence.centres, moved.detach())
        assert (output.chosen is None) == (options.get("agda") == "none")


def test_a_tiny_one_learns_eight_images_by_heart(tiny_mat: Callable[..., MAT]) -> None:
    """Fakes are smooth in the middle; degraded images are learnt along with the others."""
    images = torch.rand(8, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(8) % 2
    images[1::2, :, 24:72, 24:72] = F.avg_pool2d(images[1::2], 5, 1, 2)[:, :, 24:72, 24:72]
    model = tiny_mat().train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(20):
        optimizer.zero_grad()
        model.loss(model(images), targets).backward()
        optimizer.step()
    model.eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):  # running statistics of the images
            layer.momentum = 1.0
            layer.train()
    with torch.no_grad():
        model(images)
        logits = model.eval()(images).logits
    assert F.cross_entropy(logits, targets) < 0.05


def test_an_evaluation_moves_nothing(tiny_mat: Callable[..., MAT]) -> None:
    model = tiny_mat().eval()
    model.loss(model(torch.rand(2, 3, 96, 96)), torch.tensor([0, 1]))
    assert not model.independence.centres.any()


def test_two_phases(tiny_mat: Callable[..., MAT]) -> None:
    model = tiny_mat(backbone_epochs=1)
    images, targets = torch.rand(4, 3, 96, 96), torch.tensor([0, 1, 0, 1])

    def learning() -> set[str]:
        model.zero_grad()
        model.loss(model.train()(images), targets).backward()
        return {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None}

    head = model.backbone.get_submodule("classifier")
    model.start_epoch(0)
    assert learning() == {"backbone"}
    assert head.weight.grad is not None
    between = model.eval()(images)
    assert between.backbone_logits is not None
    assert between.backbone_logits.shape == between.logits.shape
    model.end_epoch(0)
    assert float(model.independence.alpha) == pytest.approx(0.05)
    model.start_epoch(1)
    assert learning() == {"backbone", "attention", "texture", "local", "semantic", "classifier"}
    assert head.weight.grad is None
    assert model.eval()(images).backbone_logits is None
    model.end_epoch(1)
    assert float(model.independence.alpha) == pytest.approx(0.045)


TEXT = {
    "attention": "paper",
    "texture": "v1",
    "independence": "v1",
    "margin": 0.2,
    "inner_margin_real": 0.05,
    "inner_margin_fake": 0.1,
    "w_independence": 1.0,
    "agda": "linear",
    "agda_scale": 0.3,
    "agda_noise": 0.0,
    "agda_centres": False,
    "w_match": 0.0,
}
PRESETS: dict[str, dict[str, Any]] = {
    "code": {"backbone_epochs": 20},
    "paper": TEXT,
    "notes": TEXT | {"alpha": 0.5, "squared_distances": True},
}
RECIPES: dict[str, dict[str, Any]] = {
    "": {"optimizer": "adamw", "lr": 1e-4, "lr_decay": 0.5, "lr_decay_epochs": 5, "epochs": 30, "batch_size": 15},
    "paper": {"optimizer": "adam", "lr": 1e-3, "epochs": 20, "batch_size": 48},
}
RECIPES["code"] = RECIPES[""] | {"epochs": 50, "lr_restart_epoch": 20}
RECIPES["notes"] = RECIPES["paper"]


@pytest.mark.parametrize("preset", list(RECIPES))
def test_presets(preset: str) -> None:
    spec = get_spec("mat")
    assert set(spec.presets) == set(PRESETS)
    if preset:
        assert dict(spec.presets[preset].options) == PRESETS[preset]
    recipe = model_source("mat").with_preset(preset).spec.recipe
    expected = TrainingDefaults(weight_decay=1e-6, flip=0.5, source=recipe.source, **RECIPES[preset])
    assert recipe == expected
    with torch.device("meta"):
        model = build_model("mat", 2, preset=preset)
    loss = model.independence
    text = preset in ("paper", "notes")
    assert loss.form == ("v1" if text else "v2")
    assert loss.margins == (Margins(0.2, 0.05, 0.1, preset == "notes") if text else Margins(0.8, 0.2, -0.8))
    assert model.texture.form == ("v1" if text else "v2")
    assert (model.agda, model.agda_scale) == (("linear", 0.3) if text else ("soft", 0.5))
    assert model.backbone_epochs == (20 if preset == "code" else 0)


def test_the_initial_rate_of_the_centres(tiny_mat: Callable[..., MAT]) -> None:
    assert float(tiny_mat().independence.alpha) == pytest.approx(0.05)
    assert float(tiny_mat(alpha=0.5).independence.alpha) == 0.5


# --- the authors' weights

# Blocks, planes in and out, kernel, expansion.
STAGES = ((2, 48, 24, 3, 1), (4, 24, 32, 3, 6), (4, 32, 56, 5, 6), (6, 56, 112, 3, 6))
STAGES += ((6, 112, 160, 5, 6), (8, 160, 272, 5, 6), (2, 272, 448, 3, 6))


def official_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes in the checkpoints of yoctta/multiple-attention (bb069cc), run a1_b5_b2; 770 tensors."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, planes: int) -> None:
        shapes.update({f"{name}.{what}": (planes,) for what in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = shape
        if bias:
            shapes[f"{name}.bias"] = shape[:1]

    layer("net._conv_stem", 48, 3, 3, 3, bias=False)
    norm("net._bn0", 48)
    starts = [0, *accumulate(stage[0] for stage in STAGES)]
    for (count, first, outside, kernel, expansion), start in zip(STAGES, starts, strict=False):
        for place in range(count):
            block, inside = f"net._blocks.{start + place}", first if place == 0 else outside
            wide = inside * expansion
            if expansion > 1:
                layer(f"{block}._expand_conv", wide, inside, 1, 1, bias=False)
                norm(f"{block}._bn0", wide)
            layer(f"{block}._depthwise_conv", wide, 1, kernel, kernel, bias=False)
            norm(f"{block}._bn1", wide)
            layer(f"{block}._se_reduce", inside // 4, wide, 1, 1)
            layer(f"{block}._se_expand", wide, inside // 4, 1, 1)
            layer(f"{block}._project_conv", outside, wide, 1, 1, bias=False)
            norm(f"{block}._bn2", outside)
    layer("net._conv_head", 1792, 448, 1, 1, bias=False)
    norm("net._bn1", 1792)
    layer("net._fc", 2, 1792)
    shapes["attentions.mask"] = (1, 1, 24, 24)
    layer("attentions.conv_extract", 160, 160, 3, 3)
    norm("attentions.bn1", 160)
    layer("attentions.conv2", 4, 160, 1, 1, bias=False)
    norm("attentions.bn2", 4)
    layer("texture_enhance.conv_extract", 32, 32, 3, 3)
    layer("texture_enhance.conv0", 128, 32, 5, 5)
    for k in (1, 2, 3):
        layer(f"texture_enhance.conv{k}", 128, 32 * k, 3, 3)
    for k in (1, 2, 3, 4):
        norm(f"texture_enhance.bn{k}", 128 * k)
    layer("texture_enhance.conv_last", 128, 128, 1, 1)
    norm("texture_enhance.bn_last", 128)
    layer("projection_local.0", 256, 128)
    layer("projection_local.2", 256, 256)
    layer("project_final", 256, 1792)
    layer("ensemble_classifier_fc.0", 256, 512)
    layer("ensemble_classifier_fc.2", 2, 256)
    shapes["auxiliary_loss.feature_centers"] = (4, 32)
    shapes["auxiliary_loss.alpha"] = ()
    shapes["auxiliary_loss.inner_margin"] = (2,)
    return shapes


def official_state(gain: float) -> dict[str, Tensor]:
    """Formula weights; counters and the buffers of attention and loss are as the program makes them."""
    state = formula_state(official_shapes(), gain)
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., 2:-2, 2:-2] = 1
    return state | {
        "attentions.mask": mask,
        "auxiliary_loss.feature_centers": torch.zeros(4, 32),
        "auxiliary_loss.alpha": torch.tensor(0.05),
        "auxiliary_loss.inner_margin": torch.tensor([0.2, -0.8]),
    }


# What the program (commit bb069cc; torch 2.15, CPU, evaluation mode) gives with formula weights for two formula images:
# logits; mean and deviation of the attention maps; those of the output of projection_local. The largest difference
# between its own memory layouts is 5e-7.
OFFICIAL: dict[float, tuple[Sequence[Sequence[float]], tuple[float, float], tuple[float, float]]] = {
    1.0: (
        [[-0.1650181, 0.104124], [-0.1650181, 0.104124]],
        (0.7624908, 0.4352602),
        (1.274037e-05, 0.0676911),
    ),
    3.0: (
        [[-3.881369, 1.583575], [-3.875783, 1.579922]],
        (0.7930846, 0.4686356),
        (0.0001171, 0.310791),
    ),
}


@pytest.mark.parametrize("gain", list(OFFICIAL))
def test_the_authors_program_gives_the_same_scores(tmp_path: Path, gain: float) -> None:
    state = official_state(gain)
    assert len(state) == 770
    checkpoint = {"logs": {"epoch": 49}, "state_dict": state, "optimizer_state": {"state": {}, "param_groups": []}}
    torch.save(checkpoint, tmp_path / "ckpt_49.pth")
    # The scores that an import checks are computed on smaller images, which is faster.
    done = import_weights(tmp_path / "ckpt_49.pth", "mat", tmp_path / "w.safetensors", profile="native", size=96)
    assert done.card.origin is not None
    assert (done.card.origin.source, done.card.origin.tensors) == ("multiple-attention", 770)
    assert done.card.origin.left_out == ("auxiliary_loss.inner_margin",)
    loaded, _ = load_weights(done.path)
    assert isinstance(loaded, MAT)
    local: list[Tensor] = []
    loaded.local.register_forward_hook(lambda *call: local.append(call[-1].double()))
    with torch.inference_mode():
        output = loaded(formula_images(380))
    logits, attention, parts = OFFICIAL[gain]
    expected = torch.tensor(logits)
    assert float((output.logits - expected).abs().max() / expected.abs().max()) < 1e-5
    assert output.attention.shape == (2, 4, 23, 23)
    maps = output.attention.double()
    assert (float(maps.mean()), float(maps.std(correction=0))) == pytest.approx(attention, rel=1e-5)
    assert (float(local[0].mean()), float(local[0].std(correction=0))) == pytest.approx(parts, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("theirs", "wrong"),
    [
        ("texture_enhance.conv2.weight", "texture_enhance.conv2.wait"),
        ("net._blocks.7._se_reduce.bias", "net._blocks.7._se_reduce.offset"),
        ("projection_local.2.weight", "projection_local.3.weight"),
    ],
)
def test_a_file_with_one_wrong_name_is_refused_by_name(tmp_path: Path, theirs: str, wrong: str) -> None:
    state = {name: torch.zeros(()).expand(shape) for name, shape in official_shapes().items()}  # small files
    state[wrong] = state.pop(theirs)
    torch.save(state, tmp_path / "ckpt_0.pth")
    with pytest.raises(ModelError, match="do not fit") as caught:
        import_weights(tmp_path / "ckpt_0.pth", "mat", tmp_path / "w.safetensors", profile="native", size=96)
    assert "1 missing" in str(caught.value)
    assert f"1 unused ({wrong})" in str(caught.value)


def test_another_network_is_refused_by_its_options(tmp_path: Path) -> None:
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in official_shapes().items()}, tmp_path / "c.pth")
    with pytest.raises(UsageError, match="need texture=v2"):
        import_weights(
            tmp_path / "c.pth", "mat", tmp_path / "w.safetensors", profile="native", options={"texture": "v1"}
        )


def test_the_backbone_may_come_from_weights_of_efficientnet_b4(tmp_path: Path) -> None:
    """As the first phase of the training makes them."""
    torch.manual_seed(3)
    first = build_model("efficientnet-b4", 2)
    write_state(tmp_path / "first.safetensors", dict(first.state_dict()))
    model = build_model("mat", 2, pretrained=str(tmp_path / "first.safetensors"))
    found = model.backbone.state_dict()
    for name, tensor in first.backbone.state_dict().items():
        assert torch.equal(found[name], tensor) != name.startswith("classifier."), name
