"""``dfbench score``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dfbench.errors import DataError, DfbenchError

if TYPE_CHECKING:
    from dfbench.scoring.results import Scores

MOST_NAMED = 3


class Interrupted(DfbenchError):  # noqa: N818 - not a fault
    """The user stopped the command."""

    exit_code = 130


@click.command(
    epilog="""\b
Examples:
  dfbench score clip.mp4 --model grnet --weights grnet.safetensors
  dfbench score holiday/ "press/*.jpg" --model grnet --csv scores.csv --json scores.json
  dfbench score clip.mp4 --model grnet --every 5 --timeline pictures --overlay boxes.mp4"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--model", required=True, metavar="M", help="A registered name, or your own path/to/file.py:ClassName.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Weight file with its card beside it  [default: the only ones of M in weights/].",
)
@click.option("--frames", type=int, metavar="K", help="Frames a clip, evenly spread  [default: 32].")
@click.option("--every", type=int, metavar="N", help="Frames 0, N, 2N, ... instead of --frames.")
@click.option("--max", "max_frames", type=int, metavar="M", help="At most M frames a clip, with --every.")
@click.option("--faces", default="all", show_default=True, metavar="RULE", help="all, largest or track.")
@click.option(
    "--frame-face",
    default="largest",
    show_default=True,
    metavar="R",
    help="Several faces of a frame become one score: largest, max or mean.",
)
@click.option(
    "--aggregate",
    "aggregation",
    default="mean",
    show_default=True,
    metavar="A",
    help="Frames become one score: mean, mean-logit, max, median or vote.",
)
@click.option("--condition", default="clean", show_default=True, metavar="C", help="Score under a degradation: JP60.")
@click.option("--profile", metavar="P", help="Crop profile in place of the weights'.")
@click.option("--size", type=int, metavar="S", help="Crop size in pixels in place of the weights'.")
@click.option("--face-detector", metavar="D", help="In place of the weights'; see: dfbench prepare --help.")
@click.option("--face-model", metavar="PATH", help="insightface: a model pack's folder or its det_10g.onnx.")
@click.option("--dlib-predictor", metavar="FILE", help="Landmark file of dlib; makes the profile dfb256 exact.")
@click.option("--decoder", default="pyav", show_default=True, help="Video reader: pyav or decord.")
@click.option(
    "--real-class", "real_classes", multiple=True, metavar="NAME", help="A class that stands for reals; repeat."
)
@click.option("--csv", metavar="FILE", type=click.Path(path_type=Path), help="Write a row a face and frame.")
@click.option("--json", metavar="FILE", type=click.Path(path_type=Path), help="Write everything.")
@click.option("--timeline", metavar="DIR", type=click.Path(path_type=Path), help="Draw each clip's scores over time.")
@click.option(
    "--overlay",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Draw boxes and scores: a *.mp4 (a *.png) for the only clip (picture), else a folder.",
)
@click.option("--allow-crop-mismatch", is_flag=True, help="Use weights on other crops than theirs; outputs mark it.")
@click.option("--allow-mini-weights", is_flag=True, help="Use weights trained on invented faces; outputs mark it.")
@click.option("--jobs", type=int, metavar="N", help="Processes that look for faces  [default: one a core].")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Crops a step.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")
@click.option("--precision", default="fp32", show_default=True, metavar="P", help="fp32 or bf16.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars, no notes.")
def score(
    files: tuple[str, ...],
    model: str,
    weights: Path | None,
    profile: str | None,
    size: int | None,
    face_detector: str | None,
    face_model: str | None,
    dlib_predictor: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Give P(fake) of images and clips of your own.

    FILE is a file, a folder with all below it, or a pattern in quotes. Every file has a row, those without a face too.
    A score is one detector's answer: no probability that a file is forged, and no evidence.
    """
    from dfbench.scoring.score import score as run
    from dfbench.scoring.weights import CropOptions

    crops = CropOptions(profile, size, face_detector, face_model, dlib_predictor)
    try:
        scores = run(files, model, weights, crops=crops, quiet=quiet, **options)
    except KeyboardInterrupt:
        raise Interrupted("interrupted", "whatever was written is whole; the same command begins anew") from None
    show(scores, quiet)
    if not scores.scored:
        first = scores.files[0]
        raise DataError(
            f"none of {len(scores.files)} files could be scored; {first.file}: {first.status}, {first.reason}",
            "give clips or images that show a face",
        )


def show(scores: Scores, quiet: bool) -> None:
    """Print the table, what a score is not, and what was written."""
    from dfbench.cli.show import print_table
    from dfbench.cli.steps import say
    from dfbench.scoring.disclaimer import CAUTION
    from dfbench.scoring.tables import HEAD, marks, table_rows

    how, passed_over = scores.how, scores.how["passed_over"]
    say(
        f"{how['model']}, weights {how['weights']['file'] or 'as they come'}, crops {how['profile']} {how['size']} px",
        quiet,
    )
    if passed_over:
        more = ", ..." if len(passed_over) > MOST_NAMED else ""
        say(
            f"passed over, no media by their names: {', '.join(passed_over[:MOST_NAMED])}{more} ({len(passed_over)})",
            quiet,
        )
    print_table(HEAD, table_rows(scores))
    click.echo("")
    for line in (*marks(scores), *CAUTION):
        click.echo(line)
    for line in named(scores.written):
        click.echo(line)


def named(written: Sequence[Path]) -> list[str]:
    """What was written, a line each; many files of one kind in one folder share a line.

    >>> named([Path("s.csv"), *(Path(f"out/{n}.mp4") for n in range(4))])
    ['s.csv', 'out/*.mp4 (4 files)']
    """
    kinds = Counter((path.parent, path.suffix) for path in written)
    lines = [
        f"{path.parent / '*'}{path.suffix} ({kinds[path.parent, path.suffix]} files)"
        if kinds[path.parent, path.suffix] > MOST_NAMED
        else str(path)
        for path in written
    ]
    return list(dict.fromkeys(lines))
