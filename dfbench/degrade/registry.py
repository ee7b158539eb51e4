"""Degradations by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType

from dfbench.degrade import codecs, compression, filters, noise, social, spatial, tone
from dfbench.degrade.base import Degradation
from dfbench.registry import Registry, instance_of

DEGRADATIONS: Registry[Degradation] = Registry(
    "degradation",
    "dfbench.degradations",
    {
        degradation.name: degradation
        for degradation in (
            compression.JPEG,
            compression.WEBP,
            filters.MEAN,
            filters.MEDIAN,
            filters.GAUSSIAN_BLUR,
            filters.MOTION_BLUR,
            noise.GAUSSIAN_NOISE,
            noise.SHOT_NOISE,
            noise.SALT_PEPPER,
            spatial.RESIZE,
            tone.BRIGHTNESS,
            tone.CONTRAST,
            tone.SATURATION,
            tone.GAMMA,
            tone.COLOR_SHIFT,
            filters.SHARPEN,
            spatial.OCCLUDE,
            spatial.SHIFT,
            codecs.H264,
            codecs.H265,
            codecs.AV1,
            social.SOCIAL,
        )
    },
    check=instance_of(Degradation),
    listing="dfbench list degradations",
)

ALIASES: Mapping[str, str] = MappingProxyType({"JP60": "jpeg:q=60", "ME5": "mean:k=5"})
"""Names used in papers -> specs."""


def degradation_names() -> tuple[str, ...]:
    """Return the names of the degradations in the order of tables."""
    return DEGRADATIONS.names()


def list_degradations(filter: str = "*") -> list[str]:
    """Return the names of the degradations.

    Args:
        filter: shell-style pattern; the default matches all names.

    >>> list_degradations("h26*")
    ['h264', 'h265']
    """
    return fnmatch.filter(degradation_names(), filter)


def get_degradation(name: str) -> Degradation:
    """Return a degradation by name.

    Raises:
        UsageError: no degradation has that name.
        SetupError: the package that provides it is broken.
    """
    if name not in DEGRADATIONS:
        raise DEGRADATIONS.unknown(name, (*ALIASES, "clean"))
    return DEGRADATIONS.get(name)
