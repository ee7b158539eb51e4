"""Versions of what decides scores, for cards and results."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from dfbench import __version__

_LIBRARIES = ("torch", "timm", "lightning", "safetensors", "numpy", "pyarrow")


def library_versions() -> dict[str, str]:
    """Versions of dfbench, Python and the libraries that decide scores; those not installed are left out."""
    found = {"dfbench": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
