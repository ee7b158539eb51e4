"""``dfbench list``: what there is, with licence and source of each."""

from __future__ import annotations

from collections.abc import Sequence

import click


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: boxed and coloured on a terminal, plain aligned text elsewhere."""
    import sys

    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left", show_lines=True)
        for name in header:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.group(name="list", epilog="Example: dfbench list models")
def list_group() -> None:
    """List data sets, models, protocols, tables, degradations and crop profiles."""


@list_group.command()
def datasets() -> None:
    """Data sets that `dfbench prepare` reads, with licence and how to get access."""
    from dfbench.datasets.registry import adapter_names, get_adapter

    adapters = [get_adapter(name) for name in adapter_names()]
    print_table(
        "data sets",
        ("name", "title", "licence", "access"),
        [(a.name, a.title, a.licence, a.access) for a in adapters],
    )


@list_group.command()
@click.option("--reproduction-notes", is_flag=True, help="Also what each paper leaves open, and the reading chosen.")
def models(reproduction_notes: bool) -> None:
    """Registered detectors, with paper and provenance."""
    from dfbench.models.registry import get_spec, model_names

    specs = [get_spec(name) for name in model_names()]
    print_table(
        "models",
        ("name", "sizes", "provenance", "measured", "paper"),
        [
            (
                s.name,
                " ".join(map(str, s.sizes)) + (" any" if s.any_size else ""),
                s.provenance,
                s.measured,
                s.paper,
            )
            for s in specs
        ],
    )
    if reproduction_notes:
        for spec in specs:
            for point in spec.reproduction_notes:
                option = f" (option {point.option})" if point.option else ""
                click.echo(f"{spec.name}: {point.what} -> {point.reading}{option}")


@list_group.command()
def protocols() -> None:
    """Protocols and their variants, what each needs, and the commands that make it.

    What a paper leaves open, and the reading taken: dfbench protocol show NAME.
    """
    from dfbench.protocols.compose import split_name
    from dfbench.protocols.files import load_protocol, protocol_names
    from dfbench.protocols.needs import needs, prepare_command

    rows = []
    for name in protocol_names():
        p = load_protocol(name)
        base = load_protocol(split_name(name)[0])
        commands = "; ".join(prepare_command(dataset, p, base) for dataset in p.datasets())
        wanted = " | ".join(f"{dataset}: {words}" for dataset, words in needs(p).items())
        rows.append((p.name, str(p.version), p.hash[:12], p.task, p.summary, wanted, commands, p.source))
    head = ("name", "version", "hash", "task", "what", "needs", "make its manifests", "source")
    print_table("protocols", head, rows)


@list_group.command()
def tables() -> None:
    """Tables of papers that `dfbench table` prints, and the protocols of their cells."""
    from dfbench.report.papers import load_table, table_names

    definitions = [load_table(name) for name in table_names()]
    print_table(
        "tables",
        ("name", "title", "protocols"),
        [(d.name, d.title, ", ".join(d.protocols())) for d in definitions],
    )


@list_group.command()
def degradations() -> None:
    """Degradations: parameters with ranges, the five severities, where each acts, its source."""
    from dfbench.degrade import (
        ALIASES,
        SEVERITIES,
        available,
        degradation_names,
        get_degradation,
        severity_condition,
        suite_names,
    )

    rows = []
    for found in map(get_degradation, degradation_names()):
        parameters = "; ".join(f"{p.name}={p.default}: {p.meaning}, {p.range}" for p in found.parameters)
        reason = available(severity_condition(found.name, 1))
        rows.append(
            (
                found.name,
                found.summary,
                parameters,
                f"{found.parameters[0].name}={', '.join(str(level) for level in found.levels)}",
                " ".join(f"@{stage}" for stage in found.stages),
                found.source,
                "yes" if reason is None else f"no: {reason}",
            )
        )
    heads = ("name", "what", "parameters", f"severity {SEVERITIES[0]}-{SEVERITIES[-1]}", "acts", "source", "available")
    print_table("degradations", heads, rows)
    for found in map(get_degradation, degradation_names()):
        click.echo(f"{found.name}: severities are {found.rule}." + (f" {found.note}" if found.note else ""))
    click.echo(f"names of papers: {', '.join(f'{alias} = {spec}' for alias, spec in ALIASES.items())}")
    click.echo(f"suites: {', '.join(suite_names())}")


@list_group.command()
def profiles() -> None:
    """Crop profiles."""
    from dfbench.faces.profiles import get_profile, profile_names

    rows = [
        (name, " ".join((type(get_profile(name)).__doc__ or "").split("\n\n")[0].split())) for name in profile_names()
    ]
    print_table("crop profiles", ("name", "geometry"), rows)
