"""The output files of ``score``: their paths are determined and checked before any file is scored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfbench.errors import UsageError
from dfbench.io import check_output_file, check_output_folder
from dfbench.progress import progress
from dfbench.scoring.inputs import is_image_file
from dfbench.scoring.results import ScoringResult
from dfbench.scoring.tables import marks, write_csv, write_json

CLIP, IMAGE = ".mp4", ".png"


@dataclass(frozen=True)
class OutputFiles:
    """The files to write.

    Attributes:
        csv: table of all frames and faces.
        json: everything.
        timelines: clip -> plot of its scores over time.
        overlays: clip or image -> the same with boxes and scores.
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
) -> OutputFiles:
    """Determine the path of every output, and check that it can be written.

    Args:
        files: the inputs.
        csv: file for the table.
        json: file for everything.
        timeline: folder for timelines of clips.
        overlay: ``*.mp4`` for a single clip, ``*.png`` for a single image, else a folder.

    Raises:
        UsageError: an output would replace an input or another output, is a folder instead of a file or vice versa, or
            a single overlay file is given for several inputs or another type of file.
        SetupError: a location cannot be written to.
    """
    clips = [path for path in files if not is_image_file(path)]
    outputs = OutputFiles(
        None if csv is None else Path(csv),
        None if json is None else Path(json),
        {} if timeline is None else _in_folder(Path(timeline), dict.fromkeys(clips, IMAGE), "--timeline"),
        {} if overlay is None else _overlays(Path(overlay), files, set(clips)),
    )
    _check_clashes(outputs, files)
    return outputs


def write_outputs(
    result: ScoringResult, files: Sequence[Path], outputs: OutputFiles, decoder: str = "pyav", quiet: bool = False
) -> tuple[Path, ...]:
    """Write the outputs, each atomically; files without a score have no timeline and no overlay.

    Args:
        result: the scores.
        files: the paths of the scored files, in the same order.
        outputs: what to write.
        decoder: name of the video decoder.
        quiet: no progress bar.

    Returns:
        The paths of the files written.

    Raises:
        DataError: a clip can no longer be decoded.
        SetupError: a file cannot be written.
    """
    written: list[Path] = []
    if outputs.csv is not None:
        write_csv(result, outputs.csv)
        written.append(outputs.csv)
    if outputs.json is not None:
        write_json(result, outputs.json)
        written.append(outputs.json)
    if outputs.timelines or outputs.overlays:
        written += _draw(result, files, outputs, decoder, quiet)
    return tuple(written)


def _draw(
    result: ScoringResult, files: Sequence[Path], outputs: OutputFiles, decoder: str, quiet: bool
) -> Iterator[Path]:
    # Imported here, since matplotlib and the encoder are needed for drawing only.
    from dfbench.scoring.overlay import write_overlay
    from dfbench.scoring.timeline import write_timeline

    notes = marks(result)
    scored = [(path, file) for path, file in zip(files, result.files, strict=True) if file.status == "ok"]
    total = sum(file.frame_count or 1 for path, file in scored if path in outputs.overlays)
    with progress("draw", total, "frames", quiet=quiet) as advance:
        for path, file in scored:
            timeline, overlay = outputs.timelines.get(path), outputs.overlays.get(path)
            if timeline is not None:
                write_timeline(file, timeline, result.settings["model"], notes, result.threshold)
                yield timeline
            if overlay is not None:
                write_overlay(path, file, overlay, notes, decoder, advance)
                yield overlay


def _overlays(out: Path, files: Sequence[Path], clips: set[Path]) -> dict[Path, Path]:
    suffixes = {path: CLIP if path in clips else IMAGE for path in files}
    if out.suffix.lower() not in (CLIP, IMAGE):
        return _in_folder(out, suffixes, "--overlay")
    if len(files) > 1:
        raise UsageError(f"--overlay {out} is one file for {len(files)} inputs", "give a folder: --overlay DIR")
    (path,) = files
    if out.suffix.lower() != suffixes[path]:
        raise UsageError(
            f"the overlay of {path} is a {suffixes[path]} file, not {out.suffix}", f"name it *{suffixes[path]}"
        )
    return {path: out}


def _in_folder(folder: Path, suffixes: Mapping[Path, str], option: str) -> dict[Path, Path]:
    """Return input -> output in a folder; outputs of inputs with the same name are numbered."""
    check_output_folder(folder, f"{option} DIR")
    found: dict[Path, Path] = {}
    used: set[str] = set()
    for path, suffix in suffixes.items():
        name, number = path.stem, 2
        while f"{name}{suffix}".casefold() in used:
            name, number = f"{path.stem}-{number}", number + 1
        used.add(f"{name}{suffix}".casefold())
        found[path] = folder / f"{name}{suffix}"
    return found


def _check_clashes(outputs: OutputFiles, files: Sequence[Path]) -> None:
    single = [(path, option) for path, option in ((outputs.csv, "--csv"), (outputs.json, "--json")) if path is not None]
    drawn = [(path, "--timeline") for path in outputs.timelines.values()]
    drawn += [(path, "--overlay") for path in outputs.overlays.values()]
    inputs = {os.path.realpath(path) for path in files}
    used: set[str] = set()
    for path, option in [*single, *drawn]:
        real = os.path.realpath(path)
        if real in inputs:
            raise UsageError(f"the output {path} would replace an input", "write to another folder")
        if real in used:
            raise UsageError(f"two outputs would be written to {path}", "choose another file or folder")
        used.add(real)
        check_output_file(path, option)
