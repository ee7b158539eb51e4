"""FaceForensics++ at c23 as it is mostly redistributed: one folder per method instead of the official tree.

``original/NNN.mp4``, ``Deepfakes/AAA_BBB.mp4`` and so on; or frames of the clips, one folder per clip
(``original/000/0000.png``). ``csv/`` has labels but no split; it is only compared with the folders. The folder
``DeepFakeDetection`` belongs to another data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, some
from dfbench.datasets.ffpp_pairs import ClipName, parse_name
from dfbench.datasets.label_lists import posix, read_label
from dfbench.datasets.layout import clips_first, extension, find_tree, stem, with_videos
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import child, entries, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, Kind

SUBSET = "c23"
ORIGINAL = "original"
OTHER_SET = "DeepFakeDetection"
Exclude = Callable[[str, str], None]


@dataclass(frozen=True)
class FlatClip:
    """One clip, or one folder of frames."""

    manipulation: str
    path: str
    name: ClipName
    kind: Kind


def find_flat(root: Path, methods: Sequence[str], title: str) -> Path | None:
    """Return the folder of the flat copy, at most two levels below ``root``; None if there is none.

    Raises:
        DataError: several folders qualify.
    """
    return find_tree(root, lambda folder: _is_flat(folder, methods), title)


def flat_clips(tree: Path, methods: Sequence[str], exclude: Exclude) -> Iterator[FlatClip]:
    """Yield all clips of the reals and of ``methods``; other files are passed to ``exclude`` with a reason."""
    for manipulation, name in (("real", ORIGINAL), *((m, m) for m in methods)):
        folder = child(tree, name)
        if folder is None:
            continue
        location = with_videos(folder)
        where = location.relative_to(tree).as_posix()
        for entry in clips_first(entries(location)):
            path = f"{where}/{entry.name}"
            sequence = entry.is_dir()
            found = parse_name(f"{entry.name}.png" if sequence else entry.name, manipulation == "real")
            if found is None:
                exclude(NOT_A_CLIP, path)
            else:
                yield FlatClip(manipulation, path, found, "sequence" if sequence else "clip")


def other_folders(tree: Path, methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the folders of another data set, and unknown folders."""
    known = {name.casefold() for name in (ORIGINAL, "csv", *methods)}
    names = [name for name in subfolders(tree) if name.casefold() not in known and not name.startswith(".")]
    other = [name for name in names if name.casefold() == OTHER_SET.casefold()]
    return other, [name for name in names if name not in other]


def compare_csv(tree: Path, clips: frozenset[str]) -> list[str]:
    """Compare the files in ``csv/`` with the folders and return sentences about clips that were not found.

    Args:
        tree: the flat copy.
        clips: ``folder/name`` of all clips found, in lower case, without extension.

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
                    f"{file}, line {line}: {path} is labelled {row['label']}, which contradicts its folder",
                    "use the file that came with the clips, or remove it: it is not required",
                )
            if name != OTHER_SET.casefold() and stem(path).casefold() not in clips:
                absent.append(path)
        if absent:
            out.append(f"csv/{entry.name} names {len(absent)} clips that were not found: {some(absent)}")
    return out


def _is_flat(folder: Path, methods: Sequence[str]) -> bool:
    folders = [child(folder, name) for name in (ORIGINAL, *methods)]
    return any(inner is not None and _has_clips(with_videos(inner), n == 0) for n, inner in enumerate(folders))


def _has_clips(folder: Path, real: bool) -> bool:
    return any(
        parse_name(f"{entry.name}.png" if entry.is_dir() else entry.name, real) is not None for entry in entries(folder)
    )
