"""``dfbench import``: results of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.options import LOCAL_PATH, deprecated_alias
from dfbench.cli.show import echo


@click.group(name="import", epilog="Example: dfbench import scores theirs.csv --out runs/theirs")
def import_group() -> None:
    """Import results of other programs."""


@import_group.command(
    epilog="""\b
Examples:
  dfbench import scores theirs.csv --out runs/theirs
  dfbench import scores theirs.parquet --kind logit --manifest manifests/ff++ --out runs/theirs"""
)
@click.argument("file", metavar="FILE", type=LOCAL_PATH)
@click.option("--out", required=True, metavar="RUN", type=LOCAL_PATH, help="Folder of the run.")
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="DIR",
    type=LOCAL_PATH,
    help="Match samples by sample_id, or media_id and frame_index; repeat  [default: labels in the file].",
)
@click.option("--protocol", metavar="P", help="Use the rules of this protocol; needs all its test samples.")
@click.option("--kind", default="probability", show_default=True, metavar="K", help="probability or logit.")
@click.option("--model", metavar="NAME", help="Name of the detector  [default: name of the file].")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Metric; repeat  [default: ACC to AP].",
)
@click.option("--threshold", type=click.FloatRange(0, 1), help="Decision threshold  [default: 0.5].")
@click.option("--failure-policy", metavar="P", help="exclude, as-real, as-fake or as-chance  [default: exclude].")
@click.option("--face-aggregation", metavar="R", help="Aggregate several faces of a frame: largest, max or mean.")
@deprecated_alias("--faces", "--face-aggregation")
@click.option("--resamples", type=click.IntRange(min=0), help="Number of bootstrap resamples  [default: 2000].")
@click.option("--seed", type=int, help="Bootstrap seed  [default: 0].")
@click.option("--overwrite", is_flag=True, help="Replace another run in --out.")
def scores(
    file: Path,
    out: Path,
    manifests: tuple[Path, ...],
    protocol: str | None,
    kind: str,
    model: str | None,
    metrics: tuple[str, ...],
    threshold: float | None,
    failure_policy: str | None,
    face_aggregation: str | None,
    resamples: int | None,
    seed: int | None,
    overwrite: bool,
) -> None:
    """Convert a file of scores (CSV, JSON, Parquet, ...) to a run with scores.parquet and result.json.

    Required columns: with a --manifest, score and sample_id, or score, media_id and frame_index; without a manifest,
    score, media_id and label. Prints the results; the last line is the path of result.json.
    """
    from dfbench.cli.evaluate import show_result
    from dfbench.interchange.scores import ImportRules, import_scores

    given = {
        "names": metrics or None,
        "threshold": threshold,
        "failure_policy": failure_policy,
        "face_aggregation": face_aggregation,
        "resamples": resamples,
        "seed": seed,
    }
    stated = {name: value for name, value in given.items() if value is not None}
    run = import_scores(
        file,
        out,
        manifests,
        protocol=protocol,
        kind=kind,
        model=model,
        rules=ImportRules(**stated) if stated else None,  # type: ignore[arg-type]
        overwrite=overwrite,
    )
    for warning in run.result.warnings:
        echo(f"note: {warning}", err=True)
    show_result(run.folder)
