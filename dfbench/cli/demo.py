"""``dfbench demo``: generate, prepare, train two detectors, evaluate them, and write the report."""

from __future__ import annotations

from pathlib import Path

import click

DETECTORS = ("grnet", "meso4")


@click.command(epilog="Example: dfbench demo --out demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Folder for everything the demo makes.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Worker processes. [default: all cores]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N].")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def demo(out: Path, jobs: int | None, device: str, quiet: bool) -> None:
    """Run the whole way on the embedded data set of invented faces.

    Generates the data set, prepares it, trains GRnet and Meso-4, evaluates both, and writes a table and a
    self-contained HTML report. Interrupted, it goes on where it stopped; what is generated, prepared and trained is
    kept. Mini is a check of the whole way, no ground for ranking detectors.
    """
    import time

    from dfbench.cli.report import print_and_write
    from dfbench.cli.steps import ensure_weights, say
    from dfbench.evaluation.evaluate import evaluate
    from dfbench.models.registry import get_spec
    from dfbench.preparation.prepare import prepare
    from dfbench.protocols.files import load_protocol

    start = time.monotonic()
    protocol = load_protocol("mini")
    for name in DETECTORS:
        get_spec(name)
    steps = 2 + 2 * len(DETECTORS)
    say(f"[1/{steps}] the mini data set of invented faces: generate and prepare", quiet)
    manifest = prepare(
        "mini", root=out / "data", out=out / "manifest", protocol=protocol, workers=jobs, quiet=quiet
    ).path
    runs: list[Path] = []
    for number, name in enumerate(DETECTORS):
        say(f"[{2 + 2 * number}/{steps}] train {name}", quiet)
        place = out / "weights" / f"{name}.safetensors"
        weights = ensure_weights(name, protocol, [manifest], None, out=place, device=device, quiet=quiet)
        say(f"[{3 + 2 * number}/{steps}] evaluate {name}", quiet)
        runs.append(
            evaluate(name, protocol, [manifest], weights, out / "runs" / name, device=device, quiet=quiet).folder
        )
    say(f"[{steps}/{steps}] report ({time.monotonic() - start:.0f} s so far)", quiet)
    print_and_write(runs, out / "report")
