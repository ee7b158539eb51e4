"""GRnet against the test vectors of its parts, an independent guided filter, and its parameter counts."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.interface import before_augmentation
from reference_models.backbones import BACKBONES, feature_network
from reference_models.grnet import channel_attention, guided_filter, guided_residual, stream_weights
from reference_models.grnet.fusion import fuse
from reference_models.grnet.residual import box_count, box_sum

TYPES = [(torch.float64, 1e-6), (torch.float32, 1e-5)]


def reference_filter(image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Self-guided filter of one plane in float64, pixel by pixel from the definition: windows, a, b, means of a, b."""
    height, width = image.shape
    slope, offset = np.zeros_like(image), np.zeros_like(image)

    def window(values: np.ndarray, y: int, x: int) -> np.ndarray:
        return values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]

    for y in range(height):
        for x in range(width):
            pixels = window(image, y, x)
            slope[y, x] = pixels.var() / (pixels.var() + eps)
            offset[y, x] = (1 - slope[y, x]) * pixels.mean()
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            out[y, x] = window(slope, y, x).mean() * image[y, x] + window(offset, y, x).mean()
    return out


def reference_color_filter(image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """The same with a colour guide, (H, W, 3): a linear system of three unknowns in every window and plane."""
    height, width, _ = image.shape
    slope, offset = np.zeros((height, width, 3, 3)), np.zeros((height, width, 3))

    def window(values: np.ndarray, y: int, x: int) -> np.ndarray:
        part = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        return part.reshape(-1, *values.shape[2:])

    for y in range(height):
        for x in range(width):
            pixels = window(image, y, x)
            mean = pixels.mean(axis=0)
            spread = (pixels - mean).T @ (pixels - mean) / len(pixels)
            slope[y, x] = np.linalg.solve(spread + eps * np.eye(3), spread)
            offset[y, x] = mean - slope[y, x].T @ mean
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            out[y, x] = window(slope, y, x).mean(axis=0).T @ image[y, x] + window(offset, y, x).mean(axis=0)
    return out


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40), st.integers(1, 20))
def test_window_sums_equal_plain_loops(seed: int, height: int, width: int, radius: int) -> None:
    values = np.random.default_rng(seed).integers(0, 100, (2, 3, height, width)).astype(np.float64)
    padded = np.pad(values, ((0, 0), (0, 0), (radius, radius), (radius, radius)))
    side = 2 * radius + 1
    expected = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3)).sum(axis=(4, 5))
    given_values = torch.from_numpy(values)
    found = box_sum(given_values, radius)
    assert np.array_equal(found.numpy(), expected)
    assert np.array_equal(given_values.numpy(), values)
    count = box_count(given_values, radius)
    assert torch.equal(count, box_sum(torch.ones(1, 1, height, width, dtype=torch.float64), radius))


def point(kind: torch.dtype) -> torch.Tensor:
    image = torch.zeros(1, 1, 7, 7, dtype=kind)
    image[0, 0, 3, 3] = 1
    return image


@pytest.mark.parametrize(("kind", "tolerance"), TYPES)
@pytest.mark.parametrize(
    ("radius", "centre", "beside", "corner", "total"),
    [(1, 0.918274688, 0.006810443, 0.0, 0.163450624), (2, 0.827422812, 0.006834571, 0.003863043, 0.417102446)],
)
def test_filter_of_a_point(
    kind: torch.dtype, tolerance: float, radius: int, centre: float, beside: float, corner: float, total: float
) -> None:
    image = point(kind)
    q = guided_filter(image, radius, 0.01)
    assert q.dtype == kind
    found = [q[0, 0, 3, 3], q[0, 0, 3, 4], q[0, 0, 0, 0], (image - q).abs().sum()]
    assert [float(v) for v in found] == pytest.approx([centre, beside, corner, total], abs=tolerance)
    assert float(guided_residual(image, radius, 0.01).sum()) == pytest.approx(total, abs=tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), TYPES)
def test_filter_of_a_ramp(kind: torch.dtype, tolerance: float) -> None:
    image = (torch.arange(16, dtype=kind) / 15).view(1, 1, 4, 4)
    q = guided_filter(image, 1, 0.01)
    assert q[0, 0, 0].tolist() == pytest.approx([0.057308, 0.113718, 0.175220, 0.232326], abs=max(tolerance, 1e-6))
    assert float((image - q).abs().sum()) == pytest.approx(0.410876759, abs=tolerance * 10)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    radius=st.integers(1, 6),
    eps=st.sampled_from([1e-6, 0.01, 0.16, 10.0]),
)
def test_filter_equals_the_definition(seed: int, height: int, width: int, radius: int, eps: float) -> None:
    images = np.random.default_rng(seed).random((2, 3, height, width))
    expected = np.stack([[reference_filter(plane, radius, eps) for plane in image] for image in images])
    found = guided_filter(torch.from_numpy(images), radius, eps)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    single = guided_residual(torch.from_numpy(images).float(), radius, eps)
    if eps >= 0.01:
        np.testing.assert_allclose(single.numpy(), np.abs(images - expected), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    radius=st.integers(1, 5),
    eps=st.sampled_from([1e-4, 0.01, 0.16]),
)
def test_color_guide_equals_the_definition(seed: int, height: int, width: int, radius: int, eps: float) -> None:
    image = np.random.default_rng(seed).random((height, width, 3))
    expected = reference_color_filter(image, radius, eps).transpose(2, 0, 1)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    np.testing.assert_allclose(guided_filter(tensor, radius, eps, "color")[0].numpy(), expected, atol=1e-9)
    single = guided_residual(tensor.float(), radius, eps, guide="color")[0]
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), np.abs(image.transpose(2, 0, 1) - expected), atol=1e-5)


def test_guides_agree_on_grey_images_as_far_as_they_should() -> None:
    grey = torch.rand(1, 1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).expand(
        1, 3, 12, 12
    )
    by_channel = guided_residual(grey)
    torch.testing.assert_close(guided_residual(grey, guide="gray"), by_channel)
    # Three equal planes explain a plane three times over: the same as one with a third of eps.
    torch.testing.assert_close(guided_residual(grey, guide="color"), guided_residual(grey, eps=0.01 / 3))


def test_gray_guide_filters_the_luma() -> None:
    images = torch.rand(2, 3, 10, 10, dtype=torch.float64)
    luma = 0.299 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:]
    torch.testing.assert_close(guided_residual(images, guide="gray"), guided_residual(luma).expand(2, 3, 10, 10))


@pytest.mark.parametrize("guide", ["channel", "color", "gray"])
def test_residual_is_float32_under_autocast_and_in_any_layout(guide: str) -> None:
    images = torch.rand(2, 3, 33, 20)
    exact = guided_residual(images, guide=guide)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = guided_residual(images, guide=guide)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, exact)
    assert torch.equal(guided_residual(images.contiguous(memory_format=torch.channels_last), guide=guide), exact)


@pytest.mark.parametrize("guide", ["colour", "gray"])
def test_filter_refuses_other_guides(guide: str) -> None:
    with pytest.raises(ModelError):
        guided_filter(torch.zeros(1, 3, 8, 8), guide=guide)


def test_limits_of_the_residual() -> None:
    images = torch.rand(1, 3, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert float(guided_residual(torch.full_like(images, 0.3)).abs().max()) < 1e-12
    assert float(guided_residual(images, eps=1e-12).max()) < 1e-8
    smooth = guided_residual(images, radius=1, eps=1e12)
    box = torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    box = torch.nn.functional.avg_pool2d(box, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(smooth, (images - box).abs(), atol=1e-9, rtol=0)
    assert float(guided_residual(images, gain=3.0).sum()) == pytest.approx(3 * float(guided_residual(images).sum()))


@pytest.mark.parametrize(("radius", "eps"), [(0, 0.01), (2, 0.0), (2, -1.0)])
def test_filter_refuses(radius: int, eps: float) -> None:
    with pytest.raises(ModelError):
        guided_filter(torch.zeros(1, 3, 8, 8), radius, eps)


@pytest.mark.parametrize(("kind", "tolerance"), TYPES)
def test_channel_attention_vector(kind: torch.dtype, tolerance: float) -> None:
    features = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=kind).view(1, 3, 2, 1)
    found = channel_attention(features)
    assert found.shape == features.shape
    assert found.dtype == kind
    expected = [0.844638, 0.577681, 0.577681, 0.844638, 0.788058, 0.788058]
    assert found.flatten().tolist() == pytest.approx(expected, abs=max(tolerance, 1e-6))


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_channel_attention_scaled_and_with_a_residual_connection(scale: bool, residual: bool) -> None:
    features = torch.rand(2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = channel_attention(features, scale=scale, residual=residual)
    for image, expected in zip(features.numpy().reshape(2, 4, 15), found.numpy().reshape(2, 4, 15), strict=True):
        products = np.exp(image @ image.T / (15**0.5 if scale else 1.0))
        mixed = products / products.sum(axis=1, keepdims=True) @ image
        np.testing.assert_allclose(mixed + image if residual else mixed, expected, rtol=1e-12)


def test_channel_attention_stays_finite_for_large_features_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = channel_attention(torch.full((2, 8, 4, 4), 1e4))
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(("kind", "tolerance"), TYPES)
def test_stream_weights_vector(kind: torch.dtype, tolerance: float) -> None:
    found = stream_weights(torch.tensor([0.2, 0.7], dtype=kind))
    assert found.tolist() == pytest.approx([0.622459331, 0.377540669], abs=tolerance)
    assert stream_weights(torch.tensor([3.0, 3.0], dtype=kind)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("softmax", 0.622459331),
        ("reciprocal", 0.7 / 0.9),
        ("softmax-reciprocal", 1 / (1 + np.exp(1 / 0.7 - 1 / 0.2))),
        ("softmax-loss", 0.377540669),
    ],
)
def test_forms_of_the_stream_weights(form: str, expected: float) -> None:
    losses = torch.tensor([0.2, 0.7], dtype=torch.float64)
    assert stream_weights(losses, form).tolist() == pytest.approx([expected, 1 - expected], abs=1e-8)
    assert stream_weights(losses[[0, 0]], form).tolist() == [0.5, 0.5]
    for extreme in ([0.0, 0.0], [0.0, 1e4], [1e-30, 5.0]):
        weights = stream_weights(torch.tensor(extreme), form)
        assert torch.isfinite(weights).all()
        assert float(weights.sum()) == pytest.approx(1.0)


def test_two_natural_readings_of_the_stream_weights_coincide() -> None:
    losses = torch.rand(20, 2, dtype=torch.float64)
    torch.testing.assert_close(stream_weights(losses), torch.softmax(losses.flip(-1), dim=-1))


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ModelError, match="linear") as caught:
        stream_weights(torch.ones(2), "linear")
    assert "reciprocal" in caught.value.hint


def test_fusions() -> None:
    a, b = torch.rand(2, 4, 3, 3), torch.rand(2, 4, 3, 3)
    half = torch.tensor([0.25, 0.75])
    torch.testing.assert_close(fuse((a, b), "afm", half), 0.25 * channel_attention(a) + 0.75 * channel_attention(b))
    torch.testing.assert_close(fuse((a, b), "sum", half), a + b)
    assert torch.equal(fuse((a, b), "max", half), torch.where(a > b, a, b))
    assert torch.equal(fuse((a, b), "min", half), torch.where(a > b, b, a))
    assert torch.equal(fuse((a, b), "concat", half), torch.cat((a, b), dim=1))
    assert torch.equal(fuse((a,), "sum", half), a)
    assert torch.equal(fuse((a,), "afm", torch.ones(1)), channel_attention(a))


NO_HEADS = {"stream_heads": False, "fusion": "sum"}
COUNTS = [
    ({}, 2, 22_356_102),
    ({}, 5, 22_360_719),
    ({}, 8, 22_365_336),
    (NO_HEADS, 2, 22_354_050),
    (NO_HEADS, 5, 22_355_589),
    (NO_HEADS, 8, 22_357_128),
    ({"stream_heads": False, "alpha_update": "fixed"}, 2, 22_354_050),
    ({"residual_norm": "batch", "afm_scale": True, "afm_residual": True}, 2, 22_356_102),
    ({"residual_norm": "batch", "afm_scale": True, "afm_residual": True}, 5, 22_360_719),
    *(({"fusion": how}, 8, 22_365_336) for how in ("max", "min", "sum")),
    *(({"fusion": "concat"}, classes, count + 512 * classes) for classes, count in ((2, 22_356_102), (8, 22_365_336))),
    *(({"streams": "rgb-twice", "fusion": how}, 8, 22_365_336) for how in ("sum", "afm")),
    *(
        ({"streams": alone, "fusion": "sum"}, classes, count)
        for alone in ("rgb", "residual")
        for classes, count in ((2, 11_177_538), (5, 11_179_077), (8, 11_180_616))
    ),
]


@pytest.mark.parametrize(("options", "classes", "count"), COUNTS)
def test_parameter_counts(options: dict[str, object], classes: int, count: int) -> None:
    with torch.device("meta"):
        model = build_model("grnet", classes, **options)
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.slow
def test_other_backbones_end_with_a_map_of_their_own_width() -> None:
    widths = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "xception": 2048, "efficientnet-b4": 1792}
    assert set(BACKBONES) == set(widths)
    for name, width in widths.items():
        with torch.device("meta"):
            model = build_model("grnet", backbone=name)
            network, features = feature_network(name)
            assert network(torch.zeros(2, 3, 64, 64)).shape == (2, width, 2, 2)
        assert model.head.in_features == model.rgb_head.in_features == features == width
        half = name in ("xception", "efficientnet-b4")
        assert (BACKBONES[name].mean == BACKBONES[name].std == (0.5, 0.5, 0.5)) == half
    with torch.device("meta"):
        network, _ = feature_network("resnet18")
    assert sum(p.numel() for p in network.parameters()) == 11_176_512
    assert {"conv1.weight", "layer4.1.bn2.running_var", "layer2.0.downsample.0.weight"} <= set(network.state_dict())


def test_output_and_loss() -> None:
    torch.manual_seed(0)
    model = build_model("grnet", 3)
    images, targets = torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 2, 1])
    output = model(images)
    assert output.logits.shape == output.rgb_logits.shape == output.residual_logits.shape == (4, 3)
    torch.testing.assert_close(output.residual, guided_residual(images))
    parts = [
        torch.nn.functional.cross_entropy(x, targets)
        for x in (output.logits, output.rgb_logits, output.residual_logits)
    ]
    torch.testing.assert_close(model.loss(output, targets), sum(parts))


def test_stream_weights_follow_the_epoch_and_lie_in_the_checkpoint() -> None:
    torch.manual_seed(0)
    model = build_model("grnet")
    assert model.alpha.tolist() == [0.5, 0.5]
    model.start_epoch(0)
    images, targets = torch.rand(6, 3, 32, 32), torch.tensor([0, 1, 0, 1, 1, 1])
    losses = []
    for part in (slice(0, 4), slice(4, 6)):
        output = model(images[part])
        model.loss(output, targets[part])
        pair = [
            torch.nn.functional.cross_entropy(x, targets[part]) for x in (output.rgb_logits, output.residual_logits)
        ]
        losses.append(torch.stack(pair).detach() * len(targets[part]))
    assert model.alpha.tolist() == [0.5, 0.5]
    model.end_epoch(0)
    torch.testing.assert_close(model.alpha, stream_weights(sum(losses) / 6).float())
    assert "alpha" in model.state_dict()
    settled = model.alpha.clone()
    model.eval()
    model.loss(model(images), targets)
    model.end_epoch(1)
    assert torch.equal(model.alpha, settled), "evaluation must not move the stream weights"


def test_detached_stream_heads_leave_the_streams_to_the_fused_head() -> None:
    model = build_model("grnet", w_aux=0.0)
    output = model(torch.rand(2, 3, 32, 32))
    torch.nn.functional.cross_entropy(output.rgb_logits, torch.tensor([0, 1])).backward()
    assert model.rgb_head.weight.grad is not None
    assert all(p.grad is None for p in model.rgb.parameters())


def test_weight_of_the_stream_losses() -> None:
    targets = torch.tensor([0, 1])
    parts = {}
    for weight in (0.25, 1.0):
        torch.manual_seed(0)
        model = build_model("grnet", w_aux=weight)
        output = model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
        fused = torch.nn.functional.cross_entropy(output.logits, targets)
        parts[weight] = float((model.loss(output, targets) - fused).detach())
    assert parts[0.25] == pytest.approx(0.25 * parts[1.0], rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"fusion": "concat"},
        {"fusion": "max"},
        {"fusion": "sum", "streams": "rgb-twice"},
        {"afm_at": "vector", "alpha_update": "batch", "alpha_form": "reciprocal"},
        {"residual_norm": "none", "gain": 4.0, "radius": 8, "eps": 0.01},
        {"residual_norm": "batch", "residual_at": "before", "afm_scale": True, "afm_residual": True},
        {"guide": "gray", "fusion": "min", "stream_heads": False},
        {"guide": "color", "alpha_update": "fixed", "w_aux": 0.0},
        {"streams": "rgb", "fusion": "sum"},
        {"streams": "residual"},
        {"residual_at": "before"},
        {"backbone": "resnet34"},
    ],
)
def test_options_learn_in_every_part(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = build_model("grnet", **options)
    output = model(model.before_augmentation(torch.rand(2, 3, 48, 48)))
    model.loss(output, torch.tensor([0, 1])).backward()
    assert torch.isfinite(output.logits).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_single_stream_of_rgb_is_resnet18() -> None:
    model, plain = build_model("grnet", streams="rgb", fusion="sum").eval(), build_model("resnet18").eval()
    names = {"rgb": "backbone", "head": "head"}
    state = {k: v for k, v in model.state_dict().items() if k != "alpha"}
    plain.load_state_dict({f"{names[k.split('.')[0]]}.{k.split('.', 1)[1]}": v for k, v in state.items()})
    images = torch.rand(2, 3, 64, 64)
    output = model(images)
    torch.testing.assert_close(output.logits, plain(images).logits)
    assert output.residual is output.rgb_logits is output.residual_logits is None


def stream_input(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the residual stream sees."""
    seen: list[torch.Tensor] = []
    handle = model.residual.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(images)
    handle.remove()
    return seen[0]


def test_the_residual_stream_sees_the_residual_normalised_or_not() -> None:
    images = torch.rand(4, 3, 32, 32)
    chosen = {"gain": 2.0, "radius": 1, "eps": 0.1}
    residual = guided_residual(images, 1, 0.1, 2.0)
    model = build_model("grnet", residual_norm="imagenet", **chosen).eval()
    torch.testing.assert_close(stream_input(model, images), model.normalize(residual))
    torch.testing.assert_close(
        stream_input(build_model("grnet", residual_norm="none", **chosen).eval(), images), residual
    )


def test_batch_statistics_of_the_residual_are_kept_for_inference() -> None:
    images = torch.rand(4, 3, 32, 32)
    residual = guided_residual(images)
    mean, variance = residual.mean(dim=(0, 2, 3)), residual.var(dim=(0, 2, 3))
    model = build_model("grnet", residual_norm="batch")
    assert {"residual_statistics.running_mean", "residual_statistics.running_var"} <= model.state_dict().keys()
    model.residual_statistics.momentum = 1.0
    seen = stream_input(model.train(), images)
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen.var(dim=(0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)
    later = stream_input(model.eval(), images[:1])
    expected = (residual[:1] - mean.view(1, 3, 1, 1)) / (variance.view(1, 3, 1, 1) + 1e-7).sqrt()
    torch.testing.assert_close(later, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("former", "current"), [(True, "imagenet"), (False, "none"), ("true", "imagenet"), ("false", "none")]
)
def test_values_of_version_0_1_0_are_still_accepted(former: bool | str, current: str) -> None:
    assert build_model("grnet", residual_norm=former).residual_norm == current


def test_residual_before_the_augmentation_is_augmented_along() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32)
    before = build_model("grnet", residual_at="before").eval()
    joined = before_augmentation(before, images)
    torch.testing.assert_close(joined, torch.cat((images, guided_residual(images)), dim=1))
    turned = joined.rot90(1, (2, 3)) * 0.5  # a change after which the image has another residual
    output = before(turned)
    assert torch.equal(output.residual, turned[:, 3:])
    assert not torch.allclose(output.residual, guided_residual(turned[:, :3]), atol=1e-3)
    after = build_model("grnet").eval()
    after.load_state_dict(before.state_dict())
    assert before_augmentation(after, images) is images
    torch.testing.assert_close(before(images).logits, after(images).logits)
    torch.testing.assert_close(before(joined).logits, after(images).logits)
    with pytest.raises(ModelError):
        after(joined)


def test_batch_wise_stream_weights_are_those_of_the_batch_before() -> None:
    torch.manual_seed(0)
    model = build_model("grnet", alpha_update="batch", alpha_form="reciprocal")
    images, targets = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    output = model(images)
    model.loss(output, targets).backward()
    assert model.alpha.tolist() == [0.5, 0.5]
    pair = [torch.nn.functional.cross_entropy(x, targets) for x in (output.rgb_logits, output.residual_logits)]
    model(images)
    torch.testing.assert_close(model.alpha, stream_weights(torch.stack(pair).detach(), "reciprocal"))


def test_fixed_stream_weights_stay() -> None:
    model = build_model("grnet", alpha_update="fixed")
    model.start_epoch(0)
    model.loss(model(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1]))
    model.end_epoch(0)
    assert model.alpha.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "options",
    [
        {"stream_heads": False},
        {"backbone": "resnet19"},
        {"radius": 0},
        {"eps": 0.0},
        {"gain": 0.0},
        {"w_aux": -1.0},
        *({name: "none"} for name in ("guide", "residual_at", "afm_at", "alpha_update", "alpha_form", "streams")),
    ],
)
def test_options_that_cannot_be_are_refused_with_a_hint(options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        build_model("grnet", **options)
    assert caught.value.hint


def test_a_wrong_choice_is_refused() -> None:
    with pytest.raises(UsageError, match="fusion") as caught:
        build_model("grnet", fusion="product")
    assert "afm" in caught.value.hint


def test_spec_lists_what_the_paper_leaves_open_without_torch() -> None:
    import subprocess

    code = (
        "import sys; from dfbench.models.registry import get_spec, model_names\n"
        "specs = [get_spec(n) for n in model_names()]\n"
        "assert not {'torch', 'timm', 'lightning'} & set(sys.modules), 'torch was imported'\n"
        "print(len(get_spec('grnet').reproduction_notes))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 12
