"""DFDM (Deepfakes from Different Models): fakes of five models at three compressions, without reals.

Source: the README of the repository Deepfake_Model_Attribution. The names are those of Celeb-DF with a tag:
``id0_id1_0000_TAG``, made from ``Celeb-real/id0_0000`` of Celeb-DF version 2, which is not a part of the release. Names
are the same at every compression. Reals are read from a folder ``Celeb-real`` that the user puts beside the fakes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets import celebdf
from dfbench.datasets.adapter import Scan
from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.layout import clips_first, find_tree, join, may_be_media, stem, walk, with_videos
from dfbench.datasets.tree import child, entries, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media

SUBSETS = ("crf0", "crf10", "crf23")
MODELS = ("Faceswap", "Lightweight", "IAE", "Dfaker", "DFL-H128")
PUBLISHED = 430  # fakes of a model at a compression
_FOLDER = re.compile(r"^(?:DFDM[ _-]?)?(?P<subset>crf(?:0|10|23))$", re.IGNORECASE)
_NAME = re.compile(r"^id(?P<target>[0-9]+)_id(?P<source>[0-9]+)_(?P<clip>[0-9]{4})(?:_.+)?$")


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_MODELS = {_key(name): name for name in MODELS} | {"dflh128": "DFL-H128", "h128": "DFL-H128", "dfl": "DFL-H128"}


@dataclass(frozen=True)
class DfdmName:
    """The people and the real clip in the name of a fake."""

    target: str
    source: str
    base: str


def parse_name(name: str) -> DfdmName | None:
    """Parse the name of a fake (without extension); return None if it is not one.

    >>> parse_name("id0_id16_0003_H128")
    DfdmName(target='id0', source='id16', base='id0_0003')
    """
    match = _NAME.match(name)
    if match is None:
        return None
    return DfdmName(f"id{match['target']}", f"id{match['source']}", f"id{match['target']}_{match['clip']}")


class Dfdm(DataSetAdapter):
    """Adapter for DFDM: all clips are ``test``; a scene group is the person shown."""

    def scan(
        self,
        root: Path,
        subsets: Sequence[str] = (),
        splits: Sequence[str] = (),
        manipulations: Sequence[str] = (),
    ) -> Scan:
        """List the media; without reals only if manipulations are named, as a task of attribution does.

        Raises:
            DataError: also if there are no reals, and none of the manipulations is named.
        """
        found = super().scan(root, subsets, splits, manipulations)
        if not manipulations and all(m.label == FAKE for m in found.media):
            raise DataError(
                f"{found.root} has no reals, which {self.title} does not contain: binary metrics are undefined",
                "put Celeb-DF v2's folder Celeb-real, or a link to it, beside the folders of the compressions; for "
                f"attribution without reals name the models: {' '.join(f'--manipulation {m}' for m in MODELS)}",
            )
        return found

    def read(self, root: Path) -> Findings:
        """Read the folders of the compressions, and ``Celeb-real`` if it exists."""
        tree = find_tree(root, lambda folder: bool(_parts(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        unknown: set[str] = set()
        parts = _parts(tree)
        for subset, folder in parts:
            for where, files in walk(folder, folder.relative_to(tree).as_posix()):
                names = where.split("/")
                model = next((_MODELS[_key(n)] for n in names[1:] if _key(n) in _MODELS), names[1] if names[1:] else "")
                for entry in clips_first(files):
                    path = join(where, entry.name)
                    found = parse_name(stem(entry.name)) if may_be_media(entry.name) else None
                    if found is None or not model:
                        findings.exclude(NOT_A_CLIP, path)
                    elif findings.add(self._media(found, subset, model, stem(entry.name), path)):
                        unknown |= {model} - set(MODELS)
        present = sorted({subset for subset, _ in parts})
        self._reals(findings, present)
        for subset in present:
            for model in MODELS:
                findings.expect((subset, "test", "fake", model), PUBLISHED)
        if unknown:
            findings.warn(f"folders that are not published models: {some(sorted(unknown))}")
        return findings

    def _reals(self, findings: Findings, subsets: Sequence[str]) -> None:
        folder = child(findings.tree, celebdf.CELEB)
        if folder is None:
            findings.warn(
                f"there are no reals, which the release does not contain: put Celeb-DF v2's {celebdf.CELEB}, or a link "
                "to it, beside the fakes; binary metrics are undefined for a single class"
            )
            return
        location = with_videos(folder)
        where = location.relative_to(findings.tree).as_posix()
        for entry in clips_first(entries(location)):
            name, path = stem(entry.name), f"{where}/{entry.name}"
            people = celebdf.parse_name(name, celebdf.CELEB) if may_be_media(entry.name) else None
            if people is None:
                findings.exclude(NOT_A_CLIP, path)
                continue
            for subset in subsets:
                findings.add(self._media(DfdmName(people.target, "", ""), subset, "real", name, path))
        findings.warn(
            f"the reals are the same clips for {', '.join(subsets)}, with Celeb-DF's own compression: compression "
            "alone may separate the classes"
        )

    def _media(self, found: DfdmName, subset: str, manipulation: str, name: str, path: str) -> Media:
        fake = manipulation != "real"
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=manipulation,
            name=name,
            label=FAKE if fake else REAL,
            split="test",
            scene_group=f"{self.name}/{found.target}",
            path=path,
            identity_target=found.target,
            identity_source=found.source or None,
            base_media_id=f"{self.name}/{subset}/real/{found.base}" if fake else None,
        )


def _parts(tree: Path) -> list[tuple[str, Path]]:
    """Return (compression, folder) of the fakes; nested folders of the same name are entered."""
    out = []
    for name in subfolders(tree):
        match = _FOLDER.match(name)
        folder = child(tree, name) if match else None
        if match is not None and folder is not None:
            out.append((match["subset"].casefold(), folder))
    return out


DFDM = Dfdm(
    name="dfdm",
    title="DFDM",
    licence="terms of the owners; the reals fall under the Terms to Use Celeb-DF, and so do crops of both",
    access="see https://github.com/shanface33/Deepfake_Model_Attribution; reals: Celeb-DF v2",
    citation="Jia et al., Model Attribution of Face-swap Deepfake Videos, ICIP 2022 (arXiv 2202.12951)",
    layout=(
        "the layout is DFDM_crf0|DFDM_crf10|DFDM_crf23/MODEL/id0_id1_0000_TAG.mp4, and Celeb-real/id0_0000.mp4 of "
        "Celeb-DF v2 beside them"
    ),
    subsets=SUBSETS,
    manipulations=MODELS,
    evidence="verified: compressions, models, names, no reals; quoted: 6,450 fakes, from which 430 per model follow",
)
