"""``dfbench import``: what other programs made."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(name="import", epilog="Example: dfbench import scores theirs.csv --out runs/theirs")
def import_group() -> None:
    """Make a run of scores from another program."""


@import_group.command(
    epilog="""\b
Examples:
  dfbench import scores theirs.csv --out runs/theirs
  dfbench import scores theirs.parquet --kind logit --manifest manifests/ff++ --out runs/theirs"""
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="RUN", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Match samples by sample_id, or media_id and frame_index; repeat  [default: the file holds labels itself].",
)
@click.option("--protocol", metavar="P", help="Judge by this protocol; the file must hold all its test samples.")
@click.option("--kind", default="probability", show_default=True, metavar="K", help="probability or logit.")
@click.option("--model", metavar="NAME", help="What the detector is called  [default: the file's name].")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric; repeat  [default: ACC to AP].")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Fake from this score on  [default: 0.5].")
@click.option("--failure-policy", metavar="P", help="exclude, as-real, as-fake or as-chance  [default: exclude].")
@click.option("--faces", metavar="R", help="Several faces of a frame become one: largest, max or mean.")
@click.option("--resamples", type=click.IntRange(min=0), help="Of the bootstrap  [default: 2000].")
@click.option("--seed", type=int, help="Of the bootstrap  [default: 0].")
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
    faces: str | None,
    resamples: int | None,
    seed: int | None,
    overwrite: bool,
) -> None:
    """Turn a CSV or Parquet file of scores into a run with scores.parquet and result.json.

    Needed are the columns score and sample_id, or media_id with frame_index, of a --manifest; or, without one, score,
    media_id and label. Prints the table; the last line is the path of result.json.
    """
    from dfbench.cli.evaluate import show_result
    from dfbench.interchange.scores import ImportRules, import_scores

    given = {
        "names": metrics or None,
        "threshold": threshold,
        "failure_policy": failure_policy,
        "faces": faces,
        "resamples": resamples,
        "seed": seed,
    }
    said = {name: value for name, value in given.items() if value is not None}
    run = import_scores(
        file,
        out,
        manifests,
        protocol=protocol,
        kind=kind,
        model=model,
        rules=ImportRules(**said) if said else None,  # type: ignore[arg-type]
        overwrite=overwrite,
    )
    for warning in run.result.warnings:
        click.echo(f"note: {warning}", err=True)
    show_result(run.folder)
