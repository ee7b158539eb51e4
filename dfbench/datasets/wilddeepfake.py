"""WildDeepfake: sequences of ready-made face crops, in archives or extracted.

Source: the repository OpenTAI/wild-deepfake: four folders ``real train``, ``real test``, ``fake train``, ``fake
test`` (copies write an underscore or a hyphen), each with archives ``N.tar.gz``; every folder inside that holds
images is one face sequence, and the name of an image is its frame number in the source video. Which sequences come
from one video is not told; an archive is the smallest unit that keeps them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.archives import archive_stem, list_archive
from dfbench.datasets.base import DataSet, Finds
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
class Part:
    """One of the four folders."""

    label: int
    split: Split
    folder: Path

    @property
    def word(self) -> str:
        """``real`` or ``fake``."""
        return "fake" if self.label == FAKE else "real"


class WildDeepfake(DataSet):
    """Adapter for WildDeepfake; a scene group is an archive, or the folder that one was extracted to."""

    def read(self, root: Path) -> Finds:
        """Read the four folders. Archives must be read to their end to be listed, which takes its time."""
        tree = find_tree(root, lambda folder: bool(_parts(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        ungrouped = 0
        for part in _parts(tree):
            ungrouped += self._part(finds, part)
        if ungrouped:
            finds.warn(
                f"{ungrouped} sequences lie in no archive and in no archive's folder: each is a scene group of its "
                "own, although several may come from one video"
            )
        if len(finds.media) != PUBLISHED_SEQUENCES:
            finds.warn(f"{len(finds.media)} sequences found, published: {PUBLISHED_SEQUENCES}")
        return finds

    def _part(self, finds: Finds, part: Part) -> int:
        where = part.folder.relative_to(finds.tree).as_posix()
        archives: list[tuple[str, str, Path]] = []
        ungrouped = 0
        for place, files in walk(part.folder):
            images = False
            for entry in files:
                name = archive_stem(entry.name)
                if is_image(entry.name):
                    images = True
                    if not place:
                        finds.leave_out(LOOSE_IMAGE, f"{where}/{entry.name}")
                elif name is not None:
                    archives.append((join(place, name), join(place, entry.name), Path(entry.path)))
                else:
                    finds.leave_out(NO_IMAGE, join(join(where, place), entry.name))
            if images and place:
                group = place.split("/")[0] if "/" in place else ""
                ungrouped += finds.add(self._media(part, place, group, f"{where}/{place}")) and not group
        for name, path, file in archives:
            self._archive(finds, part, name, f"{where}/{path}", file)
        return ungrouped

    def _archive(self, finds: Finds, part: Part, name: str, path: str, file: Path) -> None:
        listing = list_archive(file)
        for member in listing.unsafe:
            finds.leave_out(UNSAFE, f"{path}: {member}")
        for member in listing.others:
            finds.leave_out(NO_IMAGE, archive_path(path, member))
        if listing.damage:
            finds.warn(f"{path} can not be read to its end: {listing.damage}; the last of its sequences may be short")
        top = name.rpartition("/")[2]
        for folder in sorted(listing.sequences):
            inner = folder.removeprefix(top).lstrip("/") if folder == top or folder.startswith(f"{top}/") else folder
            finds.add(self._media(part, join(name, inner) if inner else name, name, archive_path(path, folder)))

    def _media(self, part: Part, name: str, group: str, path: str) -> Media:
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


def _parts(tree: Path) -> list[Part]:
    """The folders of label and split: ``real train``, ``train/real`` or ``real/train``."""
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


def _part(label: str, split: str, folder: Path) -> Part:
    return Part(_LABELS[label.casefold()], "train" if split_of(split) == "train" else "test", folder)


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
)
