"""Options that several commands share, and old spellings of options."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from dfbench.cli.show import echo
from dfbench.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


class PathOrUrl(click.ParamType):  # type: ignore[type-arg]
    """A local path, or the URL of a file or folder in a store, as a path."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path of a word of the command line."""
        from dfbench.storage import as_path

        return as_path(value)


PATH_OR_URL = PathOrUrl()


class LocalPath(click.Path):
    """A local path; the URL of a store is refused, which would become the name of a local folder otherwise."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path of a word of the command line."""
        from dfbench.storage import StoredPath, as_path, is_url

        if isinstance(value, str) and is_url(value):
            value = as_path(value)
            if isinstance(value, StoredPath):
                raise UsageError(f"{value} cannot be used here: a local path is needed", "copy from or to the store")
        return super().convert(value, param, ctx)


LOCAL_PATH = LocalPath(path_type=Path)


def deprecated_alias(old: str, new: str, *, is_flag: bool = False) -> Callable[[F], F]:
    """Accept an old spelling of an option: hidden in the help, and used with a warning on standard error.

    The value is handled as if it had been given by the new spelling (type, repetition, ``required``).

    Args:
        old: old spelling, for example ``--jobs``.
        new: spelling of an option of the same command, for example ``--workers``.
        is_flag: whether the option takes no value.

    Returns:
        A decorator, to be put beside :func:`click.option` in any order.
    """
    return click.option(
        old,
        f"deprecated{old.replace('-', '_')}",
        cls=DeprecatedAlias,
        new=new,
        is_flag=is_flag,
        multiple=not is_flag,
        hidden=True,
        expose_value=False,
    )


class DeprecatedAlias(click.Option):
    """An option that hands its value over to the option that replaced it; see :func:`deprecated_alias`."""

    def __init__(self, *args: Any, new: str, **kwargs: Any) -> None:
        super().__init__(*args, is_eager=True, **kwargs)  # eager: before the option that takes the value
        self.new = new

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Move the parsed value to the new option, as if it had been given there."""
        if self.name in opts:
            rest = dict(opts)
            value = rest.pop(self.name)
            target = next(p for p in ctx.command.params if self.new in p.opts)
            repeats = bool(getattr(target, "multiple", False))
            if target.name in rest and not repeats:
                raise click.UsageError(f"{self.opts[0]} is the old spelling of {self.new}: give {self.new} only", ctx)
            echo(f"warning: {self.opts[0]} is deprecated: use {self.new}", err=True)
            if self.multiple:
                value = [*rest.get(target.name, ()), *value] if repeats else value[-1]
            cast(dict[str, Any], opts)[target.name] = value
        return None, args


def compute_options(function: F) -> F:
    """``--device``, ``--workers``, ``--precision`` and ``--quiet``."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No progress bars, no notes."),
        click.option(
            "--precision", default="fp32", show_default=True, metavar="P", help="fp32, bf16, or fp16 on a GPU."
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=0),
            help="Processes that read crops.  [default: none on a CPU, one per CPU core for a GPU]",
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N]."),
    ):
        function = option(function)
    return function


class StderrHandler(logging.Handler):
    """Print dfbench's log on standard error, as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message; steps and notes as they are, warnings with their level."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        echo(level + self.format(record), err=True)


def log_to_stderr(quiet: bool) -> None:
    """Attach a handler to the logger ``dfbench``, once; ``quiet`` shows warnings only."""
    logger = logging.getLogger("dfbench")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        logger.addHandler(StderrHandler())


model_option = click.option(
    "--model", required=True, metavar="M", help="A registered name, or your own path/to/file.py:ClassName."
)
protocol_option = click.option(
    "--protocol", default="mini", show_default=True, metavar="P", help="Name or file of the protocol."
)
model_options_option = click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the detector; repeat."
)
preset_option = click.option(
    "--preset",
    default="",
    metavar="NAME",
    help="Named options and training of the detector; see: dfbench list models --long.",
)
manifest_option = click.option(
    "--manifest",
    "manifests",
    multiple=True,
    metavar="DIR",
    type=PATH_OR_URL,
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
    return parse_options(words, defaults, "a detector", "--option")


def parse_options(words: Sequence[str], defaults: Mapping[str, Any], owner: str, flag: str) -> dict[str, Any]:
    """``name=value`` words to options by name, each read by the type of its default.

    Raises:
        UsageError: a word is not of that form; ``owner`` and ``flag`` are what has the options, and how they are given.
    """
    from dfbench.models.options import read_option

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise UsageError(f"not an option of {owner}: {word!r}", f"write it as {flag} name=value")
        found[name] = read_option(text, defaults.get(name))
    return found
