"""Names, the user's own models, and options."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from dfbench.errors import ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.interface import HasLogits, fake_probability, logits_of, loss_of
from dfbench.models.registry import get_spec, model_names

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=2, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images):
        return self.head(self.conv(images).mean(dim=(2, 3)))

class Flat(Net):
    def forward(self, images):
        return super().forward(images)[:, 1]

class Wrong(Net):
    def forward(self, images):
        return self.conv(images)

class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, images):
        return self.conv(images).mean(dim=(2, 3))

class NeedsMore(Net):
    def __init__(self, depth):
        super().__init__()

def factory(image_size):
    net = Net()
    net.image_size = image_size
    return net

def not_a_module():
    return 3

def stubborn():
    raise Stubborn("not today")

class Stubborn(Exception):
    pass

class Raises(Net):
    def forward(self, images):
        raise Stubborn("not these")

def leaves():
    raise SystemExit(7)

def lacking():
    import not_there_at_all

number = 7
"""


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    file = tmp_path / "my_net.py"
    file.write_text(NET, "utf-8")
    return file


def test_registered_names() -> None:
    assert {"grnet", "meso4", "resnet18"} <= set(model_names())


@pytest.mark.parametrize(("typed", "meant"), [("grnett", "grnet"), ("meso", "meso4"), ("resnet-18", "resnet18")])
def test_unknown_name_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match="unknown model") as caught:
        get_spec(typed)
    assert f"did you mean {meant!r}" in caught.value.hint


def test_unknown_option_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="radus") as caught:
        build_model("grnet", radus=3)
    assert "did you mean 'radius'" in caught.value.hint


@pytest.mark.parametrize(("name", "size"), [("meso4", 100), ("grnet", 16), ("resnet18", 31)])
def test_size_that_does_not_fit(name: str, size: int) -> None:
    with pytest.raises(ModelError, match=str(size)):
        build_model(name, image_size=size)


def test_no_classes() -> None:
    with pytest.raises(UsageError):
        build_model("grnet", num_classes=0)


def test_users_class(net_file: Path) -> None:
    model = build_model(f"{net_file}:Net", 3, 32, width=6)
    output = model(torch.rand(2, 3, 32, 32))
    assert isinstance(output, HasLogits)
    assert output.logits.shape == (2, 3)
    assert get_spec(f"{net_file}:Net").name == "my-net.net"
    assert loss_of(model, output, torch.tensor([0, 2])).requires_grad


def test_users_one_logit_for_a_binary_task(net_file: Path) -> None:
    assert build_model(f"{net_file}:Flat", 2, 32)(torch.rand(4, 3, 32, 32)).logits.shape == (4, 1)


def test_users_factory_gets_what_it_asks_for(net_file: Path) -> None:
    assert build_model(f"{net_file}:factory", 2, 48).network.image_size == 48


@pytest.mark.parametrize(
    ("attribute", "error", "word"),
    [
        ("Wrong", ModelError, "logits of shape"),
        ("Grey", ModelError, "does not run on RGB"),
        ("not_a_module", ModelError, "not an nn.Module"),
        ("number", ModelError, "not an nn.Module class"),
        ("NeedsMore", UsageError, "depth"),
        ("Nett", ModelError, "has no 'Nett'"),
        ("stubborn", ModelError, "cannot be built: Stubborn: not today"),
        ("Raises", ModelError, "32 x 32 pixels: Stubborn: not these"),
        ("leaves", ModelError, "cannot be built: SystemExit: 7"),
        ("lacking", ModelError, "cannot be built: ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)
def test_users_faults(net_file: Path, attribute: str, error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        build_model(f"{net_file}:{attribute}", 2, 32)


def test_modules_beside_a_users_file_are_found(net_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    net_file.with_name("beside_my_net.py").write_text("WIDTH = 5\n", "utf-8")
    file = net_file.with_name("larger_net.py")
    file.write_text(NET + "from beside_my_net import WIDTH\ndef wide():\n    return Net(width=WIDTH)\n", "utf-8")
    assert build_model(f"{file}:wide", 2, 32).network.conv.out_channels == 5


def test_a_package_in_the_current_folder_is_found(net_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    package = net_file.parent / "package_of_nets"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text(NET, "utf-8")
    monkeypatch.chdir(net_file.parent)
    assert build_model("package_of_nets.one:Net", 2, 32)(torch.rand(1, 3, 32, 32)).logits.shape == (1, 2)


def test_users_wrong_class_count(net_file: Path) -> None:
    with pytest.raises(ModelError, match="task has 5 classes"):
        build_model(f"{net_file}:factory", 5, 32)


def test_users_unknown_option(net_file: Path) -> None:
    with pytest.raises(UsageError, match="depth"):
        build_model(f"{net_file}:Net", 2, 32, depth=3)


@pytest.mark.parametrize("reference", ["nowhere.py:Net", "no_such_module_here:Net", "a:b:c", ":Net"])
def test_references_that_lead_nowhere(reference: str) -> None:
    with pytest.raises(UsageError):
        get_spec(reference)


def test_a_file_that_does_not_run(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import no_such_library_at_all\n", "utf-8")
    with pytest.raises(ModelError, match="no_such_library_at_all"):
        build_model(f"{file}:Net")


def test_importable_module() -> None:
    model = build_model("reference_models.resnet.network:ResNet18", 2, 32)
    assert model(torch.rand(2, 3, 32, 32)).logits.shape == (2, 2)


def test_probability_of_fake() -> None:
    logits = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fake_probability(logits), torch.softmax(logits.double(), 1)[:, 1])
    many = torch.randn(7, 8, generator=torch.Generator().manual_seed(0))
    real = (0, 1, 2)
    expected = 1 - torch.softmax(many.double(), 1)[:, list(real)].sum(1)
    torch.testing.assert_close(fake_probability(many, real), expected)
    extreme = fake_probability(torch.tensor([[1e4, -1e4], [-1e4, 1e4]]))
    assert extreme.tolist() == [0.0, 1.0]


def test_logits_of_refuses_other_things() -> None:
    with pytest.raises(ModelError, match=r"no \.logits"):
        logits_of(torch.zeros(2, 2), 2)
