"""``dfbench merge``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  dfbench prepare dfdc --root /data/dfdc --shards 3/16 --out manifests/dfdc      # sixteen of these, anywhere
  dfbench merge manifests/dfdc
  dfbench merge /scratch/part-1 /scratch/part-2 --out manifests/dfdc""",
)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", help="The manifest's folder  [default: DIR, where there is one alone].")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def merge(folders: tuple[Path, ...], out: str | None, quiet: bool) -> None:
    """Join the parts in DIR... that array jobs made with --shards into one manifest.

    Parts may lie in one folder or in several. What is missing, unfinished or does not belong together is named.
    """
    from dfbench.cli.prepare import show_summary
    from dfbench.preparation.derived.merge import merge as join

    manifest = join(folders, out, quiet)
    if not quiet:
        show_summary(manifest)
    click.echo(str(out if out is not None else folders[0]))
