"""``dfbench train``."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.options import (
    compute_options,
    manifest_option,
    model_option,
    parse_media_roots,
    parse_model_options,
    protocol_option,
    root_option,
)


@click.command(
    epilog="""\b
Examples:
  dfbench train --model grnet --protocol mini
  dfbench train --model my_net.py:MyNet --protocol mini --epochs 10
  dfbench train --model grnet --condition JP60
  dfbench train --model grnet --option radius=4 --option eps=0.04 --out weights/grnet-r4.safetensors"""
)
@model_option
@protocol_option
@manifest_option
@click.option("--condition", metavar="C", help="Train under a degradation in place of the protocol's: JP60.")
@root_option
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Weight file, *.safetensors.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the detector; repeat.")
@click.option("--epochs", type=click.IntRange(min=1), help="In place of the recipe's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="In place of the recipe's.")
@click.option("--lr", type=float, help="Learning rate in place of the recipe's.")
@click.option("--seed", type=int, help="In place of the recipe's.")
@click.option("--accumulate", type=click.IntRange(min=1), default=1, show_default=True, help="Batches a step.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="How many, from --device on.")
@click.option(
    "--save-every",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Store the state within an epoch, too.",
)
@compute_options
def train(
    model: str,
    protocol: str,
    manifests: tuple[Path, ...],
    condition: str | None,
    roots: tuple[str, ...],
    out: Path | None,
    options: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int | None,
    accumulate: int,
    devices: int,
    save_every: float,
    device: str,
    workers: int,
    precision: str,
    quiet: bool,
) -> None:
    """Train a detector by a protocol's recipe; its weights are chosen on validation data.

    Writes the weights, a card that says how they were made, and the learning curve. The last line is the weight file.
    A training that was interrupted or killed goes on where its state was last stored when the same command is given
    again. A batch is shared by all devices; --accumulate N makes one step of N batches.
    """
    from dfbench.cli.steps import check_manifests, check_model, ensure_manifests, say
    from dfbench.evaluation.conditions import training_condition
    from dfbench.models.device import check_device_name, check_precision
    from dfbench.models.registry import get_spec
    from dfbench.protocols.files import load_protocol
    from dfbench.training.recipe import fill_recipe

    rules = load_protocol(protocol)
    spec = get_spec(model)
    chosen = parse_model_options(options, spec.options)
    training_condition(rules, condition)
    media = parse_media_roots(roots, rules.datasets())
    check_device_name(device)
    check_precision(precision)
    check_manifests(rules, manifests)
    check_model(model, rules, chosen)
    fill_recipe(  # for its checks, before any data are made
        rules.training, spec.recipe, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed, accumulate=accumulate
    )
    places = ensure_manifests(rules, manifests, quiet=quiet)
    from dfbench.training.train import train as run

    if spec.published_pretrained and not chosen.get("pretrained"):
        say(
            f"{model} starts from random weights, the published detector from ImageNet's: --option pretrained=true",
            quiet,
        )
    weights = run(
        model,
        rules,
        places,
        out,
        condition=condition,
        roots=media,
        device=device,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        workers=workers,
        precision=precision,
        devices=devices,
        accumulate=accumulate,
        save_every=save_every,
        options=chosen,
        quiet=quiet,
    )
    click.echo(str(weights))
