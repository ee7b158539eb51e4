"""``dfbench train``."""

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
from dfbench.cli.show import echo
from dfbench.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  dfbench train --model grnet --protocol mini
  dfbench train --model my_net.py:MyNet --protocol mini --epochs 10
  dfbench train --model grnet --condition JP60
  dfbench train --model grnet --method rfm --method-option blocks=2
  dfbench train --model grnet --option radius=4 --option eps=0.04 --out weights/grnet-r4.safetensors"""
)
@model_option
@protocol_option
@manifest_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="T",
    help="Training method, see: dfbench list training-methods  [default: that of the detector].",
)
@click.option(
    "--method-option", "method_options", multiple=True, metavar="NAME=VALUE", help="An option of the method; repeat."
)
@click.option("--condition", metavar="C", help="Degradation of the training data in place of the protocol's: JP60.")
@root_option
@click.option("--out", metavar="FILE", type=PATH_OR_URL, help="Weight file, *.safetensors.")
@preset_option
@model_options_option
@click.option("--epochs", type=click.IntRange(min=1), help="Overrides the recipe.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Overrides the recipe.")
@click.option("--samples-per-epoch", type=click.IntRange(min=1), help="Overrides the recipe.")
@click.option("--lr", type=float, help="Learning rate; overrides the recipe.")
@click.option(
    "--lr-schedule",
    type=click.Choice(["constant", "cosine", "linear", "step"]),
    help="Learning rate after the warm-up.",
)
@click.option("--warmup", type=click.FloatRange(min=0), metavar="N", help="Steps of warm-up; below 1 their fraction.")
@click.option("--clip-norm", type=float, metavar="X", help="Largest norm of the gradient.")
@click.option("--ema-decay", type=float, metavar="X", help="Evaluate a moving average of the weights: 0.999.")
@click.option("--patience", type=click.IntRange(min=1), metavar="N", help="End after N epochs without a better one.")
@click.option(
    "--batch-norm-samples",
    type=click.IntRange(min=0),
    metavar="N",
    help="Estimate batch-norm statistics on N training samples; 0: running averages.",
)
@click.option("--seed", type=int, help="Overrides the recipe.")
@click.option("--accumulate", type=click.IntRange(min=1), default=1, show_default=True, help="Batches per step.")
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of devices, starting with --device.",
)
@click.option(
    "--save-every",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Also store the state within an epoch.",
)
@click.option(
    "--logger",
    "loggers",
    multiple=True,
    type=click.Choice(["csv", "tensorboard", "wandb"]),
    help="Log losses, learning rate and validation metric; repeat.",
)
@click.option("--decoded", is_flag=True, help="Decode crops once, into the cache: for many epochs on a GPU.")
@compute_options
def train(
    model: str,
    protocol: str,
    manifests: tuple[Path, ...],
    roots: tuple[str, ...],
    options: tuple[str, ...],
    methods: tuple[str, ...],
    method_options: tuple[str, ...],
    quiet: bool,
    **others: Any,
) -> None:
    """Train a detector by a protocol's recipe; its weights are selected on validation data.

    Writes the weights, a card that records how they were made, and the learning curve. The last line is the weight
    file. Rerun an interrupted or killed training to resume it from its last stored state. A batch is shared by all
    devices; --accumulate N makes one optimiser step of N batches.
    """
    from dfbench.models.registry import get_spec
    from dfbench.protocols.files import load_protocol
    from dfbench.training.methods import chosen_method
    from dfbench.workflow import resolve_training

    log_to_stderr(quiet)
    rules = load_protocol(protocol)
    if len(set(methods)) > 1:
        raise UsageError(f"a training has one method: {' and '.join(methods)} exclude each other", "give one --method")
    spec, method = get_spec(model), methods[0] if methods else None
    defaults = chosen_method(spec, method).options
    plan = resolve_training(
        model,
        rules,
        manifests,
        roots=parse_media_roots(roots, rules.datasets()),
        options=parse_model_options(options, spec.options),
        method=method,
        method_options=parse_options(method_options, defaults, "the training method", "--method-option"),
        quiet=quiet,
        **others,
    )
    echo(str(plan.run()))
