"""Print the changelog section of a tag, for a release; fail where tag, version and changelog disagree.

python tools/release_notes.py v0.2.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]


def notes(tag: str, version: str, changelog: str) -> str:
    """The section of a released version.

    Args:
        tag: ``v`` and the version.
        version: what ``dfbench/_version.py`` holds.
        changelog: the text of ``CHANGELOG.md``, with headings ``## [0.2.0] - 2026-12-01``.

    Raises:
        ValueError: the tag names another version, or the changelog has no dated section with content for it.
    """
    if tag != f"v{version}":
        raise ValueError(f"the tag {tag} does not name version {version} of dfbench/_version.py")
    heading = re.search(rf"^## \[{re.escape(version)}\](.*)$", changelog, re.M)
    if heading is None:
        raise ValueError(f"CHANGELOG.md has no section for {version}")
    if not re.fullmatch(r" - \d{4}-\d\d-\d\d", heading[1]):
        raise ValueError(f"the section for {version} in CHANGELOG.md has no date: ## [{version}] - YYYY-MM-DD")
    section = changelog[heading.end() :].partition("\n## ")[0].strip()
    if not section:
        raise ValueError(f"the section for {version} in CHANGELOG.md is empty")
    return section


def main() -> None:
    """Read the tag from the command line."""
    (tag,) = sys.argv[1:]
    found = re.search(r'__version__ = "([^"]+)"', (TOP / "dfbench" / "_version.py").read_text("utf-8"))
    assert found is not None
    try:
        print(notes(tag, found[1], (TOP / "CHANGELOG.md").read_text("utf-8")))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
