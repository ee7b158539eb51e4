from __future__ import annotations

from pathlib import Path

import pytest

from dfbench import config
from dfbench.errors import DataError, UsageError


@pytest.fixture
def clean_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFBENCH_ROOTS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_no_root_says_how_to_set_one(clean_home: Path) -> None:
    with pytest.raises(DataError, match=r"no root is known for data set 'ff\+\+'") as error:
        config.find_root("ff++")
    assert "--root" in error.value.hint
    assert "DFBENCH_ROOTS" in error.value.hint
    assert "[roots]" in error.value.hint


def test_option_wins_over_environment_over_file(clean_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (clean_home / name).mkdir()
    (clean_home / "dfbench.toml").write_text('[roots]\n"ff++" = "a"\n')
    assert config.find_root("ff++") == Path("a")
    monkeypatch.setenv("DFBENCH_ROOTS", "ff++=b; dfdc=c")
    assert config.find_root("ff++") == Path("b")
    assert config.find_root("dfdc") == Path("c")
    assert config.find_root("ff++", "c") == Path("c")


def test_a_root_that_is_not_there_is_named(clean_home: Path) -> None:
    with pytest.raises(DataError, match="not a folder: nowhere"):
        config.find_root("ff++", "nowhere")


@pytest.mark.parametrize("text", ["ff++", "=x", "a="])
def test_a_malformed_environment_variable_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="DFBENCH_ROOTS"):
        config.parse_roots(text)


@pytest.mark.parametrize("text", ["[roots", '[roots]\n"ff++" = 3', "roots = 3"])
def test_a_malformed_file_is_refused(clean_home: Path, text: str) -> None:
    (clean_home / "dfbench.toml").write_text(text)
    with pytest.raises(UsageError, match=r"dfbench\.toml"):
        config.configured_roots()


def test_the_workspace_moves_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFBENCH_HOME", "/somewhere")
    assert config.runs_home() == Path("/somewhere/runs")
    monkeypatch.delenv("DFBENCH_HOME")
    assert config.runs_home() == Path("runs")


def test_a_smaller_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dfbench.config.config_files", lambda: [Path("dfbench.toml")])
    assert config.mini_options() == config.MiniOptions()
    Path("dfbench.toml").write_text("[mini]\npairs = [2, 1, 1]\nepochs = 1\n", "utf-8")
    assert config.mini_options() == config.MiniOptions(pairs=(2, 1, 1), epochs=1)


@pytest.mark.parametrize(
    "line", ["pairs = 3", "pairs = [1, 2]", "epochs = 0", "epochs = true", "epoch = 1", "pairs = [1, 1, 1.0]"]
)
def test_a_mini_table_that_is_not_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dfbench.toml").write_text(f"[mini]\n{line}\n", "utf-8")
    with pytest.raises(UsageError, match=r"\[mini\] in dfbench.toml") as caught:
        config.mini_options()
    assert "pairs = [2, 1, 1]" in caught.value.hint
