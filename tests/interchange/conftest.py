"""The tiny manifest of drawn patterns that the tests of evaluation use, and its protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from loading import load_file


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folder of the manifest, file of the protocol."""
    patterns = load_file("tests/evaluation/conftest.py", "drawn_patterns")
    base = tmp_path_factory.mktemp("import")
    (base / "p.toml").write_text(patterns.PROTOCOL.format(name="tiny", dataset="folder"), "utf-8")
    return patterns.build(base / "manifest"), base / "p.toml"
