"""Options that several commands on detectors share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from dfbench.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def compute_options(function: F) -> F:
    """``--device``, ``--workers``, ``--precision`` and ``--quiet``."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No progress bars, no notes."),
        click.option("--precision", default="fp32", show_default=True, metavar="P", help="fp32 or bf16."),
        click.option(
            "--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that read crops."
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N]."),
    ):
        function = option(function)
    return function


model_option = click.option(
    "--model", required=True, metavar="M", help="A registered name, or your own path/to/file.py:ClassName."
)
protocol_option = click.option(
    "--protocol", default="mini", show_default=True, metavar="P", help="Name or file of the protocol."
)
manifest_option = click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A manifest the protocol needs; repeat  [default: those in manifests/].",
)
root_option = click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="[NAME=]DIR",
    help="Root of a data set, for conditions @source and @clip; repeat  [default: the configuration].",
)


def parse_media_roots(words: Sequence[str], datasets: Sequence[str]) -> dict[str, str]:
    """``NAME=DIR`` words to data set -> root; a bare ``DIR`` is that of the only data set.

    >>> parse_media_roots(["/data/FF"], ["ff++"])
    {'ff++': '/data/FF'}

    Raises:
        UsageError: a data set that does not take part, or a bare folder where there are several.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if equals and name in datasets:
            found[name] = path
        elif len(datasets) == 1:
            found[datasets[0]] = word
        else:
            raise UsageError(
                f"--root {word} does not say of which data set it is", f"write {datasets[0]}={path or word}"
            )
    return found


def parse_model_options(words: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``name=value`` words to a detector's options, each read by the type of its default.

    >>> parse_model_options(["radius=4", "eps=0.04", "fusion=sum", "residual_norm=no"], {"residual_norm": True})
    {'radius': 4, 'eps': 0.04, 'fusion': 'sum', 'residual_norm': False}
    """
    from dfbench.models.options import read_option

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(f"not an option of a detector: {word!r}", "write it as --option name=value")
        found[name] = read_option(text, defaults.get(name))
    return found
