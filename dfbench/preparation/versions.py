"""Versions of the libraries that make the pixels."""

from __future__ import annotations

import platform


def pixel_versions() -> dict[str, str]:
    """Library -> version, for everything between a media file and a shard."""
    import av
    import cv2
    import numpy as np
    import onnxruntime
    import pyarrow as pa

    from dfbench._version import __version__

    return {
        "dfbench": __version__,
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "pyarrow": pa.__version__,
    }


def merged(several: list[dict[str, str]]) -> dict[str, str]:
    """Versions over shards that may stem from runs of different versions: all of them, in order.

    >>> merged([{"av": "15.0"}, {"av": "16.0"}, {"av": "15.0"}])
    {'av': '15.0, 16.0'}
    """
    names = sorted({name for versions in several for name in versions})
    return {name: ", ".join(sorted({v[name] for v in several if name in v})) for name in names}
