"""``dfbench degrade``."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  dfbench degrade manifests/mini --with jpeg:q=60 --out manifests/mini-jp60
  dfbench degrade manifests/ff++ --with h264:crf=40@clip --root /data/FaceForensics --out manifests/ff++-crf40""",
)
@click.argument("manifest")
@click.option("--with", "condition", required=True, metavar="SPEC", help="See: dfbench list degradations.")
@click.option("--out", required=True, metavar="DIR", help="Folder of the new manifest.")
@click.option("--root", metavar="DIR", help="The data set's tree, for @source and @clip  [default: the configuration].")
@click.option("--jobs", type=int, metavar="N", help="Worker processes  [default: one a core].")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def degrade(manifest: str, condition: str, out: str, root: str | None, jobs: int | None, quiet: bool) -> None:
    """Copy MANIFEST with all crops under a degradation; rows, faces and geometry stay.

    @crop degrades the stored crops. @source and @clip degrade whole frames or clips and cut them with the stored
    geometry, so that no face moves. Run again after an interruption, it goes on from there.
    """
    from dfbench.preparation.derived.degrade import degrade as run

    made = run(manifest, condition, out, root=root, jobs=jobs, quiet=quiet)
    if not quiet:
        click.echo(f"{made.info.name}: {made.info.condition}, recipe {made.info.recipe_hash[:12]}")
    click.echo(str(made.path))
