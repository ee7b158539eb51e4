"""Run folders for the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import run_folders


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two detectors on the same samples; the second was prepared with another crop profile."""
    root = tmp_path_factory.mktemp("runs")
    first = run_folders.scores_table()
    second = run_folders.scores_table("meso4", "run-2", gap=0.5, seed=1)
    return (
        run_folders.write_run(root / "a", first, run_folders.result_of(first)),
        run_folders.write_run(root / "b", second, run_folders.result_of(second, profile="box"), examples=False),
    )
