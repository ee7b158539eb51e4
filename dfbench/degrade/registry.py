"""Which degradations there are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dfbench.degrade import codecs, compression, filters, geometry, noise, social, tone
from dfbench.degrade.base import Degradation
from dfbench.errors import unknown_name

DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
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
            geometry.RESIZE,
            tone.BRIGHTNESS,
            tone.CONTRAST,
            tone.SATURATION,
            tone.GAMMA,
            tone.COLOR_SHIFT,
            filters.SHARPEN,
            geometry.OCCLUDE,
            geometry.SHIFT,
            codecs.H264,
            codecs.H265,
            codecs.AV1,
            social.SOCIAL,
        )
    }
)

ALIASES: Mapping[str, str] = MappingProxyType({"JP60": "jpeg:q=60", "ME5": "mean:k=5"})
"""The papers' names, and the specs they stand for."""


def degradation_names() -> tuple[str, ...]:
    """Names of the degradations, in the order that tables show."""
    return tuple(DEGRADATIONS)


def get_degradation(name: str) -> Degradation:
    """One degradation by its name.

    Raises:
        UsageError: nothing has that name.
    """
    if name not in DEGRADATIONS:
        known = (*DEGRADATIONS, *ALIASES, "clean")
        raise unknown_name("degradation", name, known, "dfbench list degradations")
    return DEGRADATIONS[name]
