"""``dfbench protocol``: show a protocol in full, and check a file of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dfbench.protocols.protocol import Protocol


@click.group(name="protocol", epilog="Example: dfbench protocol show grnet/dfdc@frame-random")
def protocol_group() -> None:
    """Show a protocol, or check a file of your own."""


@protocol_group.command()
@click.argument("name")
def show(name: str) -> None:
    """Show everything that NAME (or a file) fixes, and what its source leaves open."""
    from dfbench.protocols.files import load_protocol, variants

    protocol = load_protocol(name)
    for line in _lines(protocol):
        click.echo(line)
    others = [v for v in variants(name) if not protocol.name.endswith(f"@{v}")]
    if others:
        click.echo(f"other variants: {', '.join(others)}")


@protocol_group.command()
@click.argument("file")
def validate(file: str) -> None:
    """Check FILE (or a name) with all its variants; the last line is the hash of the protocol itself.

    Fields, names of data sets, subsets, methods, crop profiles and metrics are looked up; a protocol that selects on
    test, or that uses one scene for training and test without saying so, is refused. Exit code 3 where anything is
    wrong.
    """
    from dfbench.protocols.check import check_protocol
    from dfbench.protocols.compose import SIGN
    from dfbench.protocols.files import load_protocol, variants

    names = [file, *(f"{file}{SIGN}{variant}" for variant in variants(file))] if SIGN not in file else [file]
    loaded = [load_protocol(name) for name in names]
    for protocol in loaded:
        check_protocol(protocol)
    for protocol in reversed(loaded):
        for line in _lines(protocol):
            click.echo(line)
        click.echo()
    click.echo(f"valid: {loaded[0].name} version {loaded[0].version}, {loaded[0].hash}")


def _lines(protocol: Protocol) -> list[str]:
    """A protocol for people, one fact a line."""
    from dfbench.protocols.needs import needs, prepare_commands

    p = protocol
    task = f"{p.task}: {', '.join(p.classes)}" if p.classes else p.task
    chosen = f"{p.selection.metric} on {p.selection.split}" if p.selection.split != "none" else "the last epoch"
    recipe = {k: v for k, v in p.training.model_dump().items() if v is not None and k != "augmentation"}
    lines = [
        f"{p.name} version {p.version}, {p.hash}",
        f"what: {p.summary}",
        f"source: {p.source}",
        f"task: {task}",
        *(f"needs {name}: {words}" for name, words in needs(p).items()),
        *(f"make it: {command}" for command in prepare_commands([p])),
        *(f"{role}: {text}" for role in ("train", "val", "test") if (text := _role(p, role))),
        f"conditions: trained {p.conditions.train}, tested {', '.join(p.conditions.test)}",
        f"training: {', '.join(f'{k} {v}' for k, v in recipe.items())}; all else is the detector's own recipe",
        f"selection: {chosen}",
        f"metrics: {', '.join(p.metrics.names)}; fake from {p.metrics.threshold:g} on",
        f"samples without a score: {p.failure_policy}",
    ]
    if p.caution:
        lines.append(f"caution: {p.caution}")
    return [*lines, *(f"open: {text}" for text in p.unverified)]


def _role(protocol: Protocol, role: str) -> str:
    """The data parts of a role."""
    words = []
    for part in (p for p in protocol.data if p.role == role):
        text = " ".join([part.dataset, part.split, *part.subsets])
        if part.manipulations:
            text += f" ({', '.join(part.manipulations)})"
        if part.share is not None:
            text += (
                f", {100 * (part.share.stop - part.share.start):.0f} % of its {part.share.by.replace('_', ' ')}s by lot"
            )
        words.append(text)
    return "; ".join(words)
