"""``dfbench score``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dfbench.cli.options import LOCAL_PATH, deprecated_alias, model_option
from dfbench.cli.show import echo, print_table
from dfbench.errors import DataError, DfbenchError
from dfbench.startup import StoppedBySignal

if TYPE_CHECKING:
    from dfbench.scoring.results import ScoringResult

MAX_NAMED = 3


class Interrupted(DfbenchError):  # noqa: N818 - not a fault
    """Raised when the user interrupts the command."""

    exit_code = 130


@click.command(
    epilog="""\b
Examples:
  dfbench score clip.mp4 --model grnet --weights grnet.safetensors
  dfbench score holiday/ "press/*.jpg" --model grnet --csv scores.csv --json scores.json
  dfbench score my_data/ --model grnet          (my_data/real and my_data/fake: AUC and ACC as well)
  dfbench score clip.mp4 --model grnet --every 5 --timeline plots --overlay boxes.mp4"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@model_option
@click.option(
    "--weights",
    metavar="FILE",
    type=LOCAL_PATH,
    help="Weight file with its card beside it  [default: those of the model in the workspace].",
)
@click.option("--frames", type=int, metavar="K", help="Frames per clip, evenly spaced  [default: 32].")
@click.option("--every", type=int, metavar="N", help="Use every N-th frame instead of --frames.")
@click.option("--max", "max_frames", type=int, metavar="M", help="At most M frames per clip, with --every.")
@click.option(
    "--face-rule", default="all", show_default=True, metavar="RULE", help="Faces that are used: all, largest or track."
)
@click.option(
    "--face-aggregation",
    default="largest",
    show_default=True,
    metavar="RULE",
    help="Score of a frame with several faces: largest, max or mean.",
)
@click.option(
    "--aggregation",
    default="mean",
    show_default=True,
    metavar="RULE",
    help="Score of a clip from its frames: mean, mean-logit, max, median or vote.",
)
@click.option("--condition", default="clean", show_default=True, metavar="C", help="Degradation of the crops: JP60.")
@click.option("--profile", metavar="P", help="Crop profile  [default: that of the weights].")
@click.option("--size", type=int, metavar="S", help="Crop size in pixels  [default: that of the weights].")
@click.option("--face-detector", metavar="D", help="Face detector  [default: that of the training data].")
@click.option("--face-model", metavar="PATH", help="insightface: folder of a model pack, or its det_10g.onnx.")
@click.option("--dlib-predictor", metavar="FILE", help="Landmark file of dlib; makes the profile dfb256 exact.")
@click.option("--decoder", default="pyav", show_default=True, help="Video decoder: pyav or decord.")
@click.option(
    "--real-class",
    "real_classes",
    multiple=True,
    metavar="NAME",
    help="Class that counts as real, of a detector with several classes; repeat.",
)
@click.option("--csv", metavar="FILE", type=LOCAL_PATH, help="Write a table of all frames and faces.")
@click.option("--json", metavar="FILE", type=LOCAL_PATH, help="Write everything, settings included.")
@click.option("--timeline", metavar="DIR", type=LOCAL_PATH, help="Plot the scores of clips over time.")
@click.option(
    "--overlay",
    metavar="OUT",
    type=LOCAL_PATH,
    help="Draw boxes and scores: *.mp4 (*.png) for a single clip (image), else a folder.",
)
@click.option("--allow-crop-mismatch", is_flag=True, help="Use weights trained on other crops; outputs are marked.")
@click.option("--allow-mini-weights", is_flag=True, help="Use weights trained on mini with other data.")
@click.option("--workers", type=int, metavar="N", help="Worker processes  [default: one per CPU core].")
@click.option(
    "--time-limit",
    type=float,
    default=300,
    show_default=True,
    metavar="S",
    help="Seconds without a frame that end a file.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Crops per step.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")
@click.option("--precision", default="fp32", show_default=True, metavar="P", help="fp32, bf16, or fp16 on a GPU.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars, no notes.")
@deprecated_alias("--faces", "--face-rule")
@deprecated_alias("--frame-face", "--face-aggregation")
@deprecated_alias("--aggregate", "--aggregation")
@deprecated_alias("--jobs", "--workers")
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
    """Compute P(fake) of your own images and clips.

    FILE is a file, a folder (recursively), or a quoted pattern. Every file has a row, including those without a face.
    Folders with subfolders real and fake, or with a media.csv, are labelled: AUC and ACC are printed too. A score is
    the output of one detector, not the probability that a file is forged, and not evidence.
    """
    from dfbench.scoring import CropOptions, ScoringError
    from dfbench.scoring import score as run

    crops = CropOptions(profile, size, face_detector, face_model, dlib_predictor)
    try:
        result = run(files, model, weights, crops=crops, quiet=quiet, **options)
    except StoppedBySignal:
        raise
    except KeyboardInterrupt:
        raise Interrupted("interrupted", "files already written are complete; rerun to start over") from None
    except ScoringError as error:
        show(error.result, quiet)
        raise
    show(result, quiet)
    if not result.scored:
        first = result.files[0]
        raise DataError(
            f"none of {len(result.files)} files could be scored; {first.file}: {first.status}, {first.reason}",
            "pass clips or images that show a face",
        )


def show(result: ScoringResult, quiet: bool) -> None:
    """Print the table, the metrics of labelled files, what a score is not, and the files written."""
    from dfbench.scoring.labels import metric_lines
    from dfbench.scoring.results import CAUTION
    from dfbench.scoring.tables import marks, table_head, table_rows, threshold_lines

    settings = result.settings
    if not quiet:
        weights = settings["weights"]["file"] or "from the constructor"
        crops = f"{settings['profile']} {settings['size']} px"
        echo(f"{settings['model']}, weights {weights}, crops {crops}", err=True)
        if settings["skipped"]:
            echo(f"skipped, not media according to their names: {_few(settings['skipped'])}", err=True)
        for note in settings["label_notes"]:
            echo(f"note: {note}", err=True)
        if settings["doubt"]:
            echo(f"warning: {settings['doubt']}", err=True)
    print_table(table_head(result), table_rows(result))
    echo("")
    if result.metrics is not None:
        for line in metric_lines(result.metrics):
            echo(line)
        echo("")
    for line in (*threshold_lines(result), *marks(result), *CAUTION, *written_lines(result.written)):
        echo(line)


def written_lines(written: Sequence[Path]) -> list[str]:
    """Return a line per file written; more than three of one type in one folder share a line.

    >>> written_lines([Path("s.csv"), *(Path(f"out/{n}.mp4") for n in range(4))])
    ['s.csv', 'out/*.mp4 (4 files)']
    """
    numbers = Counter((path.parent, path.suffix) for path in written)
    lines = [
        f"{path.parent / '*'}{path.suffix} ({numbers[path.parent, path.suffix]} files)"
        if numbers[path.parent, path.suffix] > MAX_NAMED
        else str(path)
        for path in written
    ]
    return list(dict.fromkeys(lines))


def _few(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more} ({len(names)})"
