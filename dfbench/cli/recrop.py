"""``dfbench recrop``."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  dfbench prepare ff++ --root /data/FaceForensics --patch
  dfbench recrop manifests/ff++ --profile dfb256 --size 256 --out manifests/ff++-dfb256""",
)
@click.argument("manifest")
@click.option("--profile", metavar="P", help="Crop profile; see: dfbench list profiles  [default: the manifest's].")
@click.option("--size", "sizes", type=int, multiple=True, metavar="S", help="Crop size in pixels; repeat.")
@click.option("--out", required=True, metavar="DIR", help="Folder of the new manifest.")
@click.option("--jobs", type=int, metavar="N", help="Worker processes  [default: one a core].")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def recrop(manifest: str, profile: str | None, sizes: tuple[int, ...], out: str, jobs: int | None, quiet: bool) -> None:
    """Cut crops of another profile or size out of MANIFEST's patches, without the videos.

    The manifest must have been prepared with --patch. Run again after an interruption, it goes on from there.
    """
    from dfbench.preparation.derived.recrop import recrop as run

    made = run(manifest, out, profile=profile, sizes=sizes or None, jobs=jobs, quiet=quiet)
    if not quiet:
        info = made.info
        click.echo(f"{info.name}: crop profile {info.profile}, sizes {', '.join(map(str, info.sizes))}")
        for size, rows in info.recrop["uncovered"].items():
            if rows:
                click.echo(f"size {size}: {rows} crops reach beyond their patch, whose border goes on there")
    click.echo(str(made.path))
