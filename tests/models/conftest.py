"""The tiny manifest of the evaluation tests."""

from __future__ import annotations

from loading import load_file

tiny = load_file("tests/evaluation/conftest.py", "tiny_manifest").tiny
