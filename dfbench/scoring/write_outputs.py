"""Write everything that was asked for, the quick outputs first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dfbench.progress import progress
from dfbench.scoring.outputs import Outputs
from dfbench.scoring.results import Scores
from dfbench.scoring.tables import marks, write_csv, write_json


def write_outputs(
    scores: Scores, files: Sequence[Path], outputs: Outputs, decoder: str = "pyav", quiet: bool = False
) -> tuple[Path, ...]:
    """Write the outputs, each whole or not at all; files without a score have no timeline and no overlay.

    Args:
        scores: of the files.
        files: where they lie, in the same order.
        outputs: what to write and where.
        decoder: name of the video reader.
        quiet: no progress bar.

    Returns:
        What was written.

    Raises:
        DataError: a clip does not decode any more.
        SetupError: something can not be written.
    """
    written: list[Path] = []
    if outputs.csv is not None:
        write_csv(scores, outputs.csv)
        written.append(outputs.csv)
    if outputs.json is not None:
        write_json(scores, outputs.json)
        written.append(outputs.json)
    if outputs.timelines or outputs.overlays:
        written += _draw(scores, files, outputs, decoder, quiet)
    return tuple(written)


def _draw(scores: Scores, files: Sequence[Path], outputs: Outputs, decoder: str, quiet: bool) -> Iterator[Path]:
    # Imported here: most do without pictures.
    from dfbench.scoring.overlay import write_overlay
    from dfbench.scoring.timeline import write_timeline

    beside = marks(scores)
    scored = [(path, file) for path, file in zip(files, scores.files, strict=True) if file.status == "ok"]
    total = sum(file.frame_count or 1 for path, file in scored if path in outputs.overlays)
    with progress("draw", total, "frames", quiet=quiet) as advance:
        for path, file in scored:
            timeline, overlay = outputs.timelines.get(path), outputs.overlays.get(path)
            if timeline is not None:
                write_timeline(file, timeline, scores.how["model"], beside)
                yield timeline
            if overlay is not None:
                write_overlay(path, file, overlay, beside, decoder, advance)
                yield overlay
