"""``dfbench evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dfbench.cli.options import (
    compute_options,
    manifest_option,
    model_option,
    parse_media_roots,
    protocol_option,
    root_option,
)

if TYPE_CHECKING:
    from dfbench.degrade import Condition
    from dfbench.protocols.protocol import Protocol


@click.command(
    epilog="""\b
Examples:
  dfbench evaluate --model grnet
  dfbench evaluate --model meso4 --protocol mini --weights weights/mini/meso4.safetensors
  dfbench evaluate --model my_net.py:MyNet
  dfbench evaluate --model grnet --condition JP60 --condition h264:crf=40@clip
  dfbench evaluate --model grnet --suite robustness/v1"""
)
@model_option
@protocol_option
@click.option("--weights", metavar="FILE", type=click.Path(path_type=Path), help="Weight file with its card beside it.")
@manifest_option
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="C",
    help="Evaluate under a degradation too: JP60, mean:k=5@source, h264:crf=40@clip; repeat.",
)
@click.option("--suite", "suites", multiple=True, metavar="S", help="Evaluate under a suite too: robustness/v1.")
@root_option
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the run.")
@click.option("--overwrite", is_flag=True, help="Replace another run in --out.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Crops a step.")
@click.option("--allow-crop-mismatch", is_flag=True, help="Use weights trained on other crops; tables mark it.")
@click.option("--allow-mini-weights", is_flag=True, help="Use weights trained on invented faces on other data.")
@compute_options
def evaluate(
    model: str,
    protocol: str,
    weights: Path | None,
    manifests: tuple[Path, ...],
    conditions: tuple[str, ...],
    suites: tuple[str, ...],
    roots: tuple[str, ...],
    out: Path | None,
    overwrite: bool,
    batch_size: int,
    allow_crop_mismatch: bool,
    allow_mini_weights: bool,
    device: str,
    workers: int,
    precision: str,
    quiet: bool,
) -> None:
    """Score a protocol's test data and compute its metrics.

    Without --protocol it takes mini: its data are generated and the detector is trained first where that has not been
    done yet, and both are kept. Prints the table; the last line is the path of result.json. An interrupted run of
    several conditions goes on with those that are missing.
    """
    from dfbench.cli.steps import check_manifests, check_model, ensure_manifests, ensure_weights, say
    from dfbench.evaluation.conditions import plan_conditions
    from dfbench.evaluation.detector import default_weights
    from dfbench.models.build import check_options
    from dfbench.models.device import check_device_name, check_precision
    from dfbench.models.registry import get_spec
    from dfbench.protocols.files import load_protocol

    rules = load_protocol(protocol)
    spec = get_spec(model)
    added = (*conditions, *(f"suite:{name}" for name in suites))
    plan = plan_conditions(rules, added)
    for name, reason in plan.unavailable.items():
        say(f"left out: {name} can not run here: {reason}", quiet)
    for name, note in source_notes(plan.conditions).items():
        say(f"note on {name}: {note}", quiet)
    media = parse_media_roots(roots, rules.datasets("test"))
    check_options(spec, rules.num_classes, rules.crops.size, {})
    check_device_name(device)
    check_precision(precision)
    check_manifests(rules, manifests)
    flags = {"allow_crop_mismatch": allow_crop_mismatch, "allow_mini_weights": allow_mini_weights}
    own = spec.provenance == "user" and weights is None
    if not own:
        note = check_given_weights(model, rules, weights, **flags)
        if note:
            say(note, quiet)
    else:
        check_model(model, rules, {})
    places = ensure_manifests(rules, manifests, quiet=quiet)
    if own:
        trained = default_weights(model, rules)
        say(
            f"{model} is taken as it comes; weights that were trained for it: --weights {trained}"
            if trained.is_file()
            else f"{model} is taken as it comes; to train it: dfbench train --model {model} --protocol {protocol}",
            quiet,
        )
    else:
        weights = ensure_weights(model, rules, places, weights, device=device, workers=workers, quiet=quiet)
    from dfbench.evaluation.evaluate import evaluate as run

    done = run(
        model,
        rules,
        places,
        weights,
        out,
        conditions=added,
        roots=media,
        device=device,
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        overwrite=overwrite,
        quiet=quiet,
        **flags,
    )
    show_result(done.folder)


def source_notes(conditions: Sequence[Condition]) -> dict[str, str]:
    """What whoever degrades whole frames must know of a degradation's strength there; by condition."""
    notes = {
        condition.name: " ".join(dict.fromkeys(step.degradation.note for step in condition.steps))
        for condition in conditions
        if condition.where == "source"
    }
    return {name: note for name, note in notes.items() if note.strip()}


def check_given_weights(
    model: str, rules: Protocol, weights: Path | None, *, allow_crop_mismatch: bool, allow_mini_weights: bool
) -> str:
    """Check a weight file before anything is made, without torch; returns a note for the user, or nothing.

    Raises:
        ModelError: the file or its card is missing, damaged, or belongs elsewhere.
    """
    from dfbench.cli.steps import check_weights
    from dfbench.faces.profile_match import serves
    from dfbench.models.card import Intended, check_card, read_card
    from dfbench.models.files import check_file
    from dfbench.protocols.reference import protocol_ref

    place = check_weights(model, rules, weights)
    if place is None:
        return ""
    card = read_card(place)
    asked = rules.crops.profile
    check_card(
        card,
        place,
        Intended(
            model=model,
            num_classes=rules.num_classes,
            classes=rules.classes,
            profile=card.profile if serves(card.profile, asked) else asked,  # manifests tell which of the two
            size=rules.crops.size,
            protocol=rules.name,
            allow_crop_mismatch=allow_crop_mismatch,
            allow_mini_weights=allow_mini_weights,
        ),
    )
    check_file(place, card)
    trained = card.protocol
    if trained is not None and trained.name == rules.name and not trained.same_content(protocol_ref(rules)):
        return (
            f"note: {place} was trained by another version of protocol {rules.name!r}; "
            f"to train again: dfbench train --model {model} --protocol {rules.name}"
        )
    return ""


def show_result(folder: Path) -> None:
    """Print the table of one run, and last the path of its ``result.json``."""
    import sys

    from dfbench.cli.show import print_table
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
    click.echo(render(without_suite(rows), "terminal" if sys.stdout.isatty() else "text"))
    found = robustness_summaries(runs)
    if found:
        print_table(SUMMARY_HEAD, [summary_cells(one) for one in found], "Robustness, percent")
    for sentence in unavailable_notes(runs):
        click.echo(sentence)
    click.echo(str(folder / "result.json"))
