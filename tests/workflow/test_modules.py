"""Detectors given as objects: an ``nn.Module`` instance, a class, a factory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dfbench import build_model, evaluate, train
from dfbench.errors import ModelError, UsageError
from dfbench.models.card import read_card
from dfbench.models.source import model_source
from dfbench.models.weights import read_state


class Net(nn.Module):
    def __init__(self, num_classes: int = 2, level: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, num_classes)
        with torch.no_grad():
            self.head.bias += level

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.norm(images).mean(dim=(2, 3)))
        return result


def make(level: float = 0.0) -> Net:
    return Net(level=level)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def run(model: Any, tiny: SimpleNamespace, out: Path, **options: Any) -> Any:
    return evaluate(model, tiny.protocol, tiny.manifest, out=out, device="cpu", quiet=True, **options).result


def test_an_instance_is_evaluated_with_its_weights_and_left_as_it_was(tiny: SimpleNamespace, tmp_path: Path) -> None:
    module = Net().train()
    module.norm.eval()
    before = state(module)
    result = run(module, tiny, tmp_path / "a")
    assert module.training
    assert not module.norm.training
    assert same(before, state(module))
    assert result.model.endswith(".net")
    again = run(module, tiny, tmp_path / "b")
    assert (again.run_id, again.metrics) == (result.run_id, result.metrics)
    with torch.no_grad():
        module.head.bias += 1
    other = run(module, tiny, tmp_path / "c")
    assert other.run_id != result.run_id
    assert other.options["module_sha256"] != result.options["module_sha256"]


def test_the_class_name_is_part_of_the_identity(tiny: SimpleNamespace, tmp_path: Path) -> None:
    class Other(Net):
        pass

    torch.manual_seed(0)
    first = Net()
    second = Other()
    second.load_state_dict(first.state_dict())
    one, two = run(first, tiny, tmp_path / "a"), run(second, tiny, tmp_path / "b")
    assert one.weights.sha256 == two.weights.sha256
    assert one.run_id != two.run_id
    assert one.options["module_sha256"] != two.options["module_sha256"]


@pytest.mark.parametrize("model", [Net, make, lambda num_classes: Net(num_classes)])
def test_a_class_or_factory_is_built_the_same_each_time(model: Any, tiny: SimpleNamespace, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = run(model, tiny, tmp_path / "a")
    torch.manual_seed(2)
    assert run(model, tiny, tmp_path / "b").run_id == first.run_id


def test_options_of_a_class(tiny: SimpleNamespace, tmp_path: Path) -> None:
    plain = run(Net, tiny, tmp_path / "a")
    moved = run(Net, tiny, tmp_path / "b", options={"level": 2.0})
    assert moved.run_id != plain.run_id
    assert moved.options["model_options"] == {"level": 2.0}
    with pytest.raises(UsageError, match="takes no option 'depth'"):
        run(Net, tiny, tmp_path / "c", options={"depth": 2})
    with pytest.raises(UsageError, match="finished module and takes no options"):
        run(Net(), tiny, tmp_path / "c", options={"level": 2.0})


def test_an_instance_is_trained_further_in_a_copy(tiny: SimpleNamespace, tmp_path: Path) -> None:
    module = Net(level=3.0)
    before = state(module)
    weights = train(
        module, tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", epochs=1, lr=1e-9, device="cpu", quiet=True
    )
    assert same(before, state(module)), "the caller's module is not changed"
    card = read_card(weights)
    assert len(card.module_sha256) == 64
    trained = read_state(weights)
    # At this rate the weights stay where the module had them, while a fresh one would be elsewhere.
    assert torch.allclose(trained["network.head.weight"], module.head.weight, atol=1e-5)
    assert not torch.equal(trained["network.norm.running_mean"], module.norm.running_mean)
    result = evaluate(Net, tiny.protocol, tiny.manifest, weights, tmp_path / "run", device="cpu", quiet=True).result
    assert result.weights.sha256 == card.sha256
    assert same(before, state(module))


def test_another_start_is_another_training(tiny: SimpleNamespace, tmp_path: Path) -> None:
    keys = []
    for level in (0.0, 1.0):
        torch.manual_seed(0)
        weights = train(
            Net(level=level), tiny.protocol, tiny.manifest, tmp_path / f"{level}.safetensors", epochs=1, quiet=True
        )
        keys.append(read_card(weights).module_sha256)
    assert keys[0] != keys[1]


def test_cards_of_named_detectors_have_no_hash_of_a_module(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights = train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", epochs=1, quiet=True)
    assert "module_sha256" not in weights.with_suffix(".json").read_text("utf-8")


def test_a_module_from_build_model_is_not_wrapped_twice(tiny: SimpleNamespace) -> None:
    built = build_model(Net, 2, tiny.size)
    again = build_model(built, 2, tiny.size)
    assert built.state_dict().keys() == again.state_dict().keys()
    assert model_source(built).name == model_source(Net).name
    registered = build_model("meso4", 2, 64)
    assert build_model(registered, 2, 64)(torch.rand(2, 3, 64, 64)).logits.shape == (2, 2)


def test_a_class_in_a_file_has_the_name_of_its_reference(tmp_path: Path) -> None:
    file = tmp_path / "my_net.py"
    file.write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n", "utf-8")
    named = model_source(f"{file}:Net")
    assert isinstance(named.factory, type)
    assert model_source(named.factory).name == named.name == "my-net.net"


class Lazy(Net):
    def __init__(self) -> None:
        super().__init__()
        self.kept = self.head.weight * 2  # not a leaf: cannot be copied


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: 3, "returned int, not an nn.Module"),
        (Lazy(), "cannot be copied"),
        (nn.Conv2d(1, 2, 3), "does not run on RGB images"),
        (dict, "cannot be built"),
    ],
)
def test_objects_that_are_no_detectors(model: Any, says: str, tiny: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=says):
        run(model, tiny, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", [None, 3, Path("net.py"), {"a": 1}])
def test_other_objects_are_a_usage_error(model: Any, tiny: SimpleNamespace, tmp_path: Path) -> None:
    for call in (lambda: run(model, tiny, tmp_path / "run"), lambda: train(model, tiny.protocol, tiny.manifest)):
        with pytest.raises(UsageError, match=r"a model is a name, path/to/file.py:ClassName or an nn.Module"):
            call()
