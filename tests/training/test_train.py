"""Training on drawn patterns: determinism, resuming, selection, interruption, faults."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dfbench.errors import DataError, ModelError, UsageError
from dfbench.models.card import read_card
from dfbench.models.registry import get_spec
from dfbench.models.weights import load_weights, read_state
from dfbench.protocols.files import load_protocol
from dfbench.scoring.resolve import resolve_detector
from dfbench.training.fit import best_epoch
from dfbench.training.module import TrainingModule
from dfbench.training.store import EpochRecord
from dfbench.workflow import evaluate, train

pytestmark = pytest.mark.slow


def run(tiny: SimpleNamespace, folder: Path, model: str = "meso4", **options: Any) -> Path:
    fixed = {"device": "cpu", "quiet": True, "out": folder / f"{model}.safetensors"}
    return train(model, tiny.protocol, [tiny.manifest], **fixed | options)


def assert_same(first: Path, second: Path) -> None:
    one, two = read_state(first), read_state(second)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def test_writes_weights_card_and_curve_and_nothing_else(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights = run(tiny, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"meso4.{e}" for e in ("curve.csv", "curve.svg", "json", "safetensors")
    ]
    card = read_card(weights)
    assert (card.model, card.num_classes, card.profile, card.size, card.seed) == ("meso4", 2, "native", tiny.size, 7)
    assert card.protocol is not None
    assert card.protocol.hash == load_protocol(tiny.protocol).hash
    assert card.selection.split == "val"
    assert card.manifests[0].name == "tiny"
    assert not card.mini
    assert card.overrides == {}
    curve = list(csv.DictReader((tmp_path / "meso4.curve.csv").open()))
    assert [row["epoch"] for row in curve] == ["1", "2"]
    assert max(float(row["value"]) for row in curve) == card.selection.value
    load_weights(weights)


def test_the_card_names_the_real_classes_and_evaluation_and_score_use_them(
    tiny: SimpleNamespace, tmp_path: Path
) -> None:
    """The class of reals is not the first of two, as it is in a binary task."""
    text = Path(tiny.protocol).read_text("utf-8").replace("epochs = 2", "epochs = 1")
    text = text.replace("version = 1", 'version = 1\ntask = "multiclass"\nclasses = ["Checker", "real"]')
    protocol = tmp_path / "classes.toml"
    protocol.write_text(text, "utf-8")
    weights = train("meso4", protocol, [tiny.manifest], device="cpu", quiet=True, out=tmp_path / "meso4.safetensors")
    card = read_card(weights)
    assert (card.classes, card.real_classes) == (("Checker", "real"), ("real",))
    assert resolve_detector("meso4", weights).real_classes == load_protocol(protocol).real_numbers == (1,)
    done = evaluate("meso4", protocol, [tiny.manifest], weights, tmp_path / "run", device="cpu", quiet=True)
    rows = done.scores[done.scores["status"] == "ok"]
    logits = np.stack(rows["logits"].to_list()).astype(np.float64)
    assert rows["score"].to_numpy() == pytest.approx(softmax(logits, axis=1)[:, 0])


def test_same_seed_same_weights_other_seed_other_weights(tiny: SimpleNamespace, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = run(tiny, tmp_path / "a")
    torch.manual_seed(2)
    second = run(tiny, tmp_path / "b")
    assert_same(first, second)
    other = read_state(run(tiny, tmp_path / "c", seed=8))
    assert any(not torch.equal(t, other[n]) for n, t in read_state(first).items())


@pytest.mark.parametrize("model", ["meso4", pytest.param("grnet", marks=pytest.mark.slow)])
def test_resumed_training_equals_undisturbed(
    tiny: SimpleNamespace, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model == "grnet":  # its checkpoints are large, so few steps
        tiny = tiny.make("few", "folder", groups=3)
    undisturbed = run(tiny, tmp_path / "a", model)
    step = TrainingModule.training_step

    def interrupt(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.epoch == 1 and batch_idx == 1:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(tiny, tmp_path / "b", model)
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == [f"{model}.training"]
    epochs = []
    monkeypatch.setattr(
        TrainingModule, "training_step", lambda s, b, i: (epochs.append(s.epoch), step(s, b, i))[1], raising=True
    )
    resumed = run(tiny, tmp_path / "b", model)
    assert set(epochs) == {1}, "the finished epoch must not be done again"
    assert_same(undisturbed, resumed)
    assert [r["value"] for r in csv.DictReader((tmp_path / "a" / f"{model}.curve.csv").open())] == [
        r["value"] for r in csv.DictReader((tmp_path / "b" / f"{model}.curve.csv").open())
    ]
    assert not (tmp_path / "b" / f"{model}.training").exists()
    if model == "grnet":
        assert read_state(resumed)["alpha"].tolist() != [0.5, 0.5]


def test_a_file_that_was_changed_starts_afresh(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(3, 2)\n"
        "    def forward(self, x):\n        return self.head(x.mean(dim=(2, 3)))\n"
    )
    file, out = tmp_path / "net.py", tmp_path / "w.safetensors"
    epochs: list[int] = []
    step = TrainingModule.training_step

    def counted(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        epochs.append(self.epoch)
        if len(epochs) == 6:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", counted)
    file.write_text(text, "utf-8")
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path, f"{file}:Net", out=out)
    file.write_text(text.replace("self.head(", "self.tail(").replace("self.head ", "self.tail "), "utf-8")
    run(tiny, tmp_path, f"{file}:Net", out=out)
    assert epochs[:6] == [0] * 4 + [1] * 2
    assert epochs[6:] == [0] * 4 + [1] * 4
    assert sorted(read_state(out)) == ["network.tail.bias", "network.tail.weight"]


def test_damaged_or_foreign_state_is_not_resumed(tiny: SimpleNamespace, tmp_path: Path) -> None:
    clean = run(tiny, tmp_path / "a")
    folder = tmp_path / "b" / "meso4.training"
    folder.mkdir(parents=True)
    (folder / "last.pt").write_bytes(b"PK\x03\x04 cut short")
    assert_same(clean, run(tiny, tmp_path / "b"))


NAN_NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, whole=True):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.whole = whole
    def forward(self, x):
        out = x.mean(dim=(1, 2, 3))[:, None] * self.scale
        bad = torch.ones(len(x), 1) if self.whole else (torch.arange(len(x)) == 1)[:, None].float()
        return out / (1 - bad) * (1 - bad) if self.training else out
"""


@pytest.mark.parametrize("whole", [True, False])
def test_a_loss_that_is_no_number_names_the_samples(tiny: SimpleNamespace, tmp_path: Path, whole: bool) -> None:
    file = tmp_path / "nan_net.py"
    file.write_text(NAN_NET, "utf-8")
    with pytest.raises(DataError, match="training loss is nan in epoch 1, batch 1") as caught:
        run(tiny, tmp_path, f"{file}:Net", out=tmp_path / "w.safetensors", options={"whole": whole})
    told, _, batch = caught.value.message.partition("the samples of the batch: ")
    names = batch.split(", ")
    assert len(set(names)) == 8
    assert all(name.startswith("folder/all/") for name in names)
    if whole:
        assert "logits of" not in told
    else:
        assert told.endswith(f"not finite are the logits of: {names[1]}; ")
    assert not (tmp_path / "w.safetensors").exists()


def test_losses_that_are_read_later_change_nothing(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where reading the loss of a batch waits until the next one has been started."""
    options = {"seed": 3, "save_every": 0.0}
    now = run(tiny, tmp_path / "now", **options)
    file = tmp_path / "nan_net.py"
    file.write_text(NAN_NET, "utf-8")
    monkeypatch.setattr(TrainingModule, "_losses_behind", lambda self: 2)
    later = run(tiny, tmp_path / "later", **options)
    assert_same(now, later)
    curves = [list(csv.DictReader(path.with_suffix(".curve.csv").open())) for path in (now, later)]
    assert [row["train_loss"] for row in curves[0]] == [row["train_loss"] for row in curves[1]]
    with pytest.raises(DataError, match="training loss is nan in epoch 1, batch 1;"):
        run(tiny, tmp_path, f"{file}:Net", out=tmp_path / "w.safetensors")


WRONG = """
import torch
from torch import nn
class Base(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.head = nn.Linear(3, num_classes)
class Maps(Base):
    def forward(self, x):
        return self.head(x.mean(dim=3).transpose(1, 2))
class Seven(Base):
    def forward(self, x):
        return torch.cat([self.head(x.mean(dim=(2, 3)))] * 4, dim=1)[:, :7]
class OneForAll(Base):
    def forward(self, x):
        return self.head(x.mean(dim=(0, 2, 3)))[None]
class Words(Base):
    def forward(self, x):
        return "fake"
class Large(Base):
    def forward(self, x):
        return self.head(nn.functional.conv2d(x, torch.ones(3, 3, 99, 99)).mean(dim=(2, 3)))
class Typo(Base):
    def forward(self, x):
        return self.haed(x)
class WrongWhenLearning(Base):
    def forward(self, x):
        logits = self.head(x.mean(dim=(2, 3)))
        return logits[:1] if self.training else logits
class Detached(Base):
    def forward(self, x):
        return self.head(x.mean(dim=(2, 3))).detach()
class Whole(Base):
    def forward(self, x):
        return self.head(x.mean(dim=(2, 3))).round().int()
class LossOfEach(Base):
    def forward(self, x):
        return self.head(x.mean(dim=(2, 3)))
    def loss(self, output, targets):
        return nn.functional.cross_entropy(output.logits, targets, reduction="none")
class LossFails(LossOfEach):
    def loss(self, output, targets):
        return output.nothing
class Fixed(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))[:, :2]
class WrongWhenJudged(Base):
    def forward(self, x):
        if not self.training and len(x) > 2:
            raise ValueError("too many")
        return self.head(x.mean(dim=(2, 3)))
class Broken(Base):
    def __init__(self):
        raise ValueError("no luck")
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Maps", r"logits of shape \(2, 64, 2\) for 2 images"),
        ("Seven", "7 logits per image, the task has 2 classes"),
        ("OneForAll", r"shape \(1, 2\) for 2 images"),
        ("Words", "returned str"),
        ("Large", "does not run on RGB images of 64 x 64 pixels"),
        ("Typo", "AttributeError.*haed"),
        ("WrongWhenLearning", r"shape \(1, 2\) for 8 images"),
        ("WrongWhenJudged", "does not run on RGB images of 64 x 64 pixels: ValueError: too many"),
        ("Broken", "cannot be built: ValueError: no luck"),
        ("Detached", "Detached does not depend on any parameter"),
        ("Whole", "Whole does not depend on any parameter"),
        ("LossOfEach", r"LossOfEach is a tensor of shape \(8,\), not a scalar"),
        ("LossFails", "the loss of .*LossFails fails: "),
    ],
)
def test_a_users_module_with_a_fault(tiny: SimpleNamespace, tmp_path: Path, name: str, says: str) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG, "utf-8")
    with pytest.raises(ModelError, match=says) as caught:
        run(tiny, tmp_path, f"{file}:{name}", out=tmp_path / "w.safetensors")
    assert name in caught.value.message
    assert [p.name for p in tmp_path.iterdir() if p.name != "__pycache__"] == ["wrong.py"]


def test_a_users_module_without_parameters(tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG, "utf-8")
    with pytest.raises(ModelError, match="no parameters to train"):
        run(tiny, tmp_path, f"{tmp_path / 'wrong.py'}:Fixed", out=tmp_path / "w.safetensors")


def test_a_divergence_after_the_last_loss_of_an_epoch(tiny: SimpleNamespace, tmp_path: Path) -> None:
    """One step at such a rate leaves weights whose scores are no numbers, which no loss has seen."""
    with pytest.raises(DataError, match="diverged in epoch 1: the detector gives logits that are not") as caught:
        run(tiny, tmp_path, lr=1e37, batch_size=1000)
    assert "--lr" in caught.value.hint
    assert not (tmp_path / "meso4.safetensors").exists()


def test_one_output_for_a_binary_task_as_meso_was_published(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights = run(tiny, tmp_path, options={"binary_outputs": 1})
    card = read_card(weights)
    assert (card.num_classes, card.options) == (1, dict(get_spec("meso4").options) | {"binary_outputs": 1})
    network = load_weights(weights)[0]
    assert network(torch.rand(2, 3, tiny.size, tiny.size)).logits.shape == (2, 1)
    done = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, tmp_path / "run", device="cpu", quiet=True)
    assert done.result.weights is not None


def test_a_users_file_with_a_fault(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "faulty.py"
    file.write_text("import torch\nNet = undefined\n", "utf-8")
    with pytest.raises(ModelError, match="NameError"):
        run(tiny, tmp_path, f"{file}:Net", out=tmp_path / "w.safetensors")


PLANES = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)
    def before_augmentation(self, images):
        return torch.cat((images, images.flip(3)), dim=1)
    def forward(self, x):
        if x.shape[1] == 3:
            assert not self.training
            x = torch.cat((x, x.flip(3)), dim=1)
        assert torch.equal(x[:, :3], x[:, 3:].flip(3))  # a flip of all planes together keeps it so
        return self.head((x[:, :3] + x[:, 3:]).mean(dim=(2, 3)))
"""


def test_planes_made_before_the_augmentation_are_augmented_along(tiny: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "planes.py").write_text(PLANES, "utf-8")
    weights = run(tiny, tmp_path, f"{tmp_path / 'planes.py'}:Net", out=tmp_path / "w.safetensors")
    assert read_card(weights).recipe["augmentation"]["flip"] == 0.5


def test_what_a_call_changes_of_the_recipe_stands_in_the_card(tiny: SimpleNamespace, tmp_path: Path) -> None:
    card = read_card(run(tiny, tmp_path, epochs=1, lr=1e-5, seed=9))
    assert card.overrides == {"epochs": 1, "lr": 1e-5}


def test_mixed_precision_is_another_training_and_in_the_card(tiny: SimpleNamespace, tmp_path: Path) -> None:
    full, mixed = run(tiny, tmp_path / "a"), run(tiny, tmp_path / "b", precision="bf16")
    assert (read_card(full).recipe["precision"], read_card(mixed).recipe["precision"]) == ("fp32", "bf16")
    one, two = read_state(full), read_state(mixed)
    assert all(tensor.dtype == two[name].dtype for name, tensor in one.items()), "the weights stay in float32"
    assert any(not torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_class_weights_and_schedule_of_a_protocol(tiny: SimpleNamespace, tmp_path: Path) -> None:
    text = tiny.protocol.read_text("utf-8")
    changed = text.replace(
        'sampling = "balanced"',
        'class_weights = "balanced"\nlr_decay = 0.5\nlr_decay_steps = 4\naugmentation = { zoom = 0.1, hue = 0.1 }',
    )
    (tmp_path / "own.toml").write_text(changed, "utf-8")
    assert load_protocol(tmp_path / "own.toml").hash != load_protocol(tiny.protocol).hash
    weights = train(
        "meso4", tmp_path / "own.toml", [tiny.manifest], tmp_path / "w.safetensors", device="cpu", quiet=True
    )
    recipe = read_card(weights).recipe
    assert (recipe["class_weights"], recipe["lr_decay_steps"]) == ("balanced", 4)
    assert recipe["augmentation"]["zoom"] == 0.1
    curve = list(csv.DictReader((tmp_path / "w.curve.csv").open()))
    assert [float(row["lr"]) for row in curve] == [1e-3, 5e-4]
    svg = (tmp_path / "w.curve.svg").read_text("utf-8")
    assert "auc.video.mean on validation data" in svg
    assert "training loss" in svg


def test_refuses_before_any_work(tiny: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="safetensors"):
        train("meso4", tiny.protocol, [tiny.manifest], tmp_path / "w.pth")
    with pytest.raises(UsageError, match="unknown device"):
        run(tiny, tmp_path, device="gpu")
    with pytest.raises(UsageError, match="unknown precision"):
        run(tiny, tmp_path, precision="fp8")
    with pytest.raises(UsageError, match="unknown model"):
        run(tiny, tmp_path, "grnett")
    with pytest.raises(DataError):
        train("meso4", tiny.protocol, [tmp_path / "nowhere"], tmp_path / "w.safetensors")
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(tiny.protocol.read_text("utf-8").replace("size = 64", "size = 70"), "utf-8")
    with pytest.raises(ModelError, match="70"):
        train("meso4", narrow, [tiny.manifest], tmp_path / "w.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["narrow.toml"]


def record(epoch: int, value: float | None) -> EpochRecord:
    return EpochRecord(epoch, 0.1, 1.0, "auc.video.mean", value, 1.0)


def test_selection(tiny: SimpleNamespace) -> None:
    protocol = load_protocol(tiny.protocol)
    assert best_epoch([record(1, 0.7), record(2, 0.9), record(3, 0.8)], protocol) == 1
    assert best_epoch([record(1, 0.7), record(2, 0.9), record(3, 0.9)], protocol) == 2
    assert best_epoch([record(1, 0.7), record(2, None)], protocol) == 0
    assert best_epoch([record(1, None), record(2, None)], protocol) == 1
    lower = protocol.model_copy(
        update={"selection": protocol.selection.model_copy(update={"metric": "eer.video.mean"})}
    )
    assert best_epoch([record(1, 0.2), record(2, 0.4)], lower) == 0
    last = protocol.model_copy(update={"selection": protocol.selection.model_copy(update={"split": "none"})})
    assert best_epoch([record(1, 0.9), record(2, 0.1)], last) == 1
