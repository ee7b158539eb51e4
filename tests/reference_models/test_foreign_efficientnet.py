"""EfficientNet-B4 under efficientnet_pytorch's names, against its network written anew on those names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.weights import load_weights

pytestmark = pytest.mark.slow

# blocks, planes out, kernel, stride of the first, expansion; padding (before, after) of the stride-2 ones at 380
STAGES = (
    (2, 24, 3, 1, 1, None),
    (4, 32, 3, 2, 6, (0, 1)),
    (4, 56, 5, 2, 6, (2, 2)),
    (6, 112, 3, 2, 6, (0, 1)),
    (6, 160, 5, 1, 6, None),
    (8, 272, 5, 2, 6, (1, 2)),
    (2, 448, 3, 1, 6, None),
)


def random_state() -> dict[str, Tensor]:
    """Tensors of the package, by its names."""
    generator = torch.Generator().manual_seed(8)
    state: dict[str, Tensor] = {}

    def kernel(name: str, *shape: int) -> None:
        fan = shape[1] * (shape[2] * shape[3] if len(shape) == 4 else 1)
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (1.5 / fan) ** 0.5

    def norm(name: str, planes: int) -> None:
        state[f"{name}.weight"] = 0.8 + 0.4 * torch.rand(planes, generator=generator)
        state[f"{name}.bias"] = 0.1 * torch.randn(planes, generator=generator)
        state[f"{name}.running_mean"] = 0.1 * torch.randn(planes, generator=generator)
        state[f"{name}.running_var"] = 0.5 + torch.rand(planes, generator=generator)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    kernel("_conv_stem", 48, 3, 3, 3)
    norm("_bn0", 48)
    number, inside = 0, 48
    for count, outside, size, _, expansion, _ in STAGES:
        for _ in range(count):
            start, wide = f"_blocks.{number}", inside * expansion
            if expansion > 1:
                kernel(f"{start}._expand_conv", wide, inside, 1, 1)
                norm(f"{start}._bn0", wide)
            kernel(f"{start}._depthwise_conv", wide, 1, size, size)
            norm(f"{start}._bn1", wide)
            for name, shape in (("_se_reduce", (inside // 4, wide)), ("_se_expand", (wide, inside // 4))):
                kernel(f"{start}.{name}", *shape, 1, 1)
                state[f"{start}.{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
            kernel(f"{start}._project_conv", outside, wide, 1, 1)
            norm(f"{start}._bn2", outside)
            number, inside = number + 1, outside
    kernel("_conv_head", 1792, 448, 1, 1)
    norm("_bn1", 1792)
    kernel("_fc", 2, 1792)
    state["_fc.bias"] = torch.zeros(2)
    return state


def forward(state: dict[str, Tensor], x: Tensor, stem: tuple[int, int]) -> Tensor:
    """The package's network with its paddings frozen for 380 pixels, apart from the stem's."""

    def norm(x: Tensor, name: str) -> Tensor:
        p = {k: state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")}
        return F.batch_norm(x, **p, eps=1e-3)

    def pad(x: Tensor, sides: tuple[int, int]) -> Tensor:
        return F.pad(x, (*sides, *sides))

    x = F.silu(norm(F.conv2d(pad(x, stem), state["_conv_stem.weight"], stride=2), "_bn0"))
    number = 0
    for count, _, size, stride, expansion, sides in STAGES:
        for place in range(count):
            start, before = f"_blocks.{number}", x
            if expansion > 1:
                x = F.silu(norm(F.conv2d(x, state[f"{start}._expand_conv.weight"]), f"{start}._bn0"))
            step = stride if place == 0 else 1
            x = pad(x, sides if step == 2 and sides else (size // 2, size // 2))
            x = F.conv2d(x, state[f"{start}._depthwise_conv.weight"], stride=step, groups=x.shape[1])
            x = F.silu(norm(x, f"{start}._bn1"))
            gate = x.mean(dim=(2, 3), keepdim=True)
            gate = F.silu(F.conv2d(gate, state[f"{start}._se_reduce.weight"], state[f"{start}._se_reduce.bias"]))
            gate = F.conv2d(gate, state[f"{start}._se_expand.weight"], state[f"{start}._se_expand.bias"])
            x = norm(F.conv2d(x * gate.sigmoid(), state[f"{start}._project_conv.weight"]), f"{start}._bn2")
            x = x + before if x.shape == before.shape else x
            number += 1
    x = F.silu(norm(F.conv2d(x, state["_conv_head.weight"]), "_bn1"))
    return F.linear(x.mean(dim=(2, 3)), state["_fc.weight"], state["_fc.bias"])


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


# Where the other padding is taken, the difference is 7e-4.
def difference(path: Path, out: Path, expected: Tensor, images: Tensor, **changes: object) -> float:
    done = import_weights(path, "efficientnet-b4", out, **changes)  # type: ignore[arg-type]
    loaded, _ = load_weights(done.path)
    with torch.inference_mode():
        return float((loaded(images).logits - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("size", [96, pytest.param(256, marks=pytest.mark.slow)])
def test_deepfakebench(tmp_path: Path, state: dict[str, Tensor], size: int) -> None:
    foreign = {f"backbone.efficientnet.{name}": t for name, t in state.items() if not name.startswith("_fc")}
    foreign |= {f"backbone.last_layer.{what}": state[f"_fc.{what}"] for what in ("weight", "bias")}
    torch.save(foreign, tmp_path / "effnb4_best.pth")
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    expected = forward(state, (images - 0.5) / 0.5, stem=(0, 0))
    out = tmp_path / "w.safetensors"
    assert difference(tmp_path / "effnb4_best.pth", out, expected, images, size=size) < 2e-5


@pytest.mark.slow
def test_self_blended_images(tmp_path: Path, state: dict[str, Tensor]) -> None:
    checkpoint = {"model": {f"net.{name}": t for name, t in state.items()}, "optimizer": {"step": 3}, "epoch": 99}
    torch.save(checkpoint, tmp_path / "FFc23.tar")
    images = torch.rand(1, 3, 380, 380, generator=torch.Generator().manual_seed(2))
    expected = forward(state, images, stem=(0, 1))
    out = tmp_path / "w.safetensors"
    assert difference(tmp_path / "FFc23.tar", out, expected, images, profile="box") < 2e-5


@pytest.mark.parametrize("names", ["package", "timm"])
def test_imagenet_file_starts_a_detector(tmp_path: Path, state: dict[str, Tensor], names: str) -> None:
    path = tmp_path / "efficientnet-b4.pth"
    thousand = state | {"_fc.weight": torch.zeros(1000, 1792), "_fc.bias": torch.zeros(1000)}
    if names == "timm":
        import timm

        torch.manual_seed(1)
        thousand = timm.create_model("tf_efficientnet_b4").state_dict()
    torch.save(thousand, path)
    torch.manual_seed(4)
    fresh = build_model("efficientnet-b4", 2)
    torch.manual_seed(4)
    model = build_model("efficientnet-b4", 2, pretrained=str(path)).eval()
    first = "conv_stem.weight" if names == "timm" else "_conv_stem.weight"
    assert torch.equal(model.backbone.conv_stem.weight, thousand[first])
    assert torch.equal(model.backbone.classifier.weight, fresh.backbone.classifier.weight)
