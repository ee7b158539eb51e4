"""FFIW-10K (Face Forensics in the Wild): clips with several faces of which some are forged.

Sources: the README of the repository FFIW (``source``, ``target`` and ``target_mask``, each with ``train`` and
``val``); other projects for ``videos`` folders, for copies with one folder per class whose file names start with the
split, and for the numbers. ``source`` is real, ``target`` is fake. Clips of the same name in both are a pair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.layout import clips_first, find_tree, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

METHOD = "fake"
REALS, FAKES, MASKS = "source", "target", "target_mask"
PUBLISHED: dict[Split, int] = {"train": 8_000, "val": 250, "test": 1_738}  # clips per class
NO_SPLIT = "a clip whose split neither its folder nor its name tells"
_LABELS = {REALS: REAL, FAKES: FAKE}
_PREFIX = re.compile(r"^(?P<split>train|val|test)_(?P<name>.+)$", re.IGNORECASE)


@dataclass(frozen=True)
class FfiwClip:
    """Label, split and name according to a path.

    Attributes:
        label: 0 in ``source``, 1 in ``target``.
        split: by a folder or by the start of the name; None if neither tells.
        name: name of the file without split and extension.
    """

    label: int
    split: Split | None
    name: str


def parse_path(path: str, where: str = "") -> FfiwClip | None:
    """Parse a path relative to the tree; return None if it is neither below ``source`` nor below ``target``.

    Raises:
        DataError: folder and name tell different splits.

    >>> parse_path("target/val/videos/00000012.mp4")
    FfiwClip(label=1, split='val', name='00000012')
    >>> parse_path("source/test_00000012.mp4")
    FfiwClip(label=0, split='test', name='00000012')
    """
    *folders, file = path.split("/")
    labels = [_LABELS[f.casefold()] for f in folders if f.casefold() in _LABELS]
    if len(labels) != 1:
        return None
    name = stem(file)
    match = _PREFIX.match(name)
    told = {split for split in (*map(split_of, folders), split_of(match["split"]) if match else None) if split}
    if len(told) > 1:
        raise DataError(
            f"{where or path}: its folder and its name tell different splits: {', '.join(sorted(told))}",
            "move the clip into the folder that its name tells",
        )
    return FfiwClip(labels[0], cast("Split | None", next(iter(told), None)), match["name"] if match else name)


class Ffiw(DataSetAdapter):
    """Adapter for FFIW-10K; a scene group is a pair of a real clip and the fake of the same name."""

    def read(self, root: Path) -> Findings:
        """Read ``source`` and ``target``, with the split from folders or names."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        masks = _masks(tree)
        for where, files in walk(tree):
            if MASKS in where.casefold().split("/"):
                continue
            for entry in clips_first(files):
                path = join(where, entry.name)
                clip = parse_path(path, str(tree / path)) if may_be_media(entry.name) else None
                if clip is None:
                    findings.exclude(NOT_A_CLIP, path)
                elif clip.split is None:
                    findings.exclude(NO_SPLIT, path)
                else:
                    findings.add(self._media(clip, clip.split, path, masks.get((clip.split, clip.name))))
        for split, number in PUBLISHED.items():
            findings.expect(("all", split, "real", "real"), number)
            findings.expect(("all", split, "fake", METHOD), number)
        _compare(findings)
        return findings

    def _media(self, clip: FfiwClip, split: Split, path: str, mask: str | None) -> Media:
        name = f"{split}_{clip.name}"
        fake = clip.label == FAKE
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=METHOD if fake else "real",
            name=name,
            label=clip.label,
            split=split,
            scene_group=f"{self.name}/{name}",
            path=path,
            base_media_id=f"{self.name}/all/real/{name}" if fake else None,
            mask_path=mask if fake else None,
        )


def _masks(tree: Path) -> dict[tuple[Split, str], str]:
    """Return (split, name) -> path of the mask of a fake."""
    out: dict[tuple[Split, str], str] = {}
    for where, files in walk(tree):
        folders = where.split("/")
        if MASKS not in map(str.casefold, folders):
            continue
        for entry in files:
            # Masks are named as the fakes.
            path = join("/".join(FAKES if f.casefold() == MASKS else f for f in folders), entry.name)
            clip = parse_path(path) if may_be_media(entry.name) else None
            if clip is not None and clip.split is not None:
                out.setdefault((clip.split, clip.name), join(where, entry.name))
    return out


def _compare(findings: Findings) -> None:
    reals = {m.name for m in findings.media.values() if m.label == REAL}
    lone = sorted(m.path for m in findings.media.values() if m.label == FAKE and m.name not in reals)
    if lone:
        findings.warn(f"{len(lone)} fakes have no real clip of the same name: {some(lone)}")


def _is_tree(folder: Path) -> bool:
    names = {name.casefold() for name in subfolders(folder)}
    if names >= set(_LABELS):
        return True
    # train/source and val/target, as in some copies
    inner = [{n.casefold() for n in subfolders(folder / name)} for name in subfolders(folder) if split_of(name)]
    return any(found >= set(_LABELS) for found in inner)


FFIW = Ffiw(
    name="ffiw",
    title="FFIW-10K",
    licence="terms of the owners (research, no redistribution); the crops fall under the same terms",
    access="see https://github.com/tfzhou/FFIW",
    citation="Zhou et al., Face Forensics in the Wild, CVPR 2021",
    layout=(
        "the layout is source/train/*.mp4 and target/train/*.mp4 (real and fake; train, val, test; videos/ below), "
        "or source/train_00000000.mp4 and target/train_00000000.mp4"
    ),
    manipulations=(METHOD,),
    evidence="verified: source, target, target_mask with train and val; quoted: numbers, test part, flat copies",
)
