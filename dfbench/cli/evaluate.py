"""``dfbench evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dfbench.cli.options import (
    LOCAL_PATH,
    PATH_OR_URL,
    compute_options,
    log_to_stderr,
    manifest_option,
    model_option,
    model_options_option,
    parse_media_roots,
    parse_model_options,
    preset_option,
    root_option,
)
from dfbench.cli.show import echo, echo_rendered, print_table

if TYPE_CHECKING:
    from dfbench.protocols.protocol import Protocol


@click.command(
    epilog="""\b
Examples:
  dfbench evaluate --model grnet
  dfbench evaluate --model meso4 --protocol mini --weights weights/mini/meso4.safetensors
  dfbench evaluate --model my_net.py:MyNet
  dfbench evaluate --model grnet --weights grnet.safetensors --data my_faces
  dfbench evaluate --model grnet --condition JP60 --condition h264:crf=40@clip
  dfbench evaluate --model grnet --suite robustness/v1"""
)
@model_option
@click.option("--protocol", metavar="P", help="Name or file of the protocol.  [default: mini]")
@click.option("--weights", metavar="FILE", type=PATH_OR_URL, help="Weight file with its card.")
@manifest_option
@click.option(
    "--data",
    metavar="DIR",
    type=LOCAL_PATH,
    help="Evaluate a folder with real/ and fake/, or with media.csv, in place of a protocol.",
)
@click.option("--frames", type=click.IntRange(min=1), metavar="K", help="Frames per clip of --data.  [default: 32]")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="C",
    help="Also evaluate under a degradation: JP60, mean:k=5@source, h264:crf=40@clip; repeat.",
)
@click.option("--suite", "suites", multiple=True, metavar="S", help="Also evaluate under a suite: robustness/v1.")
@root_option
@click.option("--out", metavar="DIR", type=PATH_OR_URL, help="Folder of the run.")
@click.option("--overwrite", is_flag=True, help="Replace another run in --out.")
@preset_option
@model_options_option
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Crops per step.")
@click.option("--allow-crop-mismatch", is_flag=True, help="Accept weights trained on other crops; tables mark them.")
@click.option("--allow-mini-weights", is_flag=True, help="Accept weights trained on invented faces.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network: for many images on a GPU.")
@compute_options
def evaluate(
    model: str,
    protocol: str | None,
    manifests: tuple[Path, ...],
    data: Path | None,
    conditions: tuple[str, ...],
    suites: tuple[str, ...],
    roots: tuple[str, ...],
    options: tuple[str, ...],
    quiet: bool,
    **others: Any,
) -> None:
    """Score a protocol's test data, or a labelled folder, and compute the metrics.

    Without --protocol the protocol is mini: its data are generated and the detector is trained first where that has
    not been done yet, and both are kept. Prints the table; the last line is the path of result.json. Rerun an
    interrupted or killed run to resume it: the scores are kept but for those of the last few batches.
    """
    from dfbench.models.registry import get_spec
    from dfbench.workflow import resolve_evaluation

    log_to_stderr(quiet)
    rules, media = _protocol_and_roots(protocol, data, roots)
    plan = resolve_evaluation(
        model,
        rules,
        manifests,
        data=data,
        options=parse_model_options(options, get_spec(model).options),
        conditions=(*conditions, *(f"suite:{name}" for name in suites)),
        roots=media,
        quiet=quiet,
        **others,
    )
    show_result(plan.run().folder)


def _protocol_and_roots(
    protocol: str | None, data: Path | None, roots: tuple[str, ...]
) -> tuple[Protocol | None, dict[str, str]]:
    """Load the protocol, whose data sets the roots are named after."""
    from dfbench.protocols.files import load_protocol

    if data is not None:
        return (load_protocol(protocol) if protocol else None), {}
    rules = load_protocol(protocol or "mini")
    return rules, parse_media_roots(roots, rules.datasets("test"))


def show_result(folder: Path) -> None:
    """Print the table of one run, and last the path of its ``result.json``."""
    import sys

    from dfbench.evaluation.run import open_runs
    from dfbench.report import render, result_rows
    from dfbench.report.robustness import (
        SUMMARY_HEAD,
        robustness_summaries,
        summary_cells,
        unavailable_notes,
        without_suite,
    )

    runs = open_runs([folder])
    rows = result_rows([run.result for run in runs], [run.label for run in runs])
    echo_rendered(render(without_suite(rows), "terminal" if sys.stdout.isatty() else "text"))
    found = robustness_summaries(runs)
    if found:
        print_table(SUMMARY_HEAD, [summary_cells(one) for one in found], "Robustness, percent")
    for sentence in unavailable_notes(runs):
        echo(sentence)
    echo(str(folder / "result.json"))
