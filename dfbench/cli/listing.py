"""``dfbench list``: the names of every kind, built-in and of installed packages, with one line each."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

import click

from dfbench.cli.options import deprecated_alias
from dfbench.cli.show import echo, print_table
from dfbench.errors import DfbenchError
from dfbench.registry import Registry

WIDTH = 100

T = TypeVar("T")

LongTable = tuple[Sequence[str], Sequence[Sequence[str]]]
Listed = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ListedKind:
    """A kind of thing that can be listed.

    Attributes:
        name: name of the subcommand.
        title: title of the list, and help of the subcommand.
        registry: where its registry is, ``module:attribute``; empty if ``short`` is given.
        short: names and one line each; None: from the registry.
        long: the table of ``--long``; None: name, package and the line without shortening.
    """

    name: str
    title: str
    registry: str = ""
    short: Callable[[], Listed] | None = None
    long: Callable[[], LongTable] | None = None

    def rows(self) -> Listed:
        """Return names and one line each."""
        if self.short is not None:
            return self.short()
        module, _, attribute = self.registry.partition(":")
        registry = getattr(import_module(module), attribute)
        return [(name, registry.describe(name)) for name in registry.names()]


def _datasets_long() -> LongTable:
    from dfbench.datasets.registry import DATASETS

    adapters = [DATASETS.get(name) for name in DATASETS]
    return ("name", "title", "licence", "access", "evidence"), [
        (a.name, a.title, a.licence, a.access, getattr(a, "evidence", "")) for a in adapters
    ]


def _datasets_short() -> Listed:
    from dfbench.datasets.registry import DATASETS

    return _described(DATASETS, lambda adapter: adapter.title)


def _models_short() -> Listed:
    from dfbench.models.registry import MODELS

    return _described(MODELS, lambda spec: spec.paper)


def _described(registry: Registry[T], text: Callable[[T], str]) -> Listed:
    """Return names and one line each; an entry that cannot be loaded is described by its error."""
    rows = []
    for name in registry.names():
        try:
            line = text(registry.get(name))
        except DfbenchError:
            line = ""
        entry = registry.entry(name)
        package = f" ({entry.origin})" if entry.package else ""
        rows.append((name, f"{line}{package}" if line else registry.describe(name)))
    return rows


def _models_long() -> LongTable:
    from dfbench.models.registry import get_spec, model_names

    rows = []
    for spec in map(get_spec, model_names()):
        sizes = " ".join(map(str, spec.sizes)) + (" any" if spec.any_size else "")
        presets = "; ".join(f"{name}: {preset.summary}" for name, preset in spec.presets.items()) or "-"
        rows.append((spec.name, sizes, spec.provenance, spec.measured, presets, spec.paper))
    return ("name", "sizes", "provenance", "measured", "presets", "paper"), rows


def _protocols_short() -> Listed:
    from dfbench.protocols.files import load_protocol, protocol_names

    return [(name, load_protocol(name).summary) for name in protocol_names()]


def _protocols_long() -> LongTable:
    from dfbench.protocols.compose import split_name
    from dfbench.protocols.files import load_protocol, protocol_names
    from dfbench.protocols.needs import needs, prepare_command

    rows = []
    for name in protocol_names():
        p = load_protocol(name)
        base = load_protocol(split_name(name)[0])
        commands = "; ".join(prepare_command(dataset, p, base) for dataset in p.datasets())
        wanted = " | ".join(f"{dataset}: {text}" for dataset, text in needs(p).items())
        rows.append((p.name, str(p.version), p.hash[:12], p.task, p.summary, wanted, commands, p.source))
    return ("name", "version", "hash", "task", "summary", "needs", "prepare its manifests", "source"), rows


def _tables_short() -> Listed:
    from dfbench.report.papers import load_table, table_names

    return [(name, load_table(name).title) for name in table_names()]


def _tables_long() -> LongTable:
    from dfbench.report.papers import load_table, table_names

    definitions = [load_table(name) for name in table_names()]
    return ("name", "title", "protocols"), [(d.name, d.title, ", ".join(d.protocols())) for d in definitions]


def _degradations_long() -> LongTable:
    from dfbench.degrade import SEVERITIES, available, degradation_names, get_degradation, severity_condition

    rows = []
    for found in map(get_degradation, degradation_names()):
        parameters = "; ".join(f"{p.name}={p.default}: {p.meaning}, {p.range}" for p in found.parameters)
        levels = f"{found.parameters[0].name}={', '.join(str(level) for level in found.levels)}"
        stages = " ".join(f"@{stage}" for stage in found.stages)
        reason = available(severity_condition(found.name, 1))
        usable = "yes" if reason is None else f"no: {reason}"
        note = f"severities are {found.rule}." + (f" {found.note}" if found.note else "")
        rows.append((found.name, found.summary, parameters, levels, stages, found.source, usable, note))
    severities = f"severity {SEVERITIES[0]}-{SEVERITIES[-1]}"
    return ("name", "summary", "parameters", severities, "stages", "source", "available", "notes"), rows


def _training_methods_long() -> LongTable:
    from dfbench.training.methods import TRAINING_METHODS

    rows = []
    for name in TRAINING_METHODS:
        try:
            method = TRAINING_METHODS.get(name)
        except DfbenchError as error:
            rows.append((name, "-", "-", "-", f"broken: {error.message}"))
            continue
        options = " ".join(f"{option}={value}" for option, value in method.options.items()) or "-"
        columns = " ".join((*method.columns, *method.extras)) or "-"
        rows.append((name, method.version, options, columns, TRAINING_METHODS.describe(name)))
    return ("name", "version", "options (--method-option)", "columns", "summary"), rows


def _suites() -> Listed:
    from dfbench.degrade import suite_names

    return [(name, f"conditions for dfbench evaluate --suite {name}") for name in suite_names()]


def _conditions() -> Listed:
    from dfbench.degrade import ALIASES

    return list(ALIASES.items())


KINDS = (
    ListedKind("datasets", "Data sets that dfbench prepare reads.", short=_datasets_short, long=_datasets_long),
    ListedKind("models", "Registered detectors.", short=_models_short, long=_models_long),
    ListedKind("protocols", "Protocols and their variants.", short=_protocols_short, long=_protocols_long),
    ListedKind("tables", "Paper tables that dfbench table prints.", short=_tables_short, long=_tables_long),
    ListedKind(
        "degradations",
        "Degradations, the steps of a condition.",
        "dfbench.degrade.registry:DEGRADATIONS",
        None,
        _degradations_long,
    ),
    ListedKind("conditions", "Names of papers for conditions.", short=_conditions),
    ListedKind("suites", "Suites of conditions.", short=_suites),
    ListedKind("metrics", "Metrics.", "dfbench.metrics.definitions:METRICS"),
    ListedKind("profiles", "Crop profiles.", "dfbench.faces.profiles:CROP_PROFILES"),
    ListedKind("face-detectors", "Face detectors.", "dfbench.faces.detectors:FACE_DETECTORS"),
    ListedKind("landmarks", "Providers of dense landmarks.", "dfbench.faces.landmarks:LANDMARKS"),
    ListedKind("decoders", "Video decoders.", "dfbench.media.reader:DECODERS"),
    ListedKind(
        "training-methods",
        "Training methods.",
        "dfbench.training.methods:TRAINING_METHODS",
        None,
        _training_methods_long,
    ),
)


@click.group(
    name="list",
    invoke_without_command=True,
    epilog="""\b
Examples:
  dfbench list
  dfbench list models --long""",
)
@click.pass_context
def list_group(context: click.Context) -> None:
    """List everything that has a name, including plug-ins of installed packages; without COMMAND, all kinds."""
    if context.invoked_subcommand is None:
        for number, kind in enumerate(KINDS):
            if number:
                echo()
            echo(f"{kind.title}  (dfbench list {kind.name})")
            for line in short_lines(kind.rows(), indent="  "):
                echo(line)


def short_lines(rows: Listed, indent: str = "") -> list[str]:
    """Return a line of at most 100 columns per row: the name and as much of the text as fits.

    >>> short_lines([("a", "first"), ("long-name", "x " * 100)])[1].endswith("...")
    True
    """
    if not rows:
        return [f"{indent}none"]
    width = max(len(name) for name, _ in rows)
    available = max(20, WIDTH - len(indent) - width - 2)
    return [
        f"{indent}{name.ljust(width)}  {textwrap.shorten(text, available, placeholder=' ...')}".rstrip()
        for name, text in rows
    ]


def _print(kind: ListedKind, long: bool) -> None:
    if not long:
        for line in short_lines(kind.rows()):
            echo(line)
        return
    header, rows = kind.long() if kind.long is not None else (("name", "summary"), kind.rows())
    print_table(header, rows, lines_between=True)


def _add_command(kind: ListedKind) -> None:
    @list_group.command(kind.name, help=kind.title, epilog=f"Example: dfbench list {kind.name} --long")
    @click.option("--long", is_flag=True, help="All columns, without shortening.")
    def command(long: bool) -> None:
        _print(kind, long)


@list_group.command(epilog="Example: dfbench list models --reproduction-notes")
@click.option("--long", is_flag=True, help="All columns, without shortening.")
@click.option("--reproduction-notes", is_flag=True, help="Also what each paper leaves open, and the reading chosen.")
@deprecated_alias("--open-points", "--reproduction-notes", is_flag=True)
def models(long: bool, reproduction_notes: bool) -> None:
    """Registered detectors."""
    from dfbench.models.registry import get_spec, model_names

    _print(next(kind for kind in KINDS if kind.name == "models"), long)
    if reproduction_notes:
        for spec in map(get_spec, model_names()):
            for note in spec.reproduction_notes:
                option = f" (option {note.option})" if note.option else ""
                echo(f"{spec.name}: {note.what} -> {note.reading}{option}")


for _kind in KINDS:
    if _kind.name != "models":
        _add_command(_kind)
