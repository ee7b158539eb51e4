"""What every reference detector must do: counts, sizes, batches, learning, golden scores, bfloat16."""

from __future__ import annotations

import pytest
import torch

from dfbench.errors import ModelError
from dfbench.models.build import build_model
from dfbench.models.interface import fake_probability, loss_of
from dfbench.models.registry import get_spec
from dfbench.models.weights import golden_scores

NAMES = ("grnet", "meso4", "resnet18")

# P(fake) of the golden images for weights drawn with seed 0: any change of the forward pass moves them.
GOLDEN = {
    "grnet": (0.501386, 0.501308),
    "meso4": (0.470285, 0.464905),
    "resnet18": (0.490891, 0.477077),
}


def seeded(name: str, size: int = 64, classes: int = 2) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(name, classes, size).eval()


def images(count: int, size: int) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("name", "classes", "size", "count"),
    [
        ("resnet18", 2, 128, 11_177_538),
        ("resnet18", 5, 128, 11_179_077),
        ("resnet18", 8, 128, 11_180_616),
        *(("meso4", c, 256, n) for c, n in ((1, 27_977), (2, 27_994), (5, 28_045), (8, 28_096))),
        *(("meso4", c, 128, n) for c, n in ((1, 15_689), (2, 15_706), (5, 15_757), (8, 15_808))),
    ],
)
def test_parameter_counts(name: str, classes: int, size: int, count: int) -> None:
    assert sum(p.numel() for p in build_model(name, classes, size).parameters()) == count


@pytest.mark.parametrize("name", NAMES)
def test_finite_at_the_sizes_it_names(name: str) -> None:
    for size in get_spec(name).sizes:
        with torch.inference_mode():
            assert torch.isfinite(seeded(name, size)(images(1, size)).logits).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_finite_on_flat_pictures(name: str, value: float) -> None:
    with torch.inference_mode():
        assert torch.isfinite(seeded(name)(torch.full((1, 3, 64, 64), value)).logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_alone_or_in_a_batch(name: str) -> None:
    model, batch = seeded(name), images(5, 64)
    with torch.inference_mode():
        together = model(batch).logits
        alone = torch.cat([model(image[None]).logits for image in batch])
        last = model(batch.contiguous(memory_format=torch.channels_last)).logits
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together, last, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_one_logit(name: str) -> None:
    model = seeded(name, classes=1)
    with torch.inference_mode():
        output = model(images(2, 64))
    assert output.logits.shape == (2, 1)
    torch.testing.assert_close(fake_probability(output.logits), torch.sigmoid(output.logits[:, 0].double()))
    assert torch.isfinite(loss_of(model, output, torch.tensor([0, 1])))


def test_published_loss_of_meso() -> None:
    model = seeded("meso4", classes=1)
    output = model(images(2, 64))
    expected = ((torch.sigmoid(output.logits[:, 0]) - torch.tensor([0.0, 1.0])) ** 2).mean()
    torch.testing.assert_close(loss_of(model, output, torch.tensor([0, 1])), expected)


def test_meso_follows_keras() -> None:
    model = seeded("meso4", 256)
    order = [type(m).__name__ for m in model.features][:4]
    assert order == ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]
    norm = model.features[2]
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    first = model.features[0]
    assert float(first.bias.abs().max()) == 0
    limit = (6 / (3 * 9 + 8 * 9)) ** 0.5
    assert 0.8 * limit < float(first.weight.abs().max()) <= limit


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 3, 16, 16), (3, 64, 64)])
def test_wrong_input_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError):
        seeded(name)(torch.zeros(shape))


def test_meso_refuses_another_size_than_it_was_built_for() -> None:
    with pytest.raises(ModelError, match="64 x 64") as caught:
        seeded("meso4", 64)(torch.zeros(1, 3, 96, 96))
    assert "96" in caught.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_golden_scores(name: str) -> None:
    assert golden_scores(seeded(name), 64) == pytest.approx(GOLDEN[name], abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_moves_scores_little(name: str) -> None:
    model, batch = seeded(name), images(8, 64)
    with torch.inference_mode():
        exact = fake_probability(model(batch).logits)
        with torch.autocast("cpu", torch.bfloat16):
            rough = fake_probability(model(batch).logits)
    assert float((exact - rough).abs().max()) <= 0.02


@pytest.mark.parametrize(("name", "lr", "steps"), [("grnet", 1e-3, 40), ("meso4", 1e-2, 400), ("resnet18", 1e-3, 40)])
def test_learns_32_pictures_by_heart(name: str, lr: float, steps: int) -> None:
    torch.manual_seed(0)
    model = build_model(name, 2, 32)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = torch.rand(32, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    targets = torch.arange(32) % 2
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        model.train()
        output = model(batch)
        loss = loss_of(model, output, targets)
        if bool((output.logits.argmax(1) == targets).all()) and float(loss) < 0.3:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert bool((output.logits.argmax(1) == targets).all())
