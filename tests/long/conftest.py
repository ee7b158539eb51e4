"""Tests that take minutes: run by ``make test-long`` only, and summarised in ``benchmarks/results/long-tests.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from dfbench._version import __version__

MEASURED: list[tuple[str, str, float]] = []
"""Test, what it measured, seconds."""


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note what a test measured, for the page of results."""
    return lambda text: request.node.user_properties.append(("measured", text))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the notes; with several processes, in the one that started the others."""
    notes = [str(text) for name, text in report.user_properties if name == "measured"]
    if report.when == "call" and notes:
        MEASURED.append((report.nodeid.rpartition("::")[2], "; ".join(notes), report.duration))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page that the environment variable names, if every test passed."""
    page = os.environ.get("LONG_TESTS_PAGE")
    if not page or exitstatus != 0 or not MEASURED or hasattr(session.config, "workerinput"):
        return
    rows = "".join(f"| `{name}` | {text} | {seconds:.0f} |\n" for name, text, seconds in sorted(MEASURED))
    Path(page).write_text(
        "# Long tests\n\n"
        f"Written by `make test-long`; do not edit by hand. dfbench {__version__}, Python {platform.python_version()}, "
        "two processes. All tests passed.\n\n"
        f"| test | measured | seconds |\n|---|---|---|\n{rows}",
        "utf-8",
    )
