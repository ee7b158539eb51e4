"""Plot P(fake) over the time of a clip, one line per tracked face."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dfbench.io import atomic_path
from dfbench.report.figures.svg import style
from dfbench.report.table_notes import MINI_NOTE
from dfbench.scoring.labels import UNCALIBRATED, ScoreThreshold
from dfbench.scoring.results import CAUTION_SHORT, FileScore

_DOTS_PER_INCH = 110
_INK = "#333333"
_WATERMARK: dict[str, Any] = {"fontsize": 26, "color": "#bb2222", "alpha": 0.3, "rotation": 12}


def write_timeline(
    file: FileScore, path: Path, model: str, marks: list[str], threshold: ScoreThreshold = UNCALIBRATED
) -> None:
    """Write the timeline of a clip as a PNG, atomically.

    Args:
        file: scores of the clip.
        path: the PNG file.
        model: name of the detector.
        marks: notes that must accompany the scores.
        threshold: of the scores of frames.

    Raises:
        SetupError: the file cannot be written.
    """
    figure = draw_timeline(file, model, marks, threshold)
    FigureCanvasAgg(figure)
    with atomic_path(path, sync=False) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # file names can be in any script
        figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_timeline(file: FileScore, model: str, marks: list[str], threshold: ScoreThreshold = UNCALIBRATED) -> Figure:
    """Draw the figure of :func:`write_timeline`.

    It has a line per track, a dotted line for the score of the file, a dashed line for the threshold, crosses for
    frames without a score, and a watermark if the detector was trained on mini.
    """
    figure = Figure(figsize=(9, 3.4), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    timed = all(frame.time_s is not None for frame in file.frames)

    def at(number: int) -> float:
        frame = file.frames[number]
        return float(frame.time_s) if timed and frame.time_s is not None else float(frame.frame)

    for index, track in enumerate(file.tracks):
        points = [
            (at(number), face.p_fake)
            for number, frame in enumerate(file.frames)
            for face in frame.faces
            if face.track == track.track and face.p_fake is not None
        ]
        colour, dash = style(index)
        values = f"{track.summary.p_fake:.3f}" if track.summary.p_fake is not None else "-"
        x, y = zip(*points, strict=True)
        axes.plot(x, y, dash, marker="o", ms=3.5, lw=1.6, color=colour, label=f"face {track.track}: {values}")
    lost = [at(number) for number, frame in enumerate(file.frames) if frame.p_fake is None]
    if lost:
        axes.plot(lost, [0.0] * len(lost), "x", color=_INK, ms=6, clip_on=False, label=f"no score: {len(lost)}")
    if file.summary.p_fake is not None:
        axes.axhline(file.summary.p_fake, color=_INK, lw=1, ls=":", label=f"file: {file.summary.p_fake:.3f}")
    origin = "of the weights" if threshold.chosen else "not calibrated"
    label = f"threshold {threshold.value:g} ({origin})"
    axes.axhline(threshold.value, color=_INK, lw=0.8, ls="--", alpha=0.6, label=label)
    if MINI_NOTE in marks:
        axes.text(0.5, 0.5, MINI_NOTE, transform=axes.transAxes, ha="center", va="center", **_WATERMARK)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("score, P(fake)")
    axes.set_xlabel("time, s" if timed else "frame")
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"{Path(file.file).name}: {model}".replace("$", r"\$"), fontsize=11, color=_INK)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.supxlabel("; ".join([*marks, CAUTION_SHORT]), fontsize=8, style="italic", color=_INK)
    return figure
