"""``dfbench inspect`` and ``dfbench verify``."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.show import print_table
from dfbench.errors import DataError

MOST_PROBLEMS = 20


@click.command(epilog="Example: dfbench inspect manifests/mini --faces faces.png")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--faces", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw a contact sheet of face crops."
)
@click.option(
    "--per-row", type=click.IntRange(1, 64), default=8, show_default=True, help="Faces a method on the sheet."
)
def inspect(manifest: Path, faces: Path | None, per_row: int) -> None:
    """Show what MANIFEST holds: counts by split, label, manipulation and status."""
    from dfbench.manifest.manifest import open_manifest
    from dfbench.manifest.summary import SUMMARY_COLUMNS, breakdown
    from dfbench.schema.manifest import STATUSES

    opened = open_manifest(manifest)
    info = opened.info
    sizes = ", ".join(map(str, info.sizes))
    click.echo(f"{info.name}: {info.dataset}, crop profile {info.profile}, sizes {sizes}, geometry {info.geometry}")
    if info.condition != "clean":
        click.echo(f"crops under {info.condition}")
    click.echo(f"read by {info.decoder}, faces by {info.face_detector}")
    click.echo(f"recipe {info.recipe_hash[:12]}, content {info.hash[:12]}")
    click.echo(f"licence: {info.licence}")
    rows = breakdown(opened.table(SUMMARY_COLUMNS))
    print_table(("split", "subset", "label", "manipulation", "clips", *STATUSES), rows)
    if faces is not None:
        from dfbench.manifest.contact_sheet import write_contact_sheet

        write_contact_sheet(opened, faces, per_row)
        click.echo(str(faces))


@click.command(epilog="Example: dfbench verify manifests/mini")
@click.argument("manifest", type=click.Path(path_type=Path))
def verify(manifest: Path) -> None:
    """Check the hashes, counts, identifiers and every crop of MANIFEST."""
    from dfbench.manifest.info import read_info
    from dfbench.manifest.verify import verify as check

    problems = check(manifest)
    for problem in problems[:MOST_PROBLEMS]:
        click.echo(f"{problem.kind}: {problem.where}: {problem.message}")
    if problems:
        first = f"{len(problems)} problems, first: {problems[0].where}: {problems[0].message}"
        raise DataError(
            f"{manifest} is not in order: {first}", "delete the shards named and run the same dfbench prepare again"
        )
    info = read_info(manifest)
    rows = sum(shard.rows for shard in info.shards)
    click.echo(f"{manifest} is in order: {len(info.shards)} shards, {rows} rows, content {info.hash}")
