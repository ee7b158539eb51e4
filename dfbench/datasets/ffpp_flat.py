"""FaceForensics++ at c23 as it is mostly redistributed: one folder a method, no official tree.

``original/NNN.mp4``, ``Deepfakes/AAA_BBB.mp4`` and so on; or frames taken from them, one folder a clip
(``original/000/0000.png``). ``csv/`` has labels but no split; it is compared, never needed. The folder
``DeepFakeDetection`` belongs to another data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import some
from dfbench.datasets.ffpp_names import Found, parse_name
from dfbench.datasets.label_lists import csv_rows, posix, read_label
from dfbench.datasets.layout import clips_first, extension, find_tree, stem, with_videos
from dfbench.datasets.tree import child, entries, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, Kind

SUBSET = "c23"
ORIGINAL = "original"
OTHER_SET = "DeepFakeDetection"
NOT_A_CLIP = "a name that is not a clip's"
LeaveOut = Callable[[str, str], None]


@dataclass(frozen=True)
class FlatClip:
    """One clip, or one folder of frames."""

    manipulation: str
    path: str
    found: Found
    kind: Kind


def find_flat(root: Path, methods: Sequence[str], title: str) -> Path | None:
    """The folder of the flat copy, at most two levels below ``root``; None if there is none.

    Raises:
        DataError: several folders qualify.
    """
    return find_tree(root, lambda folder: _is_flat(folder, methods), title)


def flat_clips(tree: Path, methods: Sequence[str], leave_out: LeaveOut) -> Iterator[FlatClip]:
    """All clips of the reals and of ``methods``; what is no clip goes to ``leave_out`` with a reason."""
    for manipulation, name in (("real", ORIGINAL), *((m, m) for m in methods)):
        folder = child(tree, name)
        if folder is None:
            continue
        place = with_videos(folder)
        where = place.relative_to(tree).as_posix()
        for entry in clips_first(entries(place)):
            path = f"{where}/{entry.name}"
            sequence = entry.is_dir()
            found = parse_name(f"{entry.name}.png" if sequence else entry.name, manipulation == "real")
            if found is None:
                leave_out(NOT_A_CLIP, path)
            else:
                yield FlatClip(manipulation, path, found, "sequence" if sequence else "clip")


def other_folders(tree: Path, methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """Folders of another data set, and folders that mean nothing."""
    known = {name.casefold() for name in (ORIGINAL, "csv", *methods)}
    names = [name for name in subfolders(tree) if name.casefold() not in known and not name.startswith(".")]
    other = [name for name in names if name.casefold() == OTHER_SET.casefold()]
    return other, [name for name in names if name not in other]


def compare_csv(tree: Path, clips: frozenset[str]) -> list[str]:
    """Compare the files in ``csv/`` with the folders; sentences on what they name and the folders lack.

    Args:
        tree: the flat copy.
        clips: ``folder/name`` of all clips that are there, in lower case, without extension.

    Raises:
        DataError: a label contradicts the folder of its clip.
    """
    folder = child(tree, "csv")
    out = []
    for entry in entries(folder) if folder is not None else []:
        if not entry.is_file() or extension(entry.name) != "csv":
            continue
        absent, file = [], Path(entry.path)
        try:
            rows = list(csv_rows(file, ("file path", "label")))
        except DataError as error:
            out.append(f"csv/{entry.name} was not compared: {error.message.removeprefix(str(file)).lstrip(', :')}")
            continue
        for line, row in rows:
            path = "/".join(posix(row["file path"]).split("/")[-2:])
            name = path.split("/")[0].casefold()
            label = read_label(row["label"], f"{file}, line {line}")
            if (label == FAKE) == (name == ORIGINAL):
                raise DataError(
                    f"{file}, line {line}: {path} is called {row['label']}, but its folder says the other",
                    "take the file that came with the clips, or remove it: it is not needed",
                )
            if name != OTHER_SET.casefold() and stem(path).casefold() not in clips:
                absent.append(path)
        if absent:
            out.append(f"csv/{entry.name} names {len(absent)} clips that are not there: {some(absent)}")
    return out


def _is_flat(folder: Path, methods: Sequence[str]) -> bool:
    names = [child(folder, name) for name in (ORIGINAL, *methods)]
    return any(place is not None and _has_clips(with_videos(place), n == 0) for n, place in enumerate(names))


def _has_clips(folder: Path, real: bool) -> bool:
    return any(
        parse_name(f"{entry.name}.png" if entry.is_dir() else entry.name, real) is not None for entry in entries(folder)
    )
