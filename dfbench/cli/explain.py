"""``dfbench explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dfbench.cli.options import (
    PATH_OR_URL,
    compute_options,
    log_to_stderr,
    manifest_option,
    model_option,
    model_options_option,
    parse_media_roots,
    parse_model_options,
    parse_options,
    preset_option,
    protocol_option,
    root_option,
)
from dfbench.cli.show import echo, print_table


@click.command(
    epilog="""\b
Examples:
  dfbench explain --model resnet18
  dfbench explain --model grnet --residual --protocol mini
  dfbench explain --model my_net.py:MyNet --weights my_net.safetensors --manifest manifests/ff++
  dfbench explain --model rfm --role val --map-size 32
  dfbench explain --model diffusionfake --reconstruct --method-option sd=stable-diffusion-v1-5 --protocol P"""
)
@model_option
@protocol_option
@click.option("--weights", metavar="FILE", type=PATH_OR_URL, help="Weight file with its card.")
@manifest_option
@click.option(
    "--role",
    type=click.Choice(["test", "val"]),
    default="test",
    show_default=True,
    help="Whose fakes are named and shown; val: half of the validation data, by the means of the other half.",
)
@click.option(
    "--mean-images",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Validation images per manipulation whose maps are averaged.",
)
@click.option(
    "--images",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Fakes per manipulation whose technique is named.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    metavar="N",
    help="Images per manipulation in the figures.",
)
@click.option("--residual", is_flag=True, help="Also show fakes beside their reals with the guided residual.")
@click.option(
    "--reconstruct", is_flag=True, help="Also reconstruct source and target faces, by weights that the method kept."
)
@click.option(
    "--reconstruction-steps", type=click.IntRange(min=1), metavar="N", help="Steps of the sampler  [default: 50]."
)
@click.option(
    "--method-option",
    "method_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="A folder that the method needs, as sd=DIR; repeat.",
)
@click.option(
    "--map-size", type=click.IntRange(min=2), metavar="S", help="Size of compared maps  [default: half the crop]."
)
@click.option("--raw-means", is_flag=True, help="Compare with the mean maps as they are, grand mean included.")
@click.option("--condition", metavar="C", help="Degradation of all crops  [default: the protocol's first for test].")
@root_option
@click.option("--out", metavar="DIR", type=PATH_OR_URL, help="Folder of the explanation.")
@click.option("--overwrite", is_flag=True, help="Replace another explanation in --out.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the chosen images, the untrained network and the noise."
)
@preset_option
@model_options_option
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Crops per step.")
@click.option("--allow-crop-mismatch", is_flag=True, help="Accept weights trained on other crops.")
@click.option("--allow-mini-weights", is_flag=True, help="Accept weights trained on invented faces.")
@compute_options
def explain(
    model: str,
    protocol: str,
    manifests: tuple[Path, ...],
    roots: tuple[str, ...],
    options: tuple[str, ...],
    method_options: tuple[str, ...],
    raw_means: bool,
    quiet: bool,
    **others: Any,
) -> None:
    """Show what a detector looks at, and test whether that tells how fakes were made.

    Forgery attention maps (FAM) beside class activation maps (CAM) where there is a final feature map; the mean FAM of
    every manipulation on validation data; the technique of test fakes by the similarity of their FAM to each mean,
    beside an untrained network and raw crops; maps against masks where manifests have them; the two faces behind an
    image and their distance, where the weights come with what reconstructs them. Prints the tables; the last line is
    the path of explanations.json.
    """
    from dfbench.models.registry import get_spec
    from dfbench.protocols.files import load_protocol
    from dfbench.workflow import resolve_explanation

    log_to_stderr(quiet)
    rules = load_protocol(protocol)
    texts = {word.partition("=")[0]: "" for word in method_options}  # folders, whatever the method: texts as they are
    plan = resolve_explanation(
        model,
        rules,
        manifests,
        roots=parse_media_roots(roots, rules.datasets()),
        options=parse_model_options(options, get_spec(model).options),
        method_options=parse_options(method_options, texts, "a method", "--method-option"),
        centred=not raw_means,
        quiet=quiet,
        **others,
    )
    show_explanation(plan.run().folder)


def show_explanation(folder: Path) -> None:
    """Print the tables and sentences of an explanation, and last the path of its ``explanations.json``."""
    from dfbench.explain.store import EXPLANATION_FILE, open_explanation
    from dfbench.report.explanations import conclusions, result_tables

    record = open_explanation(folder).record
    for title, head, rows in result_tables(record):
        print_table(head, rows, title)
        echo()
    for sentence in (*conclusions(record), *(f"{note}." for note in record.notes)):
        echo(sentence)
    echo(str(folder / EXPLANATION_FILE))
