"""AMTENnet: shapes row by row, the order of its layers, colours, and the rows of Table II."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reference_models.amtennet.network import AMTENnet, last_map

pytestmark = pytest.mark.slow


def random_images(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2))


def test_shapes_row_by_row() -> None:
    model = AMTENnet(2, 128).eval()
    seen: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str) -> object:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            seen.setdefault(name, []).append(tuple(output.shape[1:]))

        return hook

    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(note(name))  # type: ignore[arg-type]
    with torch.inference_mode():
        output = model(random_images(1, 128))
    assert tuple(output.traces.shape[1:]) == (12, 128, 128)
    assert seen["extractor.conv1"] == seen["extractor.conv2_1"] == seen["extractor.conv2_2"] == [(3, 128, 128)]
    assert seen["extractor.conv3_1"] == seen["extractor.conv3_2"] == [(6, 128, 128)]
    assert seen["classifier.conv4"] == [(24, 128, 128)]
    assert seen["classifier.conv5"] == [(48, 62, 62)]
    assert seen["classifier.conv6"] == [(64, 29, 29)]
    assert seen["classifier.conv7"] == [(128, 14, 14)]
    assert seen["classifier.pool"] == [(24, 64, 64), (48, 31, 31), (64, 14, 14), (128, 7, 7)]
    assert [seen[f"classifier.fc{k}"] for k in range(3)] == [[(300,)], [(300,)], [(2,)]]
    assert model.classifier.fc0.in_features == 6272


def test_the_last_map_is_the_one_the_layers_give() -> None:
    for size in range(32, 90):
        model = AMTENnet(2, size).eval()
        with torch.inference_mode():
            assert model(random_images(1, size)).logits.shape == (1, 2)
        assert model.classifier.fc0.in_features == 128 * last_map(size) ** 2


def test_order_is_convolution_pooling_relu_then_norm_and_plain_dense_layers() -> None:
    torch.manual_seed(0)
    model = AMTENnet(3, 64).eval()
    layers = model.classifier
    with torch.no_grad():
        for norm in (layers.bn4, layers.bn5, layers.bn6):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 2)
        output = model(random_images())
        x = output.traces
        for conv, norm in ((layers.conv4, layers.bn4), (layers.conv5, layers.bn5), (layers.conv6, layers.bn6)):
            x = norm(F.relu(F.max_pool2d(conv(x), 3, 2, ceil_mode=True)))
        x = F.relu(F.max_pool2d(layers.conv7(x), 3, 2, ceil_mode=True)).flatten(1)
        weight = layers.fc2.weight @ layers.fc1.weight @ layers.fc0.weight  # all biases are 0 at first
        torch.testing.assert_close(output.logits, x @ weight.T, rtol=1e-3, atol=1e-2)


def test_input_is_blue_green_red_from_0_to_255() -> None:
    model = AMTENnet(2, 64, extractor="high-pass").eval()
    red = torch.zeros(1, 3, 64, 64)
    red[0, 0, 32, 32] = 1.0
    traces = model(red).traces
    assert float(traces[0, :2].abs().max()) == 0
    assert float(traces[0, 2, 32, 32]) == pytest.approx(-255.0, rel=1e-5)


def test_xavier_by_the_fan_in() -> None:
    model = AMTENnet(2, 128)
    limit = (3 / 6272) ** 0.5
    assert 0.99 * limit < float(model.classifier.fc0.weight.detach().abs().max()) <= limit
    assert float(model.classifier.fc0.bias.detach().abs().max()) == 0


@pytest.mark.parametrize(("extractor", "extra"), [("high-pass", 0), ("srm", 0), ("mte", 0), ("constrained", 225)])
def test_parameters_of_the_rows_of_table_two(extractor: str, extra: int) -> None:
    for classes, count in ((2, 2_020_194), (8, 2_022_000)):
        with torch.device("meta"):
            model = AMTENnet(classes, 128, extractor=extractor)
        assert sum(p.numel() for p in model.parameters()) == count + extra


@pytest.mark.parametrize("extractor", ["high-pass", "srm", "mte", "constrained", "amten"])
def test_every_row_of_table_two_learns(extractor: str) -> None:
    torch.manual_seed(0)
    images, targets = random_images(8, 32), torch.arange(8) % 2
    images[targets == 1] = F.avg_pool2d(images[targets == 1], 3, 1, 1)
    model = AMTENnet(2, 32, extractor=extractor)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.95)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(images).logits, targets).backward()
        optimizer.step()
    with torch.inference_mode():
        assert bool((model.eval()(images).logits.argmax(1) == targets).all())
