"""The output files of ``score``: their paths are determined and checked before any file is scored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dfbench.errors import DataError, DfbenchError, SetupError, UsageError
from dfbench.io import check_output_file, check_output_folder
from dfbench.preparation.execution.decoder_messages import naming_messages
from dfbench.progress import progress
from dfbench.scoring.clip_workers import UNFINISHED
from dfbench.scoring.inputs import is_image_file
from dfbench.scoring.results import ScoringResult
from dfbench.scoring.tables import marks, write_csv, write_json
from dfbench.text import path_text

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


class ScoringError(DfbenchError):
    """Raised after the work if a part of it could not be done, so that the scores are not lost.

    Args:
        result: the scores.
        errors: what could not be done.

    Attributes:
        result: the scores; its ``written`` are the outputs that exist.
    """

    def __init__(self, result: ScoringResult, errors: Sequence[DfbenchError]) -> None:
        first, more = errors[0], f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        super().__init__(first.message + more, first.hint)
        self.exit_code = first.exit_code
        self.result = result


def write_outputs(
    result: ScoringResult, files: Sequence[Path], outputs: OutputFiles, decoder: str = "pyav", quiet: bool = False
) -> ScoringResult:
    """Write the outputs, each atomically; files without a score have no timeline and no overlay.

    Args:
        result: the scores.
        files: the paths of the scored files, in the same order.
        outputs: what to write.
        decoder: name of the video decoder.
        quiet: no progress bar.

    Returns:
        The scores with the paths of the files written.

    Raises:
        ScoringError: a file cannot be written, a clip can no longer be decoded, or files are unfinished; everything
            else has been written.
    """
    written: list[Path] = []
    errors: list[DfbenchError] = _unfinished(result)
    for path, write in _writers(result, files, outputs, decoder, quiet):
        try:
            write()
        except DfbenchError as error:
            errors.append(error)
        except Exception as error:  # noqa: BLE001 - whatever a library raises for one drawing, the rest is written
            errors.append(DataError(f"{path} could not be written: {type(error).__name__}: {error}"))
        else:
            written.append(path)
    complete = replace(result, written=tuple(written))
    if errors:
        raise ScoringError(complete, errors)
    return complete


def _unfinished(result: ScoringResult) -> list[DfbenchError]:
    files = [file for file in result.files if file.status == UNFINISHED]
    if not files:
        return []
    return [
        SetupError(
            f"{len(files)} of {len(result.files)} files have no score because their worker processes were killed from "
            f"outside or ran out of memory, the last time with no other at work: {files[0].file} ({files[0].reason})",
            "free memory or raise its limit, then score these files again",
        )
    ]


_Writer = tuple[Path, Callable[[], None]]


def _writers(
    result: ScoringResult, files: Sequence[Path], outputs: OutputFiles, decoder: str, quiet: bool
) -> Iterator[_Writer]:
    if outputs.csv is not None:
        yield outputs.csv, partial(write_csv, result, outputs.csv)
    if outputs.json is not None:
        yield outputs.json, partial(write_json, result, outputs.json)
    if outputs.timelines or outputs.overlays:
        yield from _drawings(result, files, outputs, decoder, quiet)


def _drawings(
    result: ScoringResult, files: Sequence[Path], outputs: OutputFiles, decoder: str, quiet: bool
) -> Iterator[_Writer]:
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
                model = result.settings["model"]
                yield timeline, partial(write_timeline, file, timeline, model, notes, result.threshold)
            if overlay is not None:
                draw = partial(write_overlay, path, file, overlay, notes, decoder, advance)
                yield overlay, partial(_naming, path, draw)


def _naming(path: Path, draw: Callable[[], None]) -> None:
    with naming_messages(path_text(path)):
        draw()


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
