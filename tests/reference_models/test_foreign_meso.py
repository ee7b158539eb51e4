"""Meso weights of others: every naming is generated here and compared with its own network, written anew here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.interface import fake_probability
from dfbench.models.weights import load_weights

SIZE = 64


def norm(planes: int, eps: float) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(planes, eps=eps)
    nn.init.uniform_(module.weight, 0.5, 1.5)
    nn.init.normal_(module.bias, std=0.3)
    module.running_mean.uniform_(0, 0.2)
    module.running_var.uniform_(0.05, 0.2)
    module.running_var[0] = 1e-3  # where the two epsilons differ most
    return module


def plain(inside: int, outside: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)


class PortHead(nn.Module):
    """The two dense layers of the PyTorch ports."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16 * (SIZE // 32) ** 2, 16)
        self.fc2 = nn.Linear(16, classes)
        nn.init.normal_(self.fc2.weight, std=0.01)

    def head(self, x: Tensor) -> Tensor:
        return self.fc2(F.leaky_relu(self.fc1(x.flatten(1)), 0.1)).softmax(1)


class PortMeso4(PortHead):
    """No bias in convolutions, one normalisation for 8 and one for 16 planes, input in [-1,1]."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__(classes)
        self.conv1, self.conv2 = plain(3, 8, 3), plain(8, 8, 5)
        self.conv3, self.conv4 = plain(8, 16, 5), plain(16, 16, 5)
        self.bn1, self.bn2 = norm(8, 1e-5), norm(16, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.5
        x = F.max_pool2d(self.bn1(F.relu(self.conv1(x))), 2)
        x = F.max_pool2d(self.bn1(F.relu(self.conv2(x))), 2)
        x = F.max_pool2d(self.bn2(F.relu(self.conv3(x))), 2)
        return self.head(F.max_pool2d(self.bn2(F.relu(self.conv4(x))), 4))


class PortInception(PortHead):
    """The inception blocks without ReLU, and with the spelling of the port."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__(classes)
        for block, inside, first in ((1, 3, 1), (2, 11, 2)):
            start = f"Incption{block}_conv"
            setattr(self, f"{start}1", plain(inside, first, 1))
            for branch, width in ((2, 4), (3, 4), (4, 2)):
                setattr(self, f"{start}{branch}_1", plain(inside, width, 1))
                setattr(self, f"{start}{branch}_2", plain(width, width, 3, dilation=branch - 1))
            setattr(self, f"Incption{block}_bn", norm(first + 10, 1e-5))
        self.conv1, self.conv2, self.bn1 = plain(12, 16, 5), plain(16, 16, 5), norm(16, 1e-5)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) / 0.5
        for block in (1, 2):
            part = {name: m for name, m in self.named_children() if name.startswith(f"Incption{block}")}
            start = f"Incption{block}_conv"
            maps = [part[f"{start}1"](x)]
            maps += [part[f"{start}{b}_2"](part[f"{start}{b}_1"](x)) for b in (2, 3, 4)]
            x = F.max_pool2d(part[f"Incption{block}_bn"](torch.cat(maps, 1)), 2)
        x = F.max_pool2d(self.bn1(F.relu(self.conv1(x))), 2)
        return self.head(F.max_pool2d(self.bn1(F.relu(self.conv2(x))), 4))


def images() -> Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def imported_scores(path: Path, model: str, out: Path, **changes: object) -> Tensor:
    done = import_weights(path, model, out, size=SIZE, **changes)  # type: ignore[arg-type]
    loaded, card = load_weights(done.path)
    assert card == done.card
    with torch.inference_mode():
        return fake_probability(loaded(images()).logits)


@pytest.mark.parametrize(("model", "port"), [("meso4", PortMeso4), ("mesoinception4", PortInception)])
@pytest.mark.parametrize("wrapper", ["backbone.", "module.", "module.backbone.", ""])
def test_port(tmp_path: Path, model: str, port: type[PortHead], wrapper: str) -> None:
    torch.manual_seed(5)
    network = port().eval()
    path = tmp_path / "meso_best.pth"
    torch.save({wrapper + name: tensor for name, tensor in network.state_dict().items()}, path)
    with torch.inference_mode():
        expected = network(images())[:, 1]
    assert float(expected.std()) > 1e-4  # the scores of the images differ at all
    found = imported_scores(path, model, tmp_path / "w.safetensors")
    assert torch.allclose(found.float(), expected, atol=2e-6)


def keras_arrays(inception: bool) -> dict[str, np.ndarray]:
    """Random weights in Keras's layouts and naming, in the order in which the published program creates layers."""
    rng = np.random.default_rng(11)
    arrays: dict[str, np.ndarray] = {}

    def convolution(number: int, kernel: int, inside: int, outside: int) -> None:
        scale = (2 / (kernel * kernel * inside)) ** 0.5
        arrays[f"conv2d_{number}/kernel"] = scale * rng.standard_normal((kernel, kernel, inside, outside))
        arrays[f"conv2d_{number}/bias"] = 0.1 * rng.standard_normal(outside)

    if inception:
        shapes = []
        for inside, (a, b, c, d) in ((3, (1, 4, 4, 2)), (11, (2, 4, 4, 2))):
            shapes += [(1, inside, a), (1, inside, b), (3, b, b), (1, inside, c), (3, c, c), (1, inside, d), (3, d, d)]
        shapes += [(5, 12, 16), (5, 16, 16)]
        planes = (11, 12, 16, 16)
    else:
        shapes, planes = [(3, 3, 8), (5, 8, 8), (5, 8, 16), (5, 16, 16)], (8, 8, 16, 16)
    for number, shape in enumerate(shapes, start=1):
        convolution(number, *shape)
    for number, width in enumerate(planes, start=1):
        layer = f"batch_normalization_{number}"
        arrays[f"{layer}/gamma"] = rng.uniform(0.5, 1.5, width)
        arrays[f"{layer}/beta"] = 0.3 * rng.standard_normal(width)
        arrays[f"{layer}/moving_mean"] = rng.uniform(0, 0.3, width)
        arrays[f"{layer}/moving_variance"] = rng.uniform(0.01, 0.3, width)
    arrays["dense_1/kernel"] = 0.2 * rng.standard_normal((16 * (SIZE // 32) ** 2, 16))
    arrays["dense_1/bias"] = 0.1 * rng.standard_normal(16)
    arrays["dense_2/kernel"] = 0.01 * rng.standard_normal((16, 1))
    arrays["dense_2/bias"] = 0.1 * rng.standard_normal(1)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


class KerasMeso:
    """The published program on channels-last arrays; P(real)."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = {name: torch.from_numpy(array).double() for name, array in arrays.items()}
        self.convolutions = self.norms = 0

    def convolve(self, x: Tensor, dilation: int = 1) -> Tensor:
        self.convolutions += 1
        kernel = self.arrays[f"conv2d_{self.convolutions}/kernel"].permute(3, 2, 0, 1)
        bias = self.arrays[f"conv2d_{self.convolutions}/bias"]
        padding = dilation * (kernel.shape[-1] // 2)
        return F.relu(F.conv2d(x.permute(0, 3, 1, 2), kernel, bias, 1, padding, dilation)).permute(0, 2, 3, 1)

    def inception(self, x: Tensor) -> Tensor:
        maps = [self.convolve(x)]
        maps += [self.convolve(self.convolve(x), dilation) for dilation in (1, 2, 3)]
        return torch.cat(maps, dim=-1)

    def normalise_and_pool(self, x: Tensor, pool: int) -> Tensor:
        self.norms += 1
        gamma, beta, mean, variance = (
            self.arrays[f"batch_normalization_{self.norms}/{w}"]
            for w in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        x = gamma * (x - mean) / torch.sqrt(variance + 1e-3) + beta
        n, h, w, c = x.shape
        return x.reshape(n, h // pool, pool, w // pool, pool, c).amax(dim=(2, 4))

    def real(self, x: Tensor, inception: bool) -> Tensor:
        x = x.permute(0, 2, 3, 1).double()
        for place, pool in enumerate((2, 2, 2, 4)):
            x = self.normalise_and_pool(self.inception(x) if inception and place < 2 else self.convolve(x), pool)
        x = x.flatten(1) @ self.arrays["dense_1/kernel"] + self.arrays["dense_1/bias"]
        x = torch.where(x > 0, x, 0.1 * x)
        return torch.sigmoid(x @ self.arrays["dense_2/kernel"] + self.arrays["dense_2/bias"])[:, 0]


@pytest.mark.parametrize("inception", [False, True])
def test_keras(tmp_path: Path, inception: bool) -> None:
    arrays = keras_arrays(inception)
    path = tmp_path / "Meso_DF.npz"
    np.savez(path, **arrays)
    expected = 1 - KerasMeso(arrays).real(images(), inception)
    assert float(expected.std()) > 1e-4
    model = "mesoinception4" if inception else "meso4"
    found = imported_scores(path, model, tmp_path / "w.safetensors", profile="box")
    assert torch.allclose(found, expected, atol=2e-6)
    with pytest.raises(ModelError, match=r"1 of another shape \(dense_1/kernel\)$"):
        import_weights(path, model, tmp_path / "x.safetensors", size=2 * SIZE, profile="box")
