"""Where each output goes, settled before anything is scored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfbench.errors import UsageError
from dfbench.io import check_output_file, check_output_folder
from dfbench.scoring.inputs import is_picture

CLIP, PICTURE = ".mp4", ".png"


@dataclass(frozen=True)
class Outputs:
    """The files to write.

    Attributes:
        csv: table of all frames and faces.
        json: everything.
        timelines: clip -> picture of its scores over time.
        overlays: clip or picture -> the same with boxes and scores.
    """

    csv: Path | None = None
    json: Path | None = None
    timelines: Mapping[Path, Path] = field(default_factory=dict)
    overlays: Mapping[Path, Path] = field(default_factory=dict)


def plan_outputs(
    files: Sequence[Path],
    csv: str | Path | None = None,
    json: str | Path | None = None,
    timeline: str | Path | None = None,
    overlay: str | Path | None = None,
) -> Outputs:
    """Give every output its name.

    Args:
        files: the inputs.
        csv: file for the table.
        json: file for everything.
        timeline: folder for timelines; stills have none.
        overlay: ``*.mp4`` for the only clip, ``*.png`` for the only picture, else a folder.

    Raises:
        UsageError: an output would replace an input or another output, is a folder where a file should be or the other
            way round, or one overlay file is given for several files or another kind of file.
        SetupError: an output cannot be written there.
    """
    clips = [path for path in files if not is_picture(path)]
    pictures = dict.fromkeys(clips, PICTURE)
    outputs = Outputs(
        None if csv is None else Path(csv),
        None if json is None else Path(json),
        {} if timeline is None else _in_folder(Path(timeline), clips, pictures, "--timeline"),
        {} if overlay is None else _overlays(Path(overlay), files, set(clips)),
    )
    _no_clash(outputs, files)
    return outputs


def _overlays(out: Path, files: Sequence[Path], clips: set[Path]) -> dict[Path, Path]:
    kinds = {path: CLIP if path in clips else PICTURE for path in files}
    if out.suffix.lower() not in (CLIP, PICTURE):
        return _in_folder(out, files, kinds, "--overlay")
    if len(files) > 1:
        raise UsageError(f"--overlay {out} is one file for {len(files)} inputs", "name a folder: --overlay DIR")
    (path,) = files
    if out.suffix.lower() != kinds[path]:
        raise UsageError(f"the overlay of {path} is a {kinds[path]} file, not {out.suffix}", f"name it *{kinds[path]}")
    return {path: out}


def _in_folder(folder: Path, files: Sequence[Path], suffixes: Mapping[Path, str], option: str) -> dict[Path, Path]:
    check_output_folder(folder, f"{option} DIR")
    found: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in files:
        name, number = path.stem, 2
        while f"{name}{suffixes[path]}".casefold() in taken:
            name, number = f"{path.stem}-{number}", number + 1
        taken.add(f"{name}{suffixes[path]}".casefold())
        found[path] = folder / f"{name}{suffixes[path]}"
    return found


def _no_clash(outputs: Outputs, files: Sequence[Path]) -> None:
    single = [path for path in (outputs.csv, outputs.json) if path is not None]
    inputs = {os.path.realpath(path) for path in files}
    taken: set[str] = set()
    for path in [*single, *outputs.timelines.values(), *outputs.overlays.values()]:
        real = os.path.realpath(path)
        if real in inputs:
            raise UsageError(f"the output {path} would replace an input", "write to another folder")
        if real in taken:
            raise UsageError(f"two outputs would be written to {path}", "name another file or folder")
        taken.add(real)
        check_output_file(path)
