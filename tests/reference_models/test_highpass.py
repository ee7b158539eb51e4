"""The high-pass detector: its layers and the range it filters."""

from __future__ import annotations

import torch
from torch import nn

from reference_models.highpass.network import HighPassNet


def test_layers_at_128() -> None:
    with torch.device("meta"):
        model = HighPassNet(2, 128)
    convolutions = [(m.in_channels, m.out_channels) for m in model.features if isinstance(m, nn.Conv2d)]
    dense = [(m.in_features, m.out_features) for m in model.classifier if isinstance(m, nn.Linear)]
    assert convolutions == [(3, 32), (32, 64), (64, 128)]
    assert dense == [(128 * 16 * 16, 1024), (1024, 512), (512, 2)]
    assert {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_the_range_scales_what_is_filtered() -> None:
    torch.manual_seed(0)
    wide = HighPassNet(2, 32).eval()
    narrow = HighPassNet(2, 32, value_range="1").eval()
    narrow.load_state_dict(wide.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        # All biases are 0 at first and leaky ReLUs are homogeneous: the logits scale with the range.
        torch.testing.assert_close(wide(images).logits, 255 * narrow(images).logits, rtol=1e-3, atol=1e-2)


def test_brightness_alone_changes_nothing_inside() -> None:
    torch.manual_seed(0)
    model = HighPassNet(2, 64).eval()
    images = 0.5 * torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        residuals = [model.filter(shift * 255 + images * 255)[:, :, 2:-2, 2:-2] for shift in (0.0, 0.3)]
    torch.testing.assert_close(residuals[0], residuals[1], atol=1e-2, rtol=0)
