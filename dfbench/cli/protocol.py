"""``dfbench protocol``: show a protocol in full, and check a protocol file."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from dfbench.cli.show import echo

if TYPE_CHECKING:
    from dfbench.protocols.protocol import Protocol


@click.group(name="protocol", epilog="Example: dfbench protocol show grnet/dfdc@frame-random")
def protocol_group() -> None:
    """Show a protocol, or check a protocol file."""


@protocol_group.command(epilog="Example: dfbench protocol show grnet/dfdc@frame-random")
@click.argument("name")
def show(name: str) -> None:
    """Show everything that the protocol NAME (or a file) specifies, and what its source leaves open."""
    from dfbench.protocols.files import load_protocol, variants

    protocol = load_protocol(name)
    for line in _lines(protocol):
        echo(line)
    others = [v for v in variants(name) if not protocol.name.endswith(f"@{v}")]
    if others:
        echo(f"other variants: {', '.join(others)}")


@protocol_group.command(epilog="Example: dfbench protocol validate my_protocol.toml")
@click.argument("file")
def validate(file: str) -> None:
    """Check FILE (or a name) with all its variants; the last line is the hash of the protocol without variant.

    Checked are fields and the names of data sets, subsets, methods, crop profiles and metrics. Protocols that select
    on the test split, or use a scene for training and test without declaring it, are refused. The exit code is 3 if
    anything is wrong.
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
            echo(line)
        echo()
    echo(f"valid: {loaded[0].name} version {loaded[0].version}, {loaded[0].hash}")


def _lines(protocol: Protocol) -> list[str]:
    """Describe a protocol for people, one fact per line; a protocol without training data has no training lines."""
    from dfbench.protocols.needs import needs, prepare_commands

    p = protocol
    trains = any(part.role == "train" for part in p.data)
    task = f"{p.task}: {', '.join(p.classes)}; real: {', '.join(p.reals)}" if p.classes else p.task
    lines = [
        f"{p.name} version {p.version}, {p.hash}",
        f"summary: {p.summary}",
        f"source: {p.source}",
        f"task: {task}",
        *(f"needs {name}: {text}" for name, text in needs(p).items()),
        *(f"{role}: {text}" for role in ("train", "val", "test") if (text := _data_of(p, role))),
    ]
    tested = f"tested {', '.join(p.conditions.test)}"
    if trains:
        recipe = {k: v for k, v in p.training.model_dump().items() if v is not None and k != "augmentation"}
        chosen = f"{p.selection.metric} on {p.selection.split}" if p.selection.split != "none" else "the last epoch"
        lines += [
            f"conditions: trained {p.conditions.train}, {tested}",
            f"training: {', '.join(f'{k} {v}' for k, v in recipe.items())}; otherwise the recipe of the detector",
            f"selection: {chosen}",
        ]
    else:
        lines.append(f"conditions: {tested}")
    lines += [
        f"metrics: {', '.join(p.metrics.names)}; threshold {p.metrics.threshold:g}",
        f"samples without a score: {p.failure_policy}",
    ]
    if p.threshold is not None:
        chosen = ", ".join(f"{k} {v}" for k, v in p.threshold.model_dump().items() if v)
        lines.append(f"decision on validation data: {chosen}")
    if p.caution:
        lines.append(f"caution: {p.caution}")
    lines += [f"open: {text}" for text in p.unverified]
    reference = shlex.quote(p.typed)
    lines += [f"prepare: {command}" for command in prepare_commands([p])]
    if trains:
        lines.append(f"train: dfbench train --model M --protocol {reference}")
    return [*lines, f"evaluate: dfbench evaluate --model M --protocol {reference}"]


def _data_of(protocol: Protocol, role: str) -> str:
    """Describe the data parts of a role."""
    texts = []
    for part in (p for p in protocol.data if p.role == role):
        text = " ".join([part.dataset, part.split, *part.subsets])
        if part.manipulations:
            text += f" ({', '.join(part.manipulations)})"
        if part.share is not None:
            percent = 100 * (part.share.stop - part.share.start)
            text += f", {percent:.0f} % of its {part.share.by.replace('_', ' ')}s sampled at random"
        texts.append(text)
    return "; ".join(texts)
