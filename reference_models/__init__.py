"""Reference detectors, packaged as a third party would package them.

They are registered by entry points and use the public interface of dfbench only. There is one folder per family:
``spec.py`` holds the specification and the names of foreign weight files and does not import torch, so that detectors
can be listed without it; ``network.py`` holds the network.
"""

from __future__ import annotations

__all__ = [
    "amtennet",
    "capsule",
    "diffusionfake",
    "efficientnet",
    "extractors",
    "grnet",
    "highpass",
    "mat",
    "meso",
    "mesoinception",
    "mislnet",
    "resnet",
    "rfm",
    "vit",
    "xception",
]
