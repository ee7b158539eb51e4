"""``dfbench demo``: generate, prepare, train two detectors, evaluate them, and write the report."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.options import LocalPath, deprecated_alias, log_to_stderr
from dfbench.cli.show import echo

DETECTORS = ("grnet", "amtennet-srm")


@click.command(epilog="Example: dfbench demo --out demo")
@click.option(
    "--out",
    type=LocalPath(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes.  [default: one per CPU core]")
@deprecated_alias("--jobs", "--workers")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def demo(out: Path, workers: int | None, device: str, quiet: bool) -> None:
    """Run end to end on the embedded data set of invented faces.

    Generates the data set, prepares it, trains GRnet and a small network behind SRM filters, evaluates both, and
    writes a table and a self-contained HTML report. Rerun to resume; what is generated, prepared and trained is kept.
    Mini is a check of the software, not a basis for ranking detectors.
    """
    import time

    from dfbench.cli.report import print_and_write
    from dfbench.evaluation.plan import check_compute
    from dfbench.io import check_output_folder
    from dfbench.models.registry import get_spec
    from dfbench.workflow import resolve_evaluation, resolve_preparation, resolve_training

    log_to_stderr(quiet)
    start = time.monotonic()
    for name in DETECTORS:
        get_spec(name)
    check_compute(device, 0, "fp32", quiet)
    for name in ("data", "manifest", "weights", "runs", "report"):
        check_output_folder(out / name, "--out DIR")
    preparation = resolve_preparation(
        "mini", out / "data", out / "manifest", protocol="mini", workers=workers, quiet=quiet
    )
    steps = 2 + 2 * len(DETECTORS)
    _announce(1, steps, "the mini data set of invented faces: generate and prepare", quiet)
    manifest = preparation.run()
    runs: list[Path] = []
    for number, name in enumerate(DETECTORS):
        weights = out / "weights" / f"{name}.safetensors"
        _announce(2 + 2 * number, steps, f"train {name}", quiet)
        if not weights.is_file():
            resolve_training(name, "mini", manifest, weights, device=device, quiet=quiet).run()
        _announce(3 + 2 * number, steps, f"evaluate {name}", quiet)
        evaluation = resolve_evaluation(
            name, "mini", manifest, weights, out / "runs" / name, device=device, quiet=quiet
        )
        runs.append(evaluation.run().folder)
    _announce(steps, steps, f"report ({time.monotonic() - start:.0f} s so far)", quiet)
    print_and_write(runs, out / "report")


def _announce(number: int, steps: int, title: str, quiet: bool) -> None:
    if not quiet:
        echo(f"[{number}/{steps}] {title}", err=True)
