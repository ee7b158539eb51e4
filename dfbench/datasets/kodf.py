"""KoDF (Korean DeepFake Detection Dataset): clips of 403 people, fakes of six methods.

The layout and the meaning of the names are quoted from other projects: ``original/ACTOR/ACTOR_NNN.mp4``, and fakes
``METHOD/DATE/TARGET/TARGET_SOURCE_CODE_SEQUENCE.mp4``, where the code tells the method. An adversarial part has folders
for real and fake clips. There is no official split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.layout import clips_first, find_tree, join, may_be_media, stem, walk
from dfbench.datasets.tree import child, subfolders
from dfbench.schema.media import FAKE, REAL, Media

ORIGINAL = "original"
METHODS = {"1": "dfl", "2": "dffs", "3": "fsgan", "4": "fo", "5": "audio-driven"}
ADVERSARIAL = "adversarial"
PUBLISHED_REAL, PUBLISHED_FAKE = 62_166, 175_776
_ACTOR = r"(?:[0-9a-f]{20}|[0-9]{6})"
_REAL_NAME = re.compile(rf"^(?P<target>{_ACTOR})_(?P<take>[0-9]+)$", re.IGNORECASE)
_FAKE_NAME = re.compile(
    rf"^(?P<target>{_ACTOR})_(?P<source>{_ACTOR})_(?P<code>[1-5])_(?P<sequence>[0-9]+)$", re.IGNORECASE
)
_ADVERSARIAL = re.compile(r"^(?P<label>real|fake)[ _-]?adv(ersarial)?$|^adv(ersarial)?[ _-]?(?P<last>real|fake)$", re.I)


@dataclass(frozen=True)
class KodfName:
    """The people and the method in the name of a clip.

    Attributes:
        target: the person shown.
        source: the person whose face or voice was used; None for a real clip.
        manipulation: ``real`` or the method.
    """

    target: str
    source: str | None
    manipulation: str


def parse_name(name: str) -> KodfName | None:
    """Parse the name of a clip (without extension); return None if it is not one.

    >>> parse_name("100001_100002_4_0007")
    KodfName(target='100001', source='100002', manipulation='fo')
    """
    fake = _FAKE_NAME.match(name)
    if fake is not None:
        return KodfName(fake["target"].lower(), fake["source"].lower(), METHODS[fake["code"]])
    real = _REAL_NAME.match(name)
    return KodfName(real["target"].lower(), None, "real") if real is not None else None


class Kodf(DataSetAdapter):
    """Adapter for KoDF: all clips are ``test``; a scene group is the person shown."""

    def read(self, root: Path) -> Findings:
        """Read the folders; labels follow from the names, and from the folder in the adversarial part."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        unparsed: list[str] = []
        for where, files in walk(tree):
            folders = where.split("/")
            attacked = next((m for m in map(_ADVERSARIAL.match, folders) if m), None)
            for entry in clips_first(files):
                path, name = join(where, entry.name), stem(entry.name)
                found = parse_name(name)
                if not may_be_media(entry.name) or (found is None and attacked is None):
                    findings.exclude(NOT_A_CLIP, path)
                elif attacked is not None:
                    label = REAL if (attacked["label"] or attacked["last"]).casefold() == "real" else FAKE
                    method = ADVERSARIAL if label == FAKE else "real"
                    unparsed += [path] if found is None else []
                    findings.add(self._media(found, method, ADVERSARIAL, stem(path), path))
                elif found is not None and (found.manipulation == "real") != (ORIGINAL in map(str.casefold, folders)):
                    findings.exclude("a name that contradicts its folder", path)
                elif found is not None:
                    findings.add(self._media(found, found.manipulation, "all", name, path))
        findings.expect(("all", "test", "real", "real"), PUBLISHED_REAL)
        fakes = sum(m.label == FAKE and m.subset == "all" for m in findings.media.values())
        if fakes != PUBLISHED_FAKE:
            findings.warn(f"{fakes} fakes found; published are {PUBLISHED_FAKE}")
        if unparsed:
            findings.warn(f"the names of {len(unparsed)} adversarial clips do not tell the person: {some(unparsed)}")
        return findings

    def _media(self, found: KodfName | None, manipulation: str, subset: str, name: str, path: str) -> Media:
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=manipulation,
            name=name,
            label=REAL if manipulation == "real" else FAKE,
            split="test",
            scene_group=f"{self.name}/{found.target if found else f'{subset}/{name}'}",
            path=path,
            identity_target=found.target if found else None,
            identity_source=found.source if found else None,
        )


def _is_tree(folder: Path) -> bool:
    reals = child(folder, ORIGINAL)
    if reals is not None and any(re.fullmatch(_ACTOR, name, re.IGNORECASE) for name in subfolders(reals)):
        return True
    return any(_ADVERSARIAL.match(name) for name in subfolders(folder))


KODF = Kodf(
    name="kodf",
    title="KoDF",
    licence="terms of the owners (research, no redistribution); the crops fall under the same terms",
    access="on request from the owners; for users in Korea at AI-Hub",
    citation="Kwon et al., KoDF: A Large-scale Korean DeepFake Detection Dataset, ICCV 2021",
    layout=(
        "the layout is original/ACTOR/ACTOR_001.mp4 and METHOD/DATE/TARGET/TARGET_SOURCE_CODE_SEQUENCE.mp4, where an "
        "actor is 6 digits or 20 hexadecimal digits; optionally real-adv/ and fake-adv/"
    ),
    subsets=("all", ADVERSARIAL),
    manipulations=(*METHODS.values(), ADVERSARIAL),
    evidence="quoted: tree, names, codes of the methods, numbers; open: folders of the adversarial part",
)
