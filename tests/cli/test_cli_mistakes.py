from __future__ import annotations

from pathlib import Path

import pytest

from dfbench.cli.main import run_command


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["evaluate", "--model", "grnett"], 2, "did you mean 'grnet'"),
        (["evaluate", "--model", "grnet", "--protocol", "minni"], 2, "did you mean 'mini'"),
        (["evaluate", "--model", "grnet", "--weights", "none.safetensors"], 4, "none.safetensors"),
        (["evaluate", "--model", "grnet", "--manifest", "nowhere"], 3, "nowhere"),
        (["train", "--model", "grnett", "--protocol", "mini"], 2, "did you mean 'grnet'"),
        (["train", "--model", "grnet", "--method", "supervized"], 2, "did you mean 'supervised'"),
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
