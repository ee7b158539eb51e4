"""tools/check_imports.py finds circles and upward imports, those inside functions too, and reports none here."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from loading import load_file

pytest.importorskip("grimp", reason="it comes with import-linter, in the extra dev")

TOP = Path(__file__).resolve().parents[2]
CHECK = load_file("tools/check_imports.py", "check_imports_tool")
PYPROJECT = """
[tool.importlinter]
root_packages = ["zoo", "guest"]
[[tool.importlinter.contracts]]
name = "imports point down only"
type = "layers"
layers = ["zoo.keeper", "zoo.lion | zoo.mouse", "zoo.cage : zoo.gate", "zoo.errors"]
"""
CLEAN = {
    "zoo/__init__.py": "_LAZY = {'feed': 'zoo.keeper:feed'}",
    "zoo/keeper.py": "from zoo import lion\nfrom zoo.errors import Oops",
    "zoo/lion/__init__.py": "",
    "zoo/lion/roar.py": "from zoo.cage import lock",
    "zoo/mouse.py": "",
    "zoo/cage.py": "from zoo.gate import open_gate\ndef lock(): ...",
    "zoo/gate.py": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from zoo.cage import lock
    from zoo.keeper import feed
def open_gate(): ...
""",
    "zoo/errors.py": "",
    "guest/__init__.py": "import zoo",
}


def run(folder: Path) -> list[str]:
    importlib.invalidate_caches()
    faults: list[str] = CHECK.check(folder)
    return faults


def plant(folder: Path, **changes: str) -> Path:
    (folder / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    for name, text in {**CLEAN, **changes}.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def test_a_clean_tree_passes(tmp_path: Path) -> None:
    assert run(plant(tmp_path)) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        (
            "zoo/gate.py",
            "def open_gate():\n    def inner():\n        from zoo import cage",
            "circle: zoo.cage:1 -> zoo.gate:3 -> zoo.cage",
        ),
        (
            "zoo/gate.py",
            "def open_gate():\n    from .cage import lock",
            "circle: zoo.cage:1 -> zoo.gate:2 -> zoo.cage",
        ),
        (
            "zoo/errors.py",
            "class Oops:\n    def show(self):\n        import zoo.gate",
            "upward: zoo.errors:3: zoo.errors imports zoo.gate",
        ),
        ("zoo/gate.py", "from zoo import __version__", "upward: zoo.gate:1: zoo.gate imports zoo"),
        ("zoo/mouse.py", "import zoo.lion.roar", "upward: zoo.mouse:1: zoo.mouse imports zoo.lion.roar"),
        ("zoo/tiger.py", "", "upward: zoo.tiger is in no layer"),
    ],
)
def test_each_fault_is_found(tmp_path: Path, file: str, text: str, fault: str) -> None:
    assert run(plant(tmp_path, **{file: text})) == [fault]


def test_circles_outside_the_layers_are_found(tmp_path: Path) -> None:
    faults = run(plant(tmp_path, **{"guest/a.py": "from guest import b", "guest/b.py": "from guest import a"}))
    assert faults == ["circle: guest.a:1 -> guest.b:1 -> guest.a"]


@pytest.mark.parametrize("text", ["", "from zoo import keeper"])
def test_the_command_fails_where_there_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setattr("sys.argv", ["check_imports.py", str(plant(tmp_path, **{"zoo/errors.py": text}))])
    with pytest.raises(SystemExit) as caught:
        CHECK.main()
    assert caught.value.code == bool(text)
    assert ("no import circles" in capsys.readouterr().out) == (not text)


def test_dfbench_has_none() -> None:
    assert run(TOP) == []
