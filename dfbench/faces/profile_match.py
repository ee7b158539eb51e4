"""Which crop profile and face detector a request uses: a reference profile is exact only with its own detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from dfbench.errors import SetupError
from dfbench.faces.base import DetectorChoice
from dfbench.faces.dlib_hog import INSTALL, has_dlib
from dfbench.faces.model_files import PREDICTOR, find_model, how_to_give
from dfbench.faces.profiles import get_profile

APPROXIMATE = "~"
"""Suffix of a profile that has the geometry of a reference implementation but not its face detector."""

ORIGINALS: Mapping[str, str] = MappingProxyType({"dfb256": "dlib", "dfb256-nodrop": "dlib", "ffpp13": "dlib-gray"})
"""Profile -> the face detector with which it is exact."""


@dataclass(frozen=True)
class ProfileMatch:
    """The crop profile and face detector for a request.

    Attributes:
        profile: name of the crop profile; ends in ``~`` if it is approximate.
        detector: the face detector.
        note: what is needed for the exact profile, if it is approximate; else empty.
    """

    profile: str
    detector: DetectorChoice
    note: str = ""


def match_profile(profile: str, requested: DetectorChoice, predictor: str | Path | None = None) -> ProfileMatch:
    """Choose the face detector that a profile needs, or mark the profile as approximate.

    A reference profile uses its own face detector if dlib is installed and, for ``dfb256``, a landmark file is
    configured, unless another face detector than the default was requested.

    Args:
        profile: the requested name.
        requested: the requested face detector.
        predictor: landmark file for dlib, from the command line.

    Raises:
        UsageError: there is no such profile.
        SetupError: a landmark file is given, and dlib is not installed.
    """
    get_profile(profile)
    file = find_model(PREDICTOR, predictor)
    if requested.name == "dlib" and requested.model is None and file is not None:
        requested = replace(requested, model=str(file))
    original = ORIGINALS.get(profile)
    if original is None or requested.name == original:
        return ProfileMatch(profile, requested)
    if requested.name != DetectorChoice().name:
        return ProfileMatch(
            profile + APPROXIMATE, requested, f"{profile} is exact only with the face detector {original}"
        )
    if not has_dlib():
        if file is not None:
            raise SetupError(f"a landmark file is given, but dlib is not installed: {profile} needs both", INSTALL)
        return ProfileMatch(
            profile + APPROXIMATE, requested, f"for the exact {profile}: {INSTALL}, and {_predictor_hint()}"
        )
    if original == "dlib" and file is None:
        return ProfileMatch(profile + APPROXIMATE, requested, f"for the exact {profile}, {_predictor_hint()}")
    model = str(file) if original == "dlib" else None
    return ProfileMatch(profile, DetectorChoice(original, model))


def serves(made_as: str, requested: str) -> bool:
    """Whether crops of one profile can be used where another is requested: the same, or its approximate form.

    >>> serves("dfb256~", "dfb256"), serves("dfb256", "dfb256~"), serves("native", "box")
    (True, False, False)
    """
    return made_as in (requested, requested + APPROXIMATE)


def served_profile(profile: str, made_as: str, detector: str) -> str:
    """Return the profile that results from cropping the faces of a finished manifest again.

    Args:
        profile: the requested name.
        made_as: profile of the manifest; which frames ``dfb256`` drops is known only there.
        detector: name of the face detector that found its faces.

    Raises:
        UsageError: there is no such profile.
    """
    get_profile(profile)
    original = ORIGINALS.get(profile)
    if original is None:
        return profile
    exact = detector == original and (get_profile(profile).redetect_size is None or made_as == profile)
    return profile if exact else profile + APPROXIMATE


def _predictor_hint() -> str:
    return how_to_give(PREDICTOR, "--dlib-predictor")
