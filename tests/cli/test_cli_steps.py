from __future__ import annotations

from pathlib import Path

import pytest

from dfbench.cli import steps
from dfbench.cli.main import run_command
from dfbench.errors import DataError, ModelError
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DFBENCH_HOME", "DFBENCH_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


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
        steps.check_manifests(ffpp(), [])
    assert "dfbench prepare ff++" in error.value.hint


def test_the_mini_manifest_is_known_to_be_makeable(empty: Path) -> None:
    assert steps.check_manifests(load_protocol("mini"), []) == {"mini": None}


def test_missing_weights_are_trained_for_mini_alone(empty: Path) -> None:
    assert steps.check_weights("grnet", load_protocol("mini"), None) is None
    with pytest.raises(ModelError, match="no weights of 'grnet' for protocol 'x'") as error:
        steps.check_weights("grnet", ffpp(), None)
    assert "dfbench train --model grnet" in error.value.hint
    with pytest.raises(ModelError, match="no weights at"):
        steps.check_weights("grnet", load_protocol("mini"), Path("none.safetensors"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["evaluate", "--model", "grnett"], 2, "did you mean 'grnet'"),
        (["evaluate", "--model", "grnet", "--protocol", "minni"], 2, "did you mean 'mini'"),
        (["evaluate", "--model", "grnet", "--weights", "none.safetensors"], 4, "none.safetensors"),
        (["evaluate", "--model", "grnet", "--manifest", "nowhere"], 3, "nowhere"),
        (["train", "--model", "grnett", "--protocol", "mini"], 2, "did you mean 'grnet'"),
        (["prepare", "fff++"], 2, "did you mean 'ff++'"),
        (["prepare", "ff++"], 3, "DFBENCH_ROOTS"),
        (["prepare", "ff++", "--root", "nowhere"], 3, "nowhere"),
        (["inspect", "nowhere"], 3, "nowhere"),
        (["report", "nowhere", "--out", "page"], 3, "nowhere"),
    ],
)
def test_mistakes_are_found_before_anything_is_made(
    empty: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert run_command(words) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "hint: " in err
    assert said in err
    assert "Traceback" not in err
    assert list(empty.iterdir()) == [], "nothing was written"
