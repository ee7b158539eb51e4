"""``dfbench weights``: import weights of other projects, check weights and show their card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dfbench.cli.options import LOCAL_PATH, parse_model_options
from dfbench.cli.show import echo, print_table

_SHOWN = ("model", "options", "num_classes", "polarity", "profile", "size", "licence")


@click.group(name="weights", epilog="Example: dfbench weights import xception_best.pth --model xception")
def weights_group() -> None:
    """Import weights of other projects; check weights and show their card."""


@weights_group.command(
    name="import",
    epilog="""\b
Examples:
  dfbench weights import xception_best.pth --model xception
  dfbench weights import Meso4_DF.npz --model meso4 --profile box
  dfbench weights import checkpoint.pth --model xception --weights-key state_dict_ema
  dfbench weights import capsule_21.pt --model capsule --profile ffpp13 --option pretrained=vgg19-dcbb9e9d.pth""",
)
@click.argument("file", type=LOCAL_PATH)
@click.option("--model", required=True, metavar="M", help="A registered name, or your own path/to/file.py:ClassName.")
@click.option("--out", metavar="FILE", type=LOCAL_PATH, help="Weight file to write, *.safetensors.")
@click.option("--profile", metavar="NAME", help="Crop profile  [default: that of the source].")
@click.option("--size", type=click.IntRange(min=1), help="Crop size in pixels  [default: that of the source].")
@click.option("--classes", metavar="A,B,...", help="Names of more than two classes, in the order of the outputs.")
@click.option(
    "--real-class",
    "real_classes",
    multiple=True,
    metavar="NAME",
    help="A class of real faces; repeat.  [default: real]",
)
@click.option(
    "--source", metavar="NAME", help="Source of the file, see: dfbench weights sources  [default: recognised]."
)
@click.option("--weights-key", metavar="KEY", help="Which state dict of a checkpoint with several, as state_dict_ema.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the detector; repeat.")
@click.option("--licence", metavar="TEXT", help="Licence of the weights  [default: that of the source].")
@click.option(
    "--train-condition",
    default="unknown",
    show_default=True,
    metavar="C",
    help="Condition of the training data, for example clean.",
)
def import_file(
    file: Path,
    model: str,
    out: Path | None,
    profile: str | None,
    size: int | None,
    classes: str | None,
    real_classes: tuple[str, ...],
    source: str | None,
    weights_key: str | None,
    options: tuple[str, ...],
    licence: str | None,
    train_condition: str,
) -> None:
    """Convert a weight FILE of another project to a weight file of dfbench with a card.

    Safetensors, state dicts of torch.save and .npz are read; no code in the file is executed. Every tensor must match
    one of the detector. The last line is the path of the weight file, to be passed to --weights.
    """
    from dfbench.models.convert.import_weights import import_weights
    from dfbench.models.registry import get_spec

    done = import_weights(
        file,
        model,
        out,
        profile=profile,
        size=size,
        classes=tuple(name.strip() for name in classes.split(",")) if classes else (),
        real_classes=real_classes,
        source=source,
        options=parse_model_options(options, get_spec(model).options),
        licence=licence,
        train_condition=train_condition,
        weights_key=weights_key,
    )
    card, origin = done.card, done.card.origin
    if origin is not None:
        stripped = f", {origin.prefix}* unwrapped" if origin.prefix else ""
        echo(f"source: {origin.source} ({origin.tensors} tensors{stripped})")
        if origin.key:
            echo(f"state dict in the file: {origin.key}")
        if origin.other_keys:
            echo(f"other state dicts in it, not used: {_names(origin.other_keys)} (choose one with --weights-key)")
        echo(f"skipped, not used by the published detector: {_names(origin.left_out)}")
        echo(f"not in the file, and not required: {_names(origin.filled)}")
    facts = card.model_dump(mode="json", include=set(_SHOWN))
    for name in _SHOWN:
        echo(f"{name.replace('_', ' ')}: {facts[name]}")
    echo(str(done.path))


@weights_group.command(epilog="Example: dfbench weights show weights/mini/grnet.safetensors")
@click.argument("file", type=LOCAL_PATH)
@click.option("--model", metavar="M", help="A registered name, or your own path/to/file.py:ClassName.")
def show(file: Path, model: str | None) -> None:
    """Check a weight FILE against its card (hash, tensors, golden scores), and print the card.

    What a training method kept beside it is checked too, if it is there. --model is required for weights of a custom
    detector.
    """
    from dfbench.models.card import IntendedUse, method_path
    from dfbench.models.files import check_file
    from dfbench.models.weights import load_weights

    _, card = load_weights(file, IntendedUse(model=model))
    if card.method_weights is not None and method_path(file).is_file():
        check_file(method_path(file), card.method_weights)
    echo(card.model_dump_json(indent=2))


@weights_group.command(epilog="Example: dfbench weights sources")
def sources() -> None:
    """List the weight files of other projects that can be imported, per detector."""
    from dfbench.models.registry import get_spec, model_names

    rows = [
        (
            spec.name,
            keymap.name,
            keymap.source,
            keymap.profile or "pass --profile",
            str(keymap.size) if keymap.size else "pass --size",
            " ".join(f"{name}={value}" for name, value in keymap.options.items()) or "-",
        )
        for spec in map(get_spec, model_names())
        for keymap in spec.foreign_keys
    ]
    print_table(("model", "source", "files", "profile", "size", "options"), rows)


def _names(names: Sequence[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
