"""A short run of the fuzzer over every type of file; see docs/results/fuzzing.md for a long one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.long


def test_damaged_files_of_every_type_are_read_or_refused(tmp_path: Path, record: Callable[[str], None]) -> None:
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--files", "450", "--seconds", "600", "--seed", "11"]
    done = subprocess.run([*command, "--keep", str(tmp_path / "faults")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    total = done.stdout.splitlines()[-1].split("|")[2:6]
    files, errors, accepted, faults = (int(number) for number in total)
    assert (files, errors + accepted, faults) == (450, 450, 0)
    assert accepted > 20
    record(f"{files} damaged files: {errors} clean errors, {accepted} accepted, {faults} faults")
