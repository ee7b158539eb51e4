"""Locations of the files that ship with dfbench: protocol files and the facts in ``manifests/``.

In a checkout they are at its top level, in an installation inside the package (``dfbench/_data``).
"""

from __future__ import annotations

from pathlib import Path

from dfbench.errors import SetupError

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise SetupError(f"the installation lacks its {name}/ folder", "install dfbench again")


def protocols_folder() -> Path:
    """Return the folder of the shipped protocol files (``*.toml``)."""
    return _folder("protocols")


def facts_folder() -> Path:
    """Return the folder of the shipped facts: FF++ pairs, published numbers."""
    return _folder("manifests")
