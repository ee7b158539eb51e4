"""Text, JSON, TOML, links and special files of strangers."""

from __future__ import annotations

import io
import os
import pickle
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.cli import show
from dfbench.errors import DataError, ModelError
from dfbench.text import one_line, terminal_text
from dfbench.untrusted import (
    DEEPEST,
    is_clutter,
    is_relative,
    leads_outside,
    open_regular,
    read_at_most,
    read_json,
    read_toml,
)

ROOT = Path(__file__).resolve().parents[2]


@given(st.text())
def test_text_has_no_character_that_a_terminal_executes(text: str) -> None:
    shown = terminal_text(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable() or all(
        ord(c) > 159 or c in "\n\t" or 32 <= ord(c) < 127 for c in shown
    )
    assert shown.encode().decode() == shown
    assert "\n" not in one_line(text)
    assert terminal_text(shown) == shown


def test_ordinary_text_stays_and_bytes_of_names_are_named() -> None:
    assert terminal_text("Café 日本\n\ttab") == "Café 日本\n\ttab"
    assert terminal_text(os.fsdecode(b"\xc4\xe3.mp4")) == "\\xc4\\xe3.mp4"
    assert terminal_text("\x9b31m\u202eexe.png") == "\\x9b31m\\u202eexe.png"


def test_errors_quote_names_without_control_characters() -> None:
    error = DataError("\x1b[31m is damaged\nsee below", "rename \x07")
    assert (error.message, error.hint) == ("\\x1b[31m is damaged\nsee below", "rename \\x07")
    assert str(error) == error.message
    assert pickle.loads(pickle.dumps(error)).message == error.message


def test_nothing_is_printed_elsewhere() -> None:
    """Output that does not pass through dfbench.cli.show could hold anything."""
    for file in sorted((ROOT / "dfbench").rglob("*.py")):
        code = [line.split(" #")[0] for line in file.read_text("utf-8").splitlines() if ">>>" not in line]
        printing = [
            line
            for line in code
            if "click.echo(" in line or "click.secho(" in line or line.strip().startswith("print(")
        ]
        assert not printing or file.name == Path(show.__file__).name, (file, printing)


@pytest.mark.parametrize("path", ["a/b", "a..b/c", ".hidden", "a/.../b"])
def test_paths_that_stay(path: str) -> None:
    assert is_relative(path)


@pytest.mark.parametrize(
    "path", ["", "..", "a/../../b", "/a", "\\a", "C:a", "c:\\a", "\\\\host\\share\\a", "a\\..\\b", "a\0b"]
)
def test_paths_that_lead_outside(path: str) -> None:
    assert not is_relative(path)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "text",
    [
        *(nested(DEEPEST + 1), nested(100_000), '{"a": NaN}', "[-Infinity]", "1e999", "9" * 30, "9" * 9999),
        *('{"a":1,"a":1}', '"\\ud800"', '{"\\udfff": 1}', "", "{", "\ufeff\ufeff1"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"a\.json"):
        read_json(file, error=ModelError)


def test_json_and_toml_that_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("\ufeff" + nested(DEEPEST - 1), "utf-8")
    assert read_json(file)
    file.write_text("\ufeffa = [1, 2.5]\n", "utf-8")
    assert read_toml(file) == {"a": [1, 2.5]}
    file.write_text("a = " + nested(5000), "utf-8")
    with pytest.raises(DataError, match=r"nested|valid"):
        read_toml(file)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need privileges there")
def test_links_and_special_files(tmp_path: Path) -> None:
    inside, outside = tmp_path / "m", tmp_path / "secret"
    inside.mkdir()
    outside.write_text("x", "utf-8")
    (inside / "a").write_text("x", "utf-8")
    for name, target in (("near", "a"), ("far", "../secret"), ("loop", "loop"), ("gone", "nothing")):
        (inside / name).symlink_to(target)
    assert [name for name in ("a", "near", "far", "loop", "gone") if leads_outside(inside / name)] == ["far"]
    (tmp_path / "link").symlink_to(inside)
    assert not leads_outside(tmp_path / "link" / "a")
    assert leads_outside(tmp_path / "link" / "far")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), inside):
        with pytest.raises(DataError, match="not a regular file"):
            open_regular(path)
    for path in (inside / "loop", inside / "gone", tmp_path / "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            open_regular(path)


@pytest.mark.parametrize(
    "name", ["._0.png", "__MACOSX", "__macosx", ".DS_Store", "Thumbs.db", "THUMBS.DB", "desktop.ini"]
)
def test_clutter(name: str) -> None:
    assert is_clutter(name)
    assert not is_clutter(f"a{name}")


def test_a_limit_reserves_no_memory(tmp_path: Path) -> None:
    """A small file needs no memory for the largest one that is allowed."""
    asked: list[int] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    content = os.urandom(3_000_000)
    assert read_at_most(Stream(content), 10**9) == content
    assert read_at_most(Stream(content), 2_000_000) == content[:2_000_001]
    assert read_at_most(Stream(b""), 5) == b""
    assert 0 < min(asked) <= max(asked) <= 2**21
    file = tmp_path / "x.json"
    file.write_text('{"a": 1}')
    tracemalloc.start()
    assert read_json(file) == {"a": 1}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
