"""The registry behind every kind of plug-in: lazy, typed, and able to say whose fault a broken entry is."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dfbench import registry
from dfbench.errors import ModelError, SetupError, UsageError
from dfbench.registry import Registry, any_callable, instance_of, with_attributes

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make a package importable whose metadata register entry points, as pip does."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget_installed_plugins()

    def make(package: str, code: str, points: str, group: str = "example.shapes") -> None:
        (tmp_path / f"{package}.py").write_text(code, "utf-8")
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{points}\n", "utf-8")
        registry.forget_installed_plugins()

    yield make
    registry.forget_installed_plugins()


def shapes(**options: object) -> Registry[float]:
    builtin = {"circle": "math:pi", "line": "math:e"}
    return Registry("shape", "example.shapes", builtin, check=instance_of(float), **options)  # type: ignore[arg-type]


def test_built_in_names_are_imported_when_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_shape.py").write_text("square = 4.0", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    made = Registry("shape", "example.shapes", {"square": "lazy_shape:square"}, check=instance_of(float))
    assert made.names() == ("square",)
    assert "square" in made
    assert "lazy_shape" not in sys.modules
    assert made.get("square") == 4.0
    assert "lazy_shape" in sys.modules


def test_an_unknown_name_gives_the_nearest_ones() -> None:
    with pytest.raises(UsageError, match="unknown shape 'circel'") as caught:
        shapes(listing="dfbench list shapes").get("circel")
    assert caught.value.hint == "did you mean 'circle'? Known: circle, line. See: dfbench list shapes"
    assert "clean" in shapes().unknown("x", ["clean"]).hint


def test_installed_packages_add_names_after_the_built_in_ones(install: Install) -> None:
    made = shapes()
    assert made.names() == ("circle", "line")
    install("zoo", "half = 0.5", "half = zoo:half\nabout = zoo:half")
    assert made.names() == ("circle", "line", "about", "half")
    assert "zoo" not in sys.modules
    assert made.get("half") == 0.5
    assert made.entry("half").origin == "package zoo 1.2"
    assert made.entry("line").origin == "dfbench"
    assert "half" in made.unknown("halv").hint


def test_former_groups_are_read_too(install: Install) -> None:
    install("old", "half = 0.5", "half = old:half", group="example.forms")
    assert "half" not in shapes()
    assert shapes(other_groups=("example.forms",)).get("half") == 0.5


def test_a_built_in_name_wins_and_the_conflict_is_logged(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("thief", "pi = 3.0", "circle = thief:pi")
    with caplog.at_level(logging.WARNING, "dfbench"):
        made = shapes()
        assert made.get("circle") > 3.1
        assert made.names() == ("circle", "line")
    (record,) = caplog.records
    assert record.getMessage() == "the shape 'circle' of package thief 1.2 is ignored: the name belongs to dfbench"


def test_of_two_packages_the_first_by_name_wins(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("beta", "x = 2.0", "two = beta:x")
    install("alpha", "x = 1.0", "two = alpha:x")
    with caplog.at_level(logging.WARNING, "dfbench"):
        assert shapes().get("two") == 1.0
    assert "package beta 1.2 is ignored: the name belongs to package alpha 1.2" in caplog.text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("y = 1.0", "has no attribute 'x'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 'text'", "it is a str, not a float"),
    ],
)
def test_a_broken_entry_names_package_entry_and_group(install: Install, code: str, reason: str) -> None:
    install("broken", code, "x = broken:x")
    made = shapes(error=ModelError)
    assert "x" in made.names()
    try:
        with pytest.raises(ModelError) as caught:
            made.get("x")
        message = caught.value.message
        assert reason in message
        assert "the shape 'x' of package broken 1.2" in message
        assert "entry point x = 'broken:x' in group 'example.shapes'" in message
        assert caught.value.hint == "update or uninstall that package: pip uninstall broken"
        assert made.describe("x").startswith("broken: ")
    finally:
        sys.modules.pop("broken", None)


def test_a_broken_built_in_entry_is_an_error_of_dfbench() -> None:
    made = Registry("shape", "example.shapes", {"square": "math:no_such"}, check=instance_of(float))
    with pytest.raises(SetupError, match="'square' cannot be loaded from math:no_such"):
        made.get("square")


def test_run_time_names(install: Install) -> None:
    made = shapes()
    made.register("half", 0.5, summary="A half")
    assert made.names() == ("circle", "line", "half")
    assert made.get("half") == 0.5
    assert made.describe("half") == "A half"
    with pytest.raises(UsageError, match="'half' exists already"):
        made.register("half", 0.6)
    with pytest.raises(UsageError, match="'circle' exists already"):
        made.register("circle", 0.6)
    with pytest.raises(UsageError, match="it is a str, not a float"):
        made.register("wrong", "x")  # type: ignore[arg-type]
    assert "half" not in shapes()


def test_help_comes_without_imports_where_it_is_given() -> None:
    made = Registry(
        "shape", "example.shapes", {"square": "not_importable:x", "round": 1.5}, check=instance_of(float),
        summaries={"square": "Four sides"}, describer=lambda value: f"{value} long",
    )  # fmt: skip
    assert made.describe("square") == "Four sides"
    assert made.describe("round") == "1.5 long"


def test_an_alias_works_warns_and_is_hidden() -> None:
    made = shapes(aliases={"ring": "circle"})
    assert "ring" in made
    assert "ring" not in made.names()
    with pytest.warns(FutureWarning, match="'ring' is now called 'circle'"):
        assert made.get("ring") == made.get("circle")


def test_contracts_are_checked_by_attributes() -> None:
    check = with_attributes("example.Shape", "area", "name")
    good = type("Good", (), {"area": 1, "name": "good"})()
    assert check("good", good) is good
    with pytest.raises(ValueError, match="its name is 'good', not 'other'"):
        check("other", good)
    with pytest.raises(TypeError, match=r"an Odd lacks area, name of example\.Shape"):
        check("odd", type("Odd", (), {})())


def test_code_of_a_package_that_fails_later_is_blamed_on_it(install: Install) -> None:
    install("late", "def build(): raise RuntimeError('no')", "late = late:build")
    made = Registry("shape", "example.shapes", {"own": print}, check=any_callable("build()"))
    with pytest.raises(SetupError, match=r"of package late 1.2 cannot be used: RuntimeError: no"), made.blame("late"):
        made.get("late")()
    with pytest.raises(RuntimeError, match="own"), made.blame("own"):
        raise RuntimeError("own")


def test_threads_get_one_object(install: Install) -> None:
    install("slow_zoo", "import time; time.sleep(0.1); thing = object()", "thing = slow_zoo:thing")
    made = Registry[object]("shape", "example.shapes", {}, check=lambda name, value: value)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(made.get("thing"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_an_entry_may_ask_the_registry_while_it_is_imported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shapes()
    monkeypatch.setattr(registry, "shapes_of_this_test", made, raising=False)
    install(
        "nested", "from dfbench import registry\nx = 2 * registry.shapes_of_this_test.get('circle')", "x = nested:x"
    )
    assert made.get("x") == 2 * made.get("circle")


def test_listing_names_is_cheap() -> None:
    """Importing the registry costs next to nothing: no plug-in and no large library comes with it."""
    code = "import sys, dfbench.registry; print(sorted({'numpy', 'pyarrow', 'pydantic', 'torch'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
