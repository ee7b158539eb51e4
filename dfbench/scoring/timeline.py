"""P(fake) over the time of a clip, one line a followed face, as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dfbench.io import atomic_path
from dfbench.report.figures.svg import style
from dfbench.scoring.disclaimer import CAUTION_SHORT
from dfbench.scoring.results import FileScore

_DOTS_PER_INCH = 110
_INK = "#333333"


def write_timeline(file: FileScore, path: Path, model: str, marks: list[str]) -> None:
    """Draw the scores of a clip as a PNG, written whole or not at all.

    Args:
        file: the clip; frames without a score leave a mark on the axis.
        path: the picture.
        model: name of the detector.
        marks: what must stand beside the scores.

    Raises:
        SetupError: the file can not be written.
    """
    figure = draw_timeline(file, model, marks)
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a file's name can be in any script
        figure.savefig(temporary, format="png", metadata={"Software": None})


def draw_timeline(file: FileScore, model: str, marks: list[str]) -> Figure:
    """The figure of :func:`write_timeline`: a line a track, a dotted one for the file, crosses for lost frames."""
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
