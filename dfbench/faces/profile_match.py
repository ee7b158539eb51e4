"""Which crop profile and face detector a request gets: a peer's profile is exact with the peer's detector alone."""

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
"""Ends the name of a profile whose geometry is a peer's and whose face detector is not."""

ORIGINALS: Mapping[str, str] = MappingProxyType({"dfb256": "dlib", "dfb256-nodrop": "dlib", "ffpp13": "dlib-gray"})
"""Profile -> the face detector without which it is approximate."""


@dataclass(frozen=True)
class Pairing:
    """What a request gets.

    Attributes:
        profile: name of the crop profile, ending in ``~`` where it is approximate.
        detector: the face detector.
        note: what to do for the exact profile, where it is not; else empty.
    """

    profile: str
    detector: DetectorChoice
    note: str = ""


def pair(profile: str, asked: DetectorChoice, predictor: str | Path | None = None) -> Pairing:
    """Choose the face detector that a profile needs, or name the profile approximate.

    A peer's profile takes its own face detector where dlib is installed and, for ``dfb256``, a landmark file is
    known, unless another face detector than the default one was asked for.

    Args:
        profile: the name asked for.
        asked: the face detector asked for.
        predictor: landmark file for dlib, from the command line.

    Raises:
        UsageError: there is no such profile.
        SetupError: a landmark file is given, and dlib is not installed.
    """
    get_profile(profile)
    file = find_model(PREDICTOR, predictor)
    if asked.name == "dlib" and asked.model is None and file is not None:
        asked = replace(asked, model=str(file))
    original = ORIGINALS.get(profile)
    if original is None or asked.name == original:
        return Pairing(profile, asked)
    if asked.name != DetectorChoice().name:
        return Pairing(profile + APPROXIMATE, asked, f"its own face detector is {original}")
    if not has_dlib():
        if file is not None:
            raise SetupError(f"a landmark file is given, but dlib is not installed: {profile} needs both", INSTALL)
        return Pairing(profile + APPROXIMATE, asked, f"for {profile} itself: {INSTALL}, and {_predictor_hint()}")
    if original == "dlib" and file is None:
        return Pairing(profile + APPROXIMATE, asked, f"for {profile} itself {_predictor_hint()}")
    model = str(file) if original == "dlib" else None
    return Pairing(profile, DetectorChoice(original, model))


def serves(made_as: str, asked: str) -> bool:
    """Whether crops made as one profile serve who asks for another: the same, or its approximate form.

    >>> serves("dfb256~", "dfb256"), serves("dfb256", "dfb256~"), serves("native", "box")
    (True, False, False)
    """
    return made_as in (asked, asked + APPROXIMATE)


def served_profile(profile: str, made_as: str, detector: str) -> str:
    """The name under which a profile can be cut anew from the faces of a finished manifest.

    Args:
        profile: the name asked for.
        made_as: profile of the manifest; what ``dfb256`` dropped is known only there.
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
