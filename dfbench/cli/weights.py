"""``dfbench weights``: bring in weights of other projects, and show what weights are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dfbench.cli.options import parse_model_options

_SHOWN = ("model", "options", "num_classes", "polarity", "profile", "size", "licence")


@click.group(name="weights", epilog="Example: dfbench weights import xception_best.pth --model xception")
def weights_group() -> None:
    """Import weights of other projects; show what weights are."""


@weights_group.command(
    name="import",
    epilog="""\b
Examples:
  dfbench weights import xception_best.pth --model xception
  dfbench weights import Meso4_DF.npz --model meso4 --profile box
  dfbench weights import capsule_21.pt --model capsule --profile ffpp13 --option pretrained=vgg19-dcbb9e9d.pth""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="M", help="The detector that the weights are of.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Weight file to write, *.safetensors.")
@click.option("--profile", metavar="NAME", help="Crop profile they were trained on  [default: the source's].")
@click.option("--size", type=click.IntRange(min=1), help="Crop size in pixels  [default: the source's].")
@click.option("--classes", metavar="A,B,...", help="Class names in the order of the outputs, for more than two.")
@click.option("--source", metavar="NAME", help="Whose naming it is  [default: recognised]; see weights sources.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the detector; repeat.")
@click.option("--licence", metavar="TEXT", help="Licence of the weights  [default: the source's].")
@click.option("--train-condition", default="unknown", show_default=True, metavar="C", help="As in clean.")
def import_file(
    file: Path,
    model: str,
    out: Path | None,
    profile: str | None,
    size: int | None,
    classes: str | None,
    source: str | None,
    options: tuple[str, ...],
    licence: str | None,
    train_condition: str,
) -> None:
    """Turn a weight FILE of another project into our own, with a card.

    Reads safetensors, state dicts of torch.save and .npz; nothing in the file is ever executed. Every tensor must find
    its place. The last line is the weight file, to be given to --weights.
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
        source=source,
        options=parse_model_options(options, get_spec(model).options),
        licence=licence,
        train_condition=train_condition,
    )
    card, origin = done.card, done.card.origin
    if origin is not None:
        stripped = f", {origin.prefix}* unwrapped" if origin.prefix else ""
        click.echo(f"source: {origin.source} ({origin.tensors} tensors{stripped})")
        click.echo(f"left out, not used by the published detector: {_names(origin.left_out)}")
        click.echo(f"not in the file, and not needed from it: {_names(origin.filled)}")
    facts = card.model_dump(mode="json", include=set(_SHOWN))
    for name in _SHOWN:
        click.echo(f"{name.replace('_', ' ')}: {facts[name]}")
    click.echo(str(done.path))


@weights_group.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", metavar="M", help="Needed for your own path/to/file.py:ClassName.")
def show(file: Path, model: str | None) -> None:
    """Check a weight FILE against its card, by hash, tensors and golden score, and print the card."""
    from dfbench.models.card import IntendedUse
    from dfbench.models.weights import load_weights

    _, card = load_weights(file, IntendedUse(model=model))
    click.echo(card.model_dump_json(indent=2))


@weights_group.command()
def sources() -> None:
    """Whose weights each detector loads, and what is known of them."""
    from dfbench.cli.show import print_table
    from dfbench.models.registry import get_spec, model_names

    rows = [
        (
            spec.name,
            keymap.name,
            keymap.source,
            keymap.profile or "say --profile",
            str(keymap.size) if keymap.size else "say --size",
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
