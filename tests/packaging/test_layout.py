"""The layout that docs/architecture.md promises: few small modules, no large ones, one class per name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path
    for package in ("dfbench", "reference_models")
    for path in (ROOT / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
SMALL, MAX_SMALL, LARGE = 60, 20, 400


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def package_of(path: Path) -> str:
    """``dfbench.X`` for a module of dfbench, ``reference_models`` for those of that package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] == "dfbench" else parts[0]


def test_few_modules_are_small_and_none_is_large() -> None:
    assert len(MODULES) > 100
    small = [p.relative_to(ROOT).as_posix() for p in MODULES if p.name != "__init__.py" and lines(p) < SMALL]
    assert len(small) <= MAX_SMALL, small
    assert not [p.relative_to(ROOT).as_posix() for p in MODULES if lines(p) > LARGE]


def test_no_class_name_is_used_in_two_packages() -> None:
    packages: dict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                packages[node.name].add(package_of(path))
    assert {name: sorted(found) for name, found in packages.items() if len(found) > 1} == {}
