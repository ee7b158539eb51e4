"""The residual extractors: fixed kernels, the constrained convolution, AMTEN."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate
from torch import nn

from dfbench.errors import ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.options import recorded_options
from dfbench.models.registry import get_spec
from reference_models.extractors import (
    AMTEN,
    EXTRACTORS,
    SRM,
    ConstrainedConv,
    GuidedResidual,
    HighPass,
    constrain,
    make_extractor,
    srm_kernels,
)
from reference_models.grnet import guided_residual


def rgb(size: int = 16, count: int = 2) -> torch.Tensor:
    return 255 * torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_srm_impulse() -> None:
    impulse = torch.zeros(1, 3, 11, 11)
    impulse[0, 1, 5, 5] = 1.0
    response = SRM()(impulse)[0]
    torch.testing.assert_close(response[:, 5, 5], torch.tensor([-1.0, -1.0, -1.0]))
    torch.testing.assert_close(response[0, 5, 3:8] * 12, torch.tensor([-2.0, 8.0, -12.0, 8.0, -2.0]))
    torch.testing.assert_close(response[1, 4, 3:8] * 4, torch.tensor([0.0, -1.0, 2.0, -1.0, 0.0]))
    torch.testing.assert_close(response[2, 5, 3:8] * 2, torch.tensor([0.0, 1.0, -2.0, 1.0, 0.0]))
    assert float(response[2, [3, 4, 6, 7]].abs().max()) == 0


def test_srm_sums_the_colours_and_high_pass_keeps_them_apart() -> None:
    image = rgb()
    only_red = image * torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    assert float(HighPass()(only_red)[:, 1:].abs().max()) == 0
    torch.testing.assert_close(HighPass()(only_red)[:, 0], SRM()(only_red)[:, 0])
    torch.testing.assert_close(HighPass()(image).sum(1), SRM()(image)[:, 0], atol=1e-3, rtol=1e-5)


def test_fixed_kernels_sum_to_nothing_and_ignore_flat_areas() -> None:
    assert float(srm_kernels().sum(dim=(1, 2)).abs().max()) < 1e-6
    flat = torch.full((1, 3, 12, 12), 200.0)
    for module in (SRM(), HighPass()):
        assert float(module(flat)[:, :, 2:-2, 2:-2].abs().max()) < 1e-3
        assert not list(module.parameters())
        assert not module.state_dict()


@pytest.mark.parametrize(("padding", "mode"), [("reflect", "reflect"), ("zeros", "constant")])
def test_high_pass_against_plain_loops(padding: str, mode: Literal["reflect", "constant"]) -> None:
    image = rgb(8, 1)
    kernel = srm_kernels()[0].double().numpy()
    padded = np.pad(image[0].double().numpy(), ((0, 0), (2, 2), (2, 2)), mode=mode)
    expected = np.zeros((3, 8, 8))
    for y in range(8):
        for x in range(8):
            expected[:, y, x] = (padded[:, y : y + 5, x : x + 5] * kernel).sum(axis=(1, 2))
    np.testing.assert_allclose(HighPass(padding)(image)[0].numpy(), expected, atol=1e-2)


@pytest.mark.parametrize(("padding", "mode"), [("reflect", "mirror"), ("zeros", "constant")])
@pytest.mark.parametrize("size", [3, 4, 17])
def test_srm_against_scipy(padding: str, mode: str, size: int) -> None:
    image = rgb(size, 1)
    summed = image[0].double().sum(0).numpy()
    expected = [correlate(summed, kernel.double().numpy(), mode=mode) for kernel in srm_kernels()]
    np.testing.assert_allclose(SRM(padding)(image)[0].numpy(), np.stack(expected), atol=1e-2)


def test_a_reflected_border_is_like_the_rest_and_a_zero_border_is_a_step() -> None:
    flat = torch.full((1, 3, 12, 12), 200.0)
    for reflected, zeros in ((SRM(), SRM("zeros")), (HighPass(), HighPass("zeros"))):
        assert float(reflected(flat).abs().max()) < 1e-3
        assert float(zeros(flat).abs().max()) > 40
        torch.testing.assert_close(reflected(rgb())[:, :, 2:-2, 2:-2], zeros(rgb())[:, :, 2:-2, 2:-2])


def test_an_unknown_padding_is_refused_by_every_extractor() -> None:
    for name in EXTRACTORS:
        with pytest.raises(UsageError, match="unknown padding 'same'"):
            make_extractor(name, "same")
    with pytest.raises(UsageError, match="unknown padding 'same'"):
        build_model("highpass", padding="same")


def test_old_weights_keep_the_zero_border() -> None:
    for model, recorded in (("highpass", {}), ("amtennet", {"extractor": "srm"})):
        spec = get_spec(model)
        assert spec.options["padding"] == "reflect"
        assert recorded_options(spec, recorded)["padding"] == "zeros"
    assert build_model("amtennet", extractor="srm", padding="zeros").extractor.padding == "zeros"
    assert build_model("amtennet", extractor="srm").extractor.padding == "reflect"


def test_guided_residual_is_that_of_grnet_on_the_scale_255() -> None:
    image = rgb()
    torch.testing.assert_close(GuidedResidual()(image), 255 * guided_residual(image / 255))


def test_constrained_kernel_of_ones() -> None:
    result = constrain(torch.ones(3, 3, 5, 5))
    expected = torch.full((3, 3, 5, 5), 1 / 24)
    expected[:, :, 2, 2] = -1
    torch.testing.assert_close(result, expected)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31 - 1), st.floats(1e-4, 1e4), st.sampled_from([3, 5, 7]))
def test_constraint_holds_and_twice_is_once(seed: int, scale: float, side: int) -> None:
    weight = scale * torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))
    once = constrain(weight)
    assert torch.equal(once[:, :, side // 2, side // 2], torch.full((2, 3), -1.0))
    reach = once.double().abs().sum(dim=(2, 3))
    assert bool((once.double().sum(dim=(2, 3)).abs() <= 1e-6 * reach).all())
    assert torch.equal(constrain(once), once)


def test_constraint_divides_as_published() -> None:
    weight = torch.randn(3, 1, 5, 5, generator=torch.Generator().manual_seed(4))
    expected = weight.double().numpy() * 10_000
    expected[:, :, 2, 2] = 0
    expected = expected / expected.sum(axis=(2, 3), keepdims=True)
    expected[:, :, 2, 2] = -1
    np.testing.assert_allclose(constrain(weight).numpy(), expected, rtol=1e-5)


def test_slices_that_cannot_be_divided_become_the_mean() -> None:
    weight = torch.zeros(1, 2, 5, 5)
    weight[0, 1, 0, 0], weight[0, 1, 0, 1] = 1.0, -1.0
    expected = constrain(torch.ones(1, 2, 5, 5))
    torch.testing.assert_close(constrain(weight), expected)


@pytest.mark.parametrize("shape", [(3, 5, 5), (1, 1, 4, 4), (1, 1, 5, 3), (1, 1, 1, 1)])
def test_constraint_refuses_other_kernels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="odd"):
        constrain(torch.ones(shape))


def test_constraint_before_every_step_in_evaluation_and_in_stored_weights() -> None:
    torch.manual_seed(0)
    layer = ConstrainedConv(3, 3, padding=2, bias=True)
    optimizer = torch.optim.SGD([layer.weight], lr=0.1, momentum=0.9)
    for _ in range(3):
        layer.train()
        optimizer.zero_grad()
        layer(rgb() / 255).square().mean().backward()
        assert torch.equal(constrain(layer.weight.detach()), layer.weight.detach())  # the gradient was taken here
        optimizer.step()
        assert not torch.equal(constrain(layer.weight.detach()), layer.weight.detach())
        stored = layer.state_dict()["weight"]
        assert torch.equal(constrain(stored), stored)
        layer.eval()
        evaluated = layer(rgb())
        layer.load_state_dict({"weight": stored.clone(), "bias": torch.zeros(3)})
        assert torch.equal(layer.eval()(rgb()), evaluated)


def test_switching_to_evaluation_brings_the_last_update_to_the_constraint() -> None:
    layer = nn.Sequential(ConstrainedConv(3, 3))
    with torch.no_grad():
        layer[0].weight.add_(0.3)
    layer.eval()
    assert torch.equal(constrain(layer[0].weight.detach()), layer[0].weight.detach())


def test_two_training_passes_before_one_step() -> None:
    layer = ConstrainedConv(3, 3, padding=2)
    (layer(rgb()).mean() + layer(rgb()).square().mean()).backward()
    assert layer.weight.grad is not None


def test_amten_against_its_definition() -> None:
    torch.manual_seed(0)
    amten, image = AMTEN(), rgb()
    trace = amten.conv1(image) - image
    first = amten.conv2_2(amten.conv2_1(trace))
    six = torch.cat([first, trace], 1)
    second = amten.conv3_2(amten.conv3_1(six))
    result = amten(image)
    assert result.shape == (2, 12, 16, 16)
    torch.testing.assert_close(result[:, :6], second)
    torch.testing.assert_close(result[:, 6:9], first)
    torch.testing.assert_close(result[:, 9:], trace)


def test_amten_counts_912_parameters_3_of_them_fixed_at_zero() -> None:
    amten = AMTEN()
    assert sum(p.numel() for p in amten.parameters()) == 912
    assert sum(p.numel() for p in amten.parameters() if p.requires_grad) == 909
    assert float(amten.conv1.bias.detach().abs().max()) == 0
    assert not amten.conv1.bias.requires_grad


@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_extractors_keep_the_size_and_compute_in_float32(name: str) -> None:
    torch.manual_seed(0)
    module, planes = make_extractor(name)
    module.eval()
    image = rgb(20)
    with torch.inference_mode():
        exact = module(image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = module(image)
    assert exact.shape == (2, planes, 20, 20)
    assert planes == (12 if name == "amten" else 3)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, exact)


def test_an_unknown_extractor_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError) as caught:
        make_extractor("sobel")
    assert "high-pass" in caught.value.hint
