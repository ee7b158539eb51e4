"""The documentation site: every page is in its navigation, every public name in its API reference, links lead on."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from loading import load_file

import dfbench

TOP = Path(__file__).resolve().parents[2]
SITE = load_file("tools/docs_site.py", "docs_site_tool")


def pages_of(nav: Any) -> list[str]:
    """The paths in a navigation, whatever its depth."""
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(entry)]


def public_names() -> list[str]:
    """Every name in ``__all__`` of dfbench and of its packages, found without the code that writes the API pages."""
    packages = ["dfbench", *(m.name for m in pkgutil.walk_packages(dfbench.__path__, "dfbench.") if m.ispkg)]
    modules = [import_module(name) for name in packages]
    return [
        f"{module.__name__}.{name}"
        for module in modules
        for name in getattr(module, "__all__", ())
        if name != "__version__"
    ]


def test_every_page_is_in_the_navigation_once() -> None:
    pages = pages_of(yaml.safe_load((TOP / "mkdocs.yml").read_text("utf-8"))["nav"])
    written = {p.relative_to(TOP / "docs").as_posix() for p in (TOP / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(written | set(SITE.ROOT_PAGES.values()))


@pytest.mark.parametrize(
    ("page", "link", "to"),
    [
        ("docs/prepare.md", "tables.md", "tables.md"),
        ("docs/prepare.md", "tables.md#media", "tables.md#media"),
        ("docs/prepare.md", "#frames", "#frames"),
        ("docs/prepare.md", "../README.md", "index.md"),
        ("docs/prepare.md", "../CONTRIBUTING.md#tests", "contributing.md#tests"),
        ("docs/prepare.md", "../dfbench/errors.py", "source/dfbench/errors.py"),
        ("docs/results/robustness.md", "../speed.md", "../speed.md"),
        ("docs/results/robustness.md", "../../protocols/mini.toml", "../source/protocols/mini.toml"),
        ("docs/results/robustness.md", "robustness.svg", "robustness.svg"),
        ("README.md", "docs/results/robustness.md", "results/robustness.md"),
        ("README.md", "NOTICE", "source/NOTICE"),
        ("README.md", "https://example.org/a.md", "https://example.org/a.md"),
    ],
)
def test_links_are_pointed_at_the_site(page: str, link: str, to: str) -> None:
    assert SITE.rewrite(f"see [it]({link}).", page) == f"see [it]({to})."


def test_doctests_and_roles_in_docstrings_become_markdown() -> None:
    pytest.importorskip("griffe", reason="the extra docs is not installed")
    docstring = "See :func:`~abs`.\n\n>>> abs(-1)\n1\n\nArgs:\n    x: a number."
    expected = "See `abs`.\n\n```pycon\n>>> abs(-1)\n1\n```\n\nArgs:\n    x: a number."
    assert load_file("tools/docs_docstrings.py", "docs_docstrings_tool").as_markdown(docstring) == expected


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=TOP,
        env=os.environ | {"PYTHONPATH": str(TOP), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_and_has_an_api_entry_for_every_public_name(site: Path) -> None:
    anchors = {
        anchor
        for page in (site / "api").rglob("*.html")
        for anchor in re.findall(r'id="([^"]+)"', page.read_text("utf-8"))
    }
    names = public_names()
    assert {"dfbench.evaluate", "dfbench.metrics.auc", "dfbench.degrade.apply"} <= set(names)
    assert [name for name in names if name not in anchors] == []


@pytest.mark.slow
def test_the_entries_show_signatures_and_docstrings(site: Path) -> None:
    text = (site / "api" / "dfbench.degrade" / "index.html").read_text("utf-8")
    start = text.index('id="dfbench.degrade.apply"')
    entry = re.sub(r"<[^>]+>", "", text[start : text.index('id="dfbench.degrade.apply_clip"')])
    assert "condition" in entry
    assert "Returns" in entry or "Parameters" in entry


@pytest.mark.slow
def test_readme_is_the_home_page_and_leads_to_copies_of_files_outside_docs(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    assert 'href="source/NOTICE"' in home
    assert (site / "source" / "NOTICE").read_bytes() == (TOP / "NOTICE").read_bytes()
    assert (site / "contributing" / "index.html").is_file()
