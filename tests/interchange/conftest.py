"""The tiny manifest of drawn patterns that the tests of evaluation use, and its protocol."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[1] / "evaluation" / "conftest.py"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of the manifest, file of the protocol."""
    spec = importlib.util.spec_from_file_location("drawn_patterns", _FILE)
    assert spec is not None
    assert spec.loader is not None
    patterns = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(patterns)
    base = tmp_path_factory.mktemp("import")
    (base / "p.toml").write_text(patterns.PROTOCOL.format(name="tiny", dataset="folder"), "utf-8")
    return patterns.build(base / "manifest"), base / "p.toml"
