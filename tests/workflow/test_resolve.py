"""Plans: what is checked, in which order, without torch, and what is made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dfbench import workflow
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.evaluation.dataset import find_manifests
from dfbench.evaluation.detector import find_weights
from dfbench.models.source import model_source
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.workflow import evaluate, resolve_evaluation, resolve_training, train


def ffpp() -> Protocol:
    return Protocol.model_validate(
        {
            "name": "x",
            "version": 1,
            "source": "a test",
            "summary": "a test",
            "data": [{"role": "test", "dataset": "ff++", "split": "test"}],
        }
    )


def test_a_missing_manifest_of_licensed_data_names_the_command(empty: Path) -> None:
    with pytest.raises(DataError, match=r"needs a manifest of 'ff\+\+'") as error:
        find_manifests(ffpp(), [], ("test",))
    assert "dfbench prepare ff++" in error.value.hint


def test_the_mini_manifest_is_known_to_be_makeable(empty: Path) -> None:
    assert find_manifests(load_protocol("mini"), [], ("train", "val", "test")) == {"mini": None}


def test_missing_weights_are_trained_for_mini_alone(empty: Path) -> None:
    grnet = model_source("grnet")
    assert find_weights(grnet, load_protocol("mini"), None) is None
    with pytest.raises(ModelError, match="no weights of 'grnet' for protocol 'x'") as error:
        find_weights(grnet, ffpp(), None)
    assert "dfbench train --model grnet" in error.value.hint
    with pytest.raises(ModelError, match="no weights at"):
        find_weights(grnet, load_protocol("mini"), Path("none.safetensors"))


def test_the_steps_on_mini_are_part_of_the_plan(empty: Path) -> None:
    plan = resolve_evaluation("meso4", "mini", options={}, device="cpu")
    assert list(plan.preparations) == ["mini"]
    assert plan.training is not None
    assert plan.training.out == Path("weights/mini/meso4.safetensors")
    assert plan.training.recipe.epochs == load_protocol("mini").training.epochs
    assert plan.evaluation.weights is None
    assert list(resolve_training("meso4").preparations) == ["mini"]
    assert list(empty.iterdir()) == [], "resolving writes nothing"


def test_a_finished_training_is_not_continued_and_says_so(empty: Path) -> None:
    weights = empty / "meso4.safetensors"

    def remarks(**recipe: Any) -> list[str]:
        notes = resolve_training("meso4", out=weights, **recipe).notes
        return [note for note in notes if str(weights) in note]

    assert remarks(epochs=3) == []
    weights.touch()
    (note,) = remarks(epochs=3)
    assert "whose state is not kept: more epochs cannot continue it" in note
    assert "--out" in note
    (empty / "meso4.training").mkdir()
    assert remarks(epochs=3) == [], "an interrupted training over earlier weights is resumed"


NO_TORCH = """
import sys
from dfbench.workflow import resolve_evaluation, resolve_explanation, resolve_preparation, resolve_training

protocol, manifest, weights = sys.argv[1:]
resolve_training("grnet", protocol, manifest)
resolve_training("grnet")
resolve_evaluation("grnet")
plan = resolve_evaluation("meso4", protocol, manifest, weights, conditions=["JP60"])
assert plan.evaluation.data is not None and len(plan.evaluation.data.ok)
resolve_preparation("mini")
resolve_explanation("grnet")
plan = resolve_explanation("meso4", protocol, manifest, weights)
assert plan.explanation.data("val") is not None
print([name for name in ("torch", "lightning", "timm") if name in sys.modules])
"""


def test_torch_is_not_imported_for_a_registered_detector(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights = train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", epochs=1, quiet=True)
    words = [sys.executable, "-c", NO_TORCH, str(tiny.protocol), str(tiny.manifest), str(weights)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


NET = """
from torch import nn

with open({log!r}, "a") as log:
    log.write("file\\n")

class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        with open({log!r}, "a") as log:
            log.write("network\\n")
        self.head = nn.Linear(3, width)

    def forward(self, images):
        return self.head(images.mean(dim=(2, 3)))
"""


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A user's file that counts its executions and networks; counters of manifests and conditions."""
    log = tmp_path / "log"
    file = tmp_path / "net.py"
    file.write_text(NET.format(log=str(log)), "utf-8")
    calls: list[str] = []

    def count(where: str, name: str) -> None:
        module = sys.modules[where]
        original = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    count("dfbench.evaluation.dataset", "open_manifest")
    count("dfbench.workflow.evaluation", "plan_conditions")
    count("dfbench.workflow.training", "training_condition")

    def counts() -> dict[str, int]:
        found = [*calls, *log.read_text("utf-8").split()]
        return {name: found.count(name) for name in dict.fromkeys(found)}

    return SimpleNamespace(model=f"{file}:Net", counts=counts, log=log)


def test_one_training_executes_the_file_once_and_builds_one_network(
    tiny: SimpleNamespace, counted: SimpleNamespace, tmp_path: Path
) -> None:
    train(counted.model, tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", device="cpu", quiet=True)
    assert counted.counts() == {"training_condition": 1, "open_manifest": 1, "file": 1, "network": 1}


def test_one_evaluation_executes_the_file_once_and_builds_one_network(
    tiny: SimpleNamespace, counted: SimpleNamespace, tmp_path: Path
) -> None:
    common = {"device": "cpu", "quiet": True, "conditions": "JP60"}
    evaluate(counted.model, tiny.protocol, tiny.manifest, out=tmp_path / "run", **common)
    expected = {"plan_conditions": 1, "open_manifest": 1, "file": 1, "network": 1}
    assert counted.counts() == expected
    weights = train(counted.model, tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", epochs=1, quiet=True)
    before = counted.counts()
    evaluate(counted.model, tiny.protocol, tiny.manifest, weights, tmp_path / "trained", **common)
    after = counted.counts()
    assert {name: after[name] - before[name] for name in expected} == expected


def test_a_plan_may_be_executed_again(tiny: SimpleNamespace, counted: SimpleNamespace, tmp_path: Path) -> None:
    from dfbench.models.weights import read_state

    plan = resolve_training(
        counted.model, tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", device="cpu", quiet=True
    )
    first = read_state(plan.run())
    second = read_state(plan.run())
    assert all((tensor == second[name]).all() for name, tensor in first.items())
    assert counted.counts()["file"] == 1


def test_a_protocol_that_only_tests_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'x' has no training data") as error:
        resolve_training("meso4", ffpp())
    assert "dfbench evaluate" in error.value.hint


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda out: evaluate(3), "a model is a name"),
        (lambda out: evaluate("meso4", 3), "a protocol is a name"),
        (lambda out: evaluate("meso4", "mini", [3]), "a manifest is given by its path"),
        (lambda out: evaluate("meso4", weights=3), "a weight file is given by its path"),
        (lambda out: evaluate("meso4", workers=-1), "workers must be at least 0"),
        (lambda out: evaluate("meso4", batch_size=0), "batch_size must be at least 1"),
        (lambda out: evaluate("meso4", roots={"dfdc": "x"}), "roots names 'dfdc'"),
        (lambda out: evaluate("meso4", frames=3), "drop --frames"),
        (lambda out: evaluate("meso4", "mini", data="x"), "without a protocol"),
        (lambda out: train("meso4", save_every=-1), "save_every must be at least 0"),
        (lambda out: train("meso4", devices=0), "devices must be at least 1"),
        (lambda out: train("meso4", out=out / "w.pth"), r"weights are written as \*.safetensors"),
        (lambda out: train(object()), "a model is a name"),
    ],
)
def test_wrong_arguments_are_told_before_any_work(empty: Path, call: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(empty)
    assert __import__("re").search(says, f"{caught.value.message} {caught.value.hint}")
    assert list(empty.iterdir()) == []


def test_an_output_that_cannot_be_written_is_told_before_any_work(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("dfbench.training.train.run_training", never)
    monkeypatch.setattr("dfbench.evaluation.evaluate.run_evaluation", never)
    file = tmp_path / "file"
    file.write_text("x", "utf-8")
    for out in (file, file / "below"):
        with pytest.raises(UsageError):
            evaluate("meso4", tiny.protocol, tiny.manifest, out=out)
    for out in (file / "w.safetensors", file / "below" / "w.safetensors"):
        with pytest.raises(UsageError):
            train("meso4", tiny.protocol, tiny.manifest, out=out)
    assert file.read_text("utf-8") == "x"


def test_signatures_are_those_of_the_plans() -> None:
    from inspect import signature

    import dfbench

    for function, resolve in (("train", resolve_training), ("evaluate", resolve_evaluation)):
        public = getattr(dfbench, function)
        assert public is getattr(workflow, function)
        assert list(signature(public).parameters) == list(signature(resolve).parameters)
        described = public.__doc__ or ""
        assert all(f"        {name}: " in described for name in signature(public).parameters)
