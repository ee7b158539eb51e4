"""``dfbench compare``: two runs on the same samples."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.options import PATH_OR_URL
from dfbench.cli.show import echo


@click.command(epilog="Example: dfbench compare runs/grnet runs/meso4 --metric auc.video.mean")
@click.argument("run_a", metavar="RUN_A", type=PATH_OR_URL)
@click.argument("run_b", metavar="RUN_B", type=PATH_OR_URL)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Metric; repeat  [default: those of both runs].",
)
@click.option("--per-manipulation", is_flag=True, help="Compare each manipulation as well.")
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Resamples, for metrics other than the AUC.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Bootstrap seed.")
@click.option("--format", "fmt", default="text", show_default=True, metavar="F", help="Output format: text, md or csv.")
def compare(
    run_a: Path,
    run_b: Path,
    metrics: tuple[str, ...],
    per_manipulation: bool,
    resamples: int,
    seed: int,
    fmt: str,
) -> None:
    """Test whether two detectors differ, paired on the same samples.

    Runs with different protocols, manifests or samples cannot be compared; the error gives the reason.
    """
    from dfbench.report.compare import check_format, compare_runs, render_comparison

    check_format(fmt)
    found = compare_runs(run_a, run_b, metrics, resamples=resamples, seed=seed, per_manipulation=per_manipulation)
    echo(render_comparison(found, fmt), nl=False)
