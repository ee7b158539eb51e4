from __future__ import annotations

import os
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from dfbench.cli import main as cli_main
from dfbench.errors import DataError


@pytest.mark.parametrize("name", cli_main.COMMANDS)
def test_every_listed_command_exists_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, attribute = cli_main.COMMANDS[name][0].partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert cli_main.run_command([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: dfbench" in text
    assert "xample" in text, "help shows an example"


def test_unknown_command_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.run_command(["evalute"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: unknown command 'evalute'\nhint: did you mean 'evaluate'?")
    assert captured.out == ""


def test_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli_main.run_command(["demo", "--nonsense"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "hint: see: dfbench demo --help" in err


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (DataError("broken", "fix it"), 3, "error: broken\nhint: fix it\n"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (OSError(28, "No space left on device", "x.parquet"), 5, "hint: free some disk space"),
        (MemoryError(), 5, "error: memory ran out\nhint: free memory, or lower --workers or --batch-size"),
        (MemoryError("malloc of size 7 failed"), 5, "error: memory ran out: malloc of size 7 failed\nhint: free"),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            5,
            "error: a required library is not installed: torch",
        ),
    ],
)
def test_errors_become_messages_and_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    words: str,
) -> None:
    @click.command()
    def broken() -> None:
        raise raised

    monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda *_: broken)
    assert cli_main.run_command(["demo"]) == code
    assert words in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise DataError("broken")

    monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda *_: broken)
    monkeypatch.setenv("DFBENCH_DEBUG", "")
    with pytest.raises(DataError):
        cli_main.run_command(["demo", "--debug"])


def test_help_starts_quickly() -> None:
    """`dfbench --help` takes less than 0.3 s of processor time beyond the bare interpreter, whatever the load."""

    def seconds(*arguments: str) -> float:
        best = float("inf")
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return best

    assert seconds("-m", "dfbench", "--help") - seconds("-c", "pass") < 0.3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from dfbench.cli.main import run_command; run_command(['--help']);"
        "print(sorted({'numpy','torch','pyarrow','cv2','pandas','rich','pydantic','matplotlib'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_lists_fit_100_columns_and_name_everything(capsys: pytest.CaptureFixture[str]) -> None:
    from dfbench.cli.listing import KINDS

    assert cli_main.run_command(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    for kind in KINDS:
        assert f"{kind.title}  (dfbench list {kind.name})" in lines
        for options in ([], ["--long"]):
            assert cli_main.run_command(["list", kind.name, *options]) == 0
            shown = capsys.readouterr().out.splitlines()
            for name, _ in kind.rows():
                assert any(line.split()[:1] == [name] for line in shown), (kind.name, name, options)
                assert any(line.split()[:1] == [name] for line in lines)
            assert options or max(map(len, shown)) <= 100


def test_lists_are_plain_off_a_terminal(tmp_path: Path) -> None:
    environment = os.environ | {"DFBENCH_HOME": str(tmp_path)}
    for what, name in (
        ("protocols", "mini"),
        ("models", "grnet"),
        ("datasets", "ff++"),
        ("profiles", "native"),
    ):
        out = subprocess.run(
            [sys.executable, "-m", "dfbench", "list", what],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        ).stdout
        assert any(line.startswith(name + " ") for line in out.splitlines()), what
        assert "\x1b" not in out
