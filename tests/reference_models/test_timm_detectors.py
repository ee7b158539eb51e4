"""Xception, EfficientNet-B4 and ViT-B/16: that they are the intended networks, and what is added to timm's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dfbench.errors import ModelError
from reference_models.efficientnet.network import EfficientNetB4
from reference_models.vit.network import ViTB16
from reference_models.xception.network import XceptionDetector

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def xception() -> XceptionDetector:
    torch.manual_seed(0)
    return XceptionDetector(2).eval()


@pytest.fixture(scope="module")
def vit() -> ViTB16:
    torch.manual_seed(0)
    return ViTB16(2).eval()


def test_inputs_are_normalised_to_minus_one_and_one(xception: XceptionDetector) -> None:
    seen: list[torch.Tensor] = []
    handle = xception.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        xception(torch.linspace(0, 1, 3 * 64 * 64).view(1, 3, 64, 64))
    handle.remove()
    assert (float(seen[0].min()), float(seen[0].max())) == (-1.0, 1.0)


def test_parts_of_xception(xception: XceptionDetector) -> None:
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in xception.backbone.named_children()}
    expected = {"conv1": 864, "conv2": 18_432, "block1": 35_264, "block2": 136_064, "block3": 915_944}
    expected |= {f"block{k}": 1_613_976 for k in range(4, 12)}
    expected |= {"block12": 2_039_584, "conv3": 1_582_080, "conv4": 3_159_552}
    assert {name: parts[name] for name in expected} == expected
    assert len(xception.backbone.state_dict()) == 276


def test_the_head_learns_alone_for_as_long_as_asked() -> None:
    with torch.device("meta"):
        model = XceptionDetector(2, head_epochs=2)

    def learning() -> set[str]:
        return {name for name, p in model.backbone.named_parameters() if p.requires_grad}

    everything = learning()
    for epoch, expected in enumerate(({"fc.weight", "fc.bias"}, {"fc.weight", "fc.bias"}, everything)):
        model.start_epoch(epoch)
        assert learning() == expected
        model.end_epoch(epoch)
        assert learning() == everything


def test_efficientnet_is_b4_with_its_regularisation() -> None:
    with torch.device("meta"):
        model = EfficientNetB4(2)
    network = model.backbone
    assert [len(stage) for stage in network.blocks] == [2, 4, 4, 6, 6, 8, 2]
    assert sum(p.numel() for p in network.blocks[0][0].parameters()) == 2_940
    assert sum(p.numel() for p in network.blocks[6][1].parameters()) == 3_049_200
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for stage in network.blocks for block in stage]
    assert rates[-1] == pytest.approx(0.2 * 31 / 32)
    assert network.drop_rate == 0.4
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert sum(b.numel() for b in network.buffers()) == 125_296
    assert len(network.state_dict()) == 706


def test_the_head_of_efficientnet_starts_small() -> None:
    torch.manual_seed(0)
    head = EfficientNetB4(2).backbone.classifier
    limit = 1792**-0.5
    assert 0.95 * limit < float(head.weight.detach().abs().max()) <= limit


@pytest.mark.parametrize("float32_scores", [True, False])
def test_efficientnet_scores_in_float32_unless_told_otherwise(float32_scores: bool) -> None:
    torch.manual_seed(0)
    model = EfficientNetB4(2, float32_scores=float32_scores)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model.train()(images).logits.dtype == torch.bfloat16
        mixed = model.eval()(images).logits
    assert mixed.dtype == (torch.float32 if float32_scores else torch.bfloat16)
    with torch.no_grad():
        assert torch.equal(mixed, model(images).logits) == float32_scores


def test_vit_has_the_grid_of_224_and_interpolates(vit: ViTB16) -> None:
    assert vit.backbone.pos_embed.shape == (1, 197, 768)
    assert len(vit.backbone.state_dict()) == 152
    with torch.inference_mode():
        for size in (32, 128):
            assert vit(torch.rand(1, 3, size, size)).logits.shape == (1, 2)


def test_vit_refuses_sizes_that_its_patches_do_not_fill(vit: ViTB16) -> None:
    with pytest.raises(ModelError, match="multiples of 16") as caught:
        vit(torch.rand(1, 3, 100, 100))
    assert "96" in caught.value.hint
