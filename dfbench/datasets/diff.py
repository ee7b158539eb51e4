"""DiFF (Diffusion Facial Forgery): still images of thirteen methods under four conditions.

The layout is quoted from another project: ``DiFF_real/SPLIT/...`` and ``SPLIT/CONDITION/METHOD/...``, conditions:
FE (face editing), FS (face swapping), I2I and T2I (synthesis from images or text). Labels follow from the words of the
folders: loaders that number folders alphabetically take ``DiFF_real`` for the first class.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from dfbench.datasets.base import DataSetAdapter, Findings
from dfbench.datasets.layout import find_tree, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import child, subfolders
from dfbench.schema.media import FAKE, REAL, Media, Split

REALS = "DiFF_real"
CONDITIONS = ("FE", "FS", "I2I", "T2I")
NO_IMAGE = "not the name of an image"
NO_PLACE = "neither in a split of DiFF_real nor in a condition of a split"


class DiFF(DataSetAdapter):
    """Adapter for DiFF; every image is its own scene group, because sources are not named."""

    def read(self, root: Path) -> Findings:
        """Read the reals and the conditions of all splits."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        for where, files in walk(tree):
            place = _place(where.split("/") if where else [])
            for entry in files:
                path = join(where, entry.name)
                if not may_be_media(entry.name):
                    findings.exclude(NO_IMAGE, path)
                elif place is None:
                    findings.exclude(NO_PLACE, path)
                else:
                    findings.add(self._media(path, *place))
        for split in sorted({m.split for m in findings.media.values()}):
            labels = {m.label for m in findings.media.values() if m.split == split}
            if len(labels) == 1 and split != "train":
                findings.warn(f"split {split} contains only {'fakes' if FAKE in labels else 'reals'}")
        return findings

    def _media(self, path: str, split: Split, manipulation: str) -> Media:
        fake = manipulation != "real"
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=manipulation,
            name=stem(path),
            label=FAKE if fake else REAL,
            split=split,
            scene_group=f"{self.name}/{stem(path)}",
            path=path,
            kind="image",
        )


def _place(folders: list[str]) -> tuple[Split, str] | None:
    """Return split and manipulation of the images in a folder; None outside of the layout."""
    if len(folders) > 1 and folders[0].casefold() == REALS.casefold() and split_of(folders[1]):
        return cast(Split, split_of(folders[1])), "real"
    split = split_of(folders[0]) if folders else None
    condition = next((c for c in CONDITIONS if len(folders) > 1 and folders[1].casefold() == c.casefold()), None)
    if split is None or condition is None:
        return None
    return cast(Split, split), f"{condition}-{folders[2]}" if len(folders) > 2 else condition


def _is_tree(folder: Path) -> bool:
    if child(folder, REALS) is not None:
        return True
    splits = [folder / name for name in subfolders(folder) if split_of(name)]
    return any(child(split, condition) is not None for split in splits for condition in CONDITIONS)


DIFF = DiFF(
    name="diff",
    title="DiFF",
    licence="terms of the owners (research, no redistribution); the crops fall under the same terms",
    access="https://github.com/iLearn-Lab/MM24-DiFF (fakes), reals on request",
    citation="Cheng et al., Diffusion Facial Forgery Detection, ACM MM 2024 (arXiv 2401.15859)",
    layout=f"the layout is {REALS}/test/*.png and test/FE|FS|I2I|T2I/METHOD/*.png (train, val, test)",
    evidence="quoted: tree, conditions, number of methods; open: names of the methods, numbers",
)
