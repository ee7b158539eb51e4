"""Names that a package loads on first use."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    ".".join(file.parent.relative_to(TOP).parts)
    for name in ("dfbench", "reference_models")
    for file in (TOP / name).rglob("__init__.py")
    if "_LAZY = {" in file.read_text("utf-8")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_that_of_a_module_of_the_package(package: str) -> None:
    """Importing the module would put it in the place of the name."""
    module = import_module(package)
    here = TOP.joinpath(*package.split("."))
    modules = {path.stem for path in here.glob("*.py")} | {path.parent.name for path in here.glob("*/__init__.py")}
    taken = {name for name, target in module._LAZY.items() if target != f"{package}.{name}"}
    assert not modules & taken


def test_there_are_such_packages() -> None:
    assert "dfbench.training" in PACKAGES
