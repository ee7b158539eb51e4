"""WildDeepfake: sequences of ready-made face crops, in archives or extracted.

Source: the repository OpenTAI/wild-deepfake: four folders ``real train``, ``real test``, ``fake train``, ``fake
test`` (with an underscore or a hyphen in some copies), each with archives ``N.tar.gz``; every folder of images inside
is one face sequence, and the name of an image is its frame number in the source video. It is not documented which
sequences come from one video; an archive is the smallest unit that keeps them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.archive_cache import list_archive_once
from dfbench.datasets.archives import archive_stem
from dfbench.datasets.base import DataSetAdapter, Findings
from dfbench.datasets.layout import find_tree, is_image, join, split_of, walk
from dfbench.datasets.tree import subfolders
from dfbench.schema.media import FAKE, REAL, Media, Split, archive_path

METHOD = "fake"
PUBLISHED_SEQUENCES = 7_314
NO_IMAGE = "neither an image nor an archive"
LOOSE_IMAGE = "an image outside of a sequence's folder"
UNSAFE = "an unsafe member of an archive"
_FLAT = re.compile(r"^(real|fake)[ _-]+(train|test)$", re.IGNORECASE)
_LABELS = {"real": REAL, "fake": FAKE}


@dataclass(frozen=True)
class LabelFolder:
    """One of the four folders, with its label and split."""

    label: int
    split: Split
    folder: Path

    @property
    def word(self) -> str:
        """``real`` or ``fake``."""
        return "fake" if self.label == FAKE else "real"


class WildDeepfake(DataSetAdapter):
    """Adapter for WildDeepfake; a scene group is an archive, or the folder that it was extracted to."""

    def read(self, root: Path) -> Findings:
        """Read the four folders. Archives are inflated to be listed once; see :mod:`dfbench.datasets.archive_cache`."""
        tree = find_tree(root, lambda folder: bool(_parts(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        ungrouped = 0
        for part in _parts(tree):
            ungrouped += self._part(findings, part)
        if ungrouped:
            findings.warn(
                f"{ungrouped} sequences are outside of archives and of folders of archives: each is its own scene "
                "group, although several may come from one video"
            )
        if len(findings.media) != PUBLISHED_SEQUENCES:
            findings.warn(f"{len(findings.media)} sequences found; published are {PUBLISHED_SEQUENCES}")
        return findings

    def _part(self, findings: Findings, part: LabelFolder) -> int:
        where = part.folder.relative_to(findings.tree).as_posix()
        archives: list[tuple[str, str, Path]] = []
        ungrouped = 0
        for inside, files in walk(part.folder):
            images = False
            for entry in files:
                name = archive_stem(entry.name)
                if is_image(entry.name):
                    images = True
                    if not inside:
                        findings.exclude(LOOSE_IMAGE, f"{where}/{entry.name}")
                elif name is not None:
                    archives.append((join(inside, name), join(inside, entry.name), Path(entry.path)))
                else:
                    findings.exclude(NO_IMAGE, join(join(where, inside), entry.name))
            if images and inside:
                group = inside.split("/")[0] if "/" in inside else ""
                ungrouped += findings.add(self._media(part, inside, group, f"{where}/{inside}")) and not group
        for name, path, file in archives:
            self._archive(findings, part, name, f"{where}/{path}", file)
        return ungrouped

    def _archive(self, findings: Findings, part: LabelFolder, name: str, path: str, file: Path) -> None:
        listing = list_archive_once(file)
        for member in listing.unsafe:
            findings.exclude(UNSAFE, f"{path}: {member}")
        for member in listing.others:
            findings.exclude(NO_IMAGE, archive_path(path, member))
        if listing.damage:
            findings.warn(f"{path} cannot be read completely: {listing.damage}; its last sequence may be incomplete")
        top = name.rpartition("/")[2]
        for folder in sorted(listing.sequences):
            inner = folder.removeprefix(top).lstrip("/") if folder == top or folder.startswith(f"{top}/") else folder
            findings.add(self._media(part, join(name, inner) if inner else name, name, archive_path(path, folder)))

    def _media(self, part: LabelFolder, name: str, group: str, path: str) -> Media:
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=METHOD if part.label == FAKE else "real",
            name=f"{part.split}/{name}",
            label=part.label,
            split=part.split,
            scene_group=f"{self.name}/{part.word}/{part.split}/{group or name}",
            path=path,
            kind="sequence",
            cropped=True,
        )


def _parts(tree: Path) -> list[LabelFolder]:
    """Return the folders of label and split: ``real train``, ``train/real`` or ``real/train``."""
    out = []
    for name in subfolders(tree):
        flat = _FLAT.match(name)
        if flat:
            out.append(_part(flat[1], flat[2], tree / name))
            continue
        for inner in subfolders(tree / name) if split_of(name) or name.casefold() in _LABELS else ():
            pair = (name, inner) if name.casefold() in _LABELS else (inner, name)
            if pair[0].casefold() in _LABELS and split_of(pair[1]) in ("train", "test"):
                out.append(_part(*pair, tree / name / inner))
    return out


def _part(label: str, split: str, folder: Path) -> LabelFolder:
    return LabelFolder(_LABELS[label.casefold()], "train" if split_of(split) == "train" else "test", folder)


WILDDEEPFAKE = WildDeepfake(
    name="wilddeepfake",
    title="WildDeepfake",
    licence="agreement with the authors (research, no redistribution); the crops fall under the same terms",
    access="form and signed agreement at https://github.com/OpenTAI/wild-deepfake",
    citation="Zi et al., WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection, ACM MM 2020",
    layout=(
        "the layout is deepfake_in_the_wild/ with 'real train', 'real test', 'fake train' and 'fake test' "
        "(blank, underscore or hyphen; or train/real ...), in each N.tar.gz or folders of images"
    ),
    manipulations=(METHOD,),
    evidence="verified: folders, archives, number of sequences; quoted: spelling of the folders; open: source videos",
)
