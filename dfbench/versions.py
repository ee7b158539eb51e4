"""Versions of what decides scores, for cards and results."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from dfbench._version import __version__

_MODELS = ("torch", "timm", "lightning", "safetensors", "numpy", "pyarrow")
_CONDITIONS = ("scipy", "av", "opencv-python", "opencv-python-headless")
"""What degrades crops and clips while they are scored; OpenCV is there under one of its two names."""


def library_versions() -> dict[str, str]:
    """Versions of dfbench, Python and the libraries that decide scores; those not installed are left out."""
    found = {"dfbench": __version__, "python": platform.python_version()}
    for name in _MODELS + _CONDITIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
