"""Tests that take minutes: run by ``make test-long`` only, and summarised in ``benchmarks/results/long-tests.md``."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfbench._version import __version__

MEASURED: list[tuple[str, str, float]] = []
"""Test, what it measured, seconds."""


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Note what a test measured, for the page of results."""
    notes: list[str] = []
    started = time.perf_counter()
    yield notes.append
    MEASURED.append((request.node.name, "; ".join(notes), time.perf_counter() - started))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page that the environment variable names, if every test passed."""
    page = os.environ.get("LONG_TESTS_PAGE")
    if not page or exitstatus != 0 or not MEASURED:
        return
    rows = "".join(f"| `{name}` | {text} | {seconds:.0f} |\n" for name, text, seconds in MEASURED)
    Path(page).write_text(
        "# Long tests\n\n"
        f"Written by `make test-long`; do not edit by hand. dfbench {__version__}, Python {platform.python_version()}, "
        "one process. All tests passed.\n\n"
        f"| test | measured | seconds |\n|---|---|---|\n{rows}",
        "utf-8",
    )
