"""Versions of the libraries that decide pixels and scores, for manifests, cards and results."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from dfbench._version import __version__

_MODELS = ("torch", "timm", "lightning", "safetensors", "numpy", "pyarrow")
_CONDITIONS = ("scipy", "av", "opencv-python", "opencv-python-headless")
"""What degrades crops and clips while they are scored; OpenCV is there under one of its two names."""


def library_versions() -> dict[str, str]:
    """Versions of dfbench, Python and the libraries that decide scores; those not installed are excluded."""
    found = {"dfbench": __version__, "python": platform.python_version()}
    for name in _MODELS + _CONDITIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def pixel_versions() -> dict[str, str]:
    """Versions of dfbench, Python and the libraries that decide the pixels of a manifest."""
    import av
    import cv2
    import numpy as np
    import onnxruntime
    import pyarrow as pa

    return {
        "dfbench": __version__,
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "pyarrow": pa.__version__,
    }


def merged_versions(several: list[dict[str, str]]) -> dict[str, str]:
    """Versions over several shards, which runs of different versions may have made: all of them, in order.

    >>> merged_versions([{"av": "15.0"}, {"av": "16.0"}, {"av": "15.0"}])
    {'av': '15.0, 16.0'}
    """
    names = sorted({name for versions in several for name in versions})
    return {name: ", ".join(sorted({v[name] for v in several if name in v})) for name in names}
