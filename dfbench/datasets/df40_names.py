"""DF40: its forty methods in their spellings, and the origin of its clips according to their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from dfbench.datasets import celebdf
from dfbench.datasets.ffpp_pairs import ClipPairs, official_pairs, parse_name

# As in the table of the repository's README.
FAMILIES: dict[str, tuple[str, ...]] = {
    "face swapping": (
        *("FSGAN", "FaceSwap", "SimSwap", "InSwapper", "BlendFace", "UniFace", "MobileSwap", "e4s", "FaceDancer"),
        "DeepFaceLab",
    ),
    "face reenactment": (
        *("FOMM", "FS_vid2vid", "Wav2Lip", "MRAA", "OneShot", "PIRender", "TPSM", "LIA", "DaGAN", "SadTalker"),
        *("MCNet", "HyperReenact", "HeyGen"),
    ),
    "entire face synthesis": (
        *("VQGAN", "StyleGAN2", "StyleGAN3", "StyleGAN-XL", "SD-2.1", "DDPM", "RDDM", "PixArt", "DiT", "SiT"),
        *("MidJourney", "WhichIsReal"),
    ),
    "face editing": ("CollabDiff", "e4e", "StarGAN", "StarGANv2", "StyleCLIP"),
}
# Folders, archives, labels and the README spell some methods differently.
_OTHERS = {
    "facevid2vid": "FS_vid2vid",
    "inswap": "InSwapper",
    "oneshotfree": "OneShot",
    "tpsmm": "TPSM",
    "heygennew": "HeyGen",
    "sd21": "SD-2.1",
    "ddim": "DDPM",
    "pixartalpha": "PixArt",
    "ditxl2": "DiT",
    "sitxl2": "SiT",
    "midjourney6": "MidJourney",
    "midjounery6": "MidJourney",
    "mj": "MidJourney",
    "whichfaceisreal": "WhichIsReal",
}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_METHODS = {_key(name): name for names in FAMILIES.values() for name in names} | _OTHERS


def is_method(folder: str) -> bool:
    """Whether a folder has the name of a method in one of its spellings."""
    return _key(folder) in _METHODS


def method_of(folder: str) -> str:
    """Return the method of a folder's name as the README spells it; other names are returned as they are.

    >>> method_of("whichfaceisreal"), method_of("stylegan-xl"), method_of("new")
    ('WhichIsReal', 'StyleGAN-XL', 'new')
    """
    return _METHODS.get(_key(folder), folder)


@dataclass(frozen=True)
class Origin:
    """Scene group, people and base clip in a clip's name; None if the name does not contain them."""

    group: str | None = None
    target: str | None = None
    source: str | None = None
    base: str | None = None


@cache
def _pairs() -> ClipPairs:
    return official_pairs()


def origin_of(name: str, subset: str, fake: bool) -> Origin:
    """Parse the name of a clip of the subset ``ff`` or ``cdf``.

    >>> origin_of("033_097", "ff", fake=True)
    Origin(group='033_097', target='033', source='097', base='033')
    """
    if subset == "ff":
        # Synthesised faces have the name of the real clip that they were made for.
        clip = (parse_name(f"{name}.png", real=False) if fake else None) or parse_name(f"{name}.png", real=True)
        pair = _pairs().by_clip.get(clip.target) if clip is not None else None
        if clip is None or pair is None:
            return Origin()
        return Origin(pair.group, clip.target, clip.source, clip.target)
    if subset == "cdf":
        people = celebdf.parse_name(name, celebdf.SYNTHESIS) if fake else None
        people = people or celebdf.parse_name(name, celebdf.CELEB)
        return Origin(people.target, people.target, people.source, people.base) if people is not None else Origin()
    return Origin()
