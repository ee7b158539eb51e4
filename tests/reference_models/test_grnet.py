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
from reference_models.grnet import channel_attention, guided_filter, guided_residual, stream_weights
from reference_models.grnet.fusion import fuse

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


def test_fusions() -> None:
    a, b = torch.rand(2, 4, 3, 3), torch.rand(2, 4, 3, 3)
    half = torch.tensor([0.25, 0.75])
    torch.testing.assert_close(fuse(a, b, "afm", half), 0.25 * channel_attention(a) + 0.75 * channel_attention(b))
    torch.testing.assert_close(fuse(a, b, "sum", half), a + b)
    torch.testing.assert_close(fuse(a, b, "max", half) + fuse(a, b, "min", half), a + b)
    assert fuse(a, b, "concat", half).shape == (2, 8, 3, 3)


@pytest.mark.parametrize(("classes", "count"), [(2, 22_356_102), (5, 22_360_719), (8, 22_365_336)])
def test_parameter_counts(classes: int, count: int) -> None:
    assert sum(p.numel() for p in build_model("grnet", classes).parameters()) == count


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
    model.eval()
    model.loss(model(images), targets)
    assert model.loss_sums[2] == 6, "evaluation must not move the stream weights"


def test_detached_stream_heads_leave_the_streams_to_the_fused_head() -> None:
    model = build_model("grnet", w_aux=0.0)
    output = model(torch.rand(2, 3, 32, 32))
    torch.nn.functional.cross_entropy(output.rgb_logits, torch.tensor([0, 1])).backward()
    assert model.rgb_head.weight.grad is not None
    assert all(p.grad is None for p in model.rgb.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"fusion": "concat"},
        {"fusion": "sum", "streams": "rgb-twice"},
        {"afm_at": "vector", "alpha_update": "batch"},
        {"residual_norm": False, "gain": 4.0, "radius": 4, "eps": 0.04},
    ],
)
def test_options_run(options: dict[str, object]) -> None:
    model = build_model("grnet", **options)
    output = model(torch.rand(2, 3, 48, 48))
    model.loss(output, torch.tensor([0, 1])).backward()
    assert torch.isfinite(output.logits).all()


def test_batch_wise_stream_weights() -> None:
    model = build_model("grnet", alpha_update="batch")
    model.loss(model(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 0, 1]))
    assert model.alpha.tolist() != [0.5, 0.5]
    assert float(model.alpha.sum()) == pytest.approx(1.0)


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
        "print(len(get_spec('grnet').open_points))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 12
