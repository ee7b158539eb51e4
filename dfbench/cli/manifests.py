"""Commands on manifests: ``inspect``, ``verify``; ``merge``, ``recrop``, ``degrade`` and ``upgrade`` make new ones."""

from __future__ import annotations

from pathlib import Path

import click

from dfbench.cli.options import LOCAL_PATH, PATH_OR_URL, deprecated_alias
from dfbench.cli.show import echo, print_table
from dfbench.errors import DataError

MOST_PROBLEMS = 20

_out_option = click.option("--out", required=True, metavar="DIR", help="Folder of the new manifest.")
_workers_option = click.option("--workers", type=int, metavar="N", help="Worker processes  [default: one per CPU core]")
_old_jobs_option = deprecated_alias("--jobs", "--workers")
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")


@click.command(epilog="Example: dfbench inspect manifests/mini --faces faces.png")
@click.argument("manifest", type=PATH_OR_URL)
@click.option("--faces", type=LOCAL_PATH, metavar="FILE.png", help="Draw a contact sheet of face crops.")
@click.option(
    "--per-row", type=click.IntRange(1, 64), default=8, show_default=True, help="Faces per method on the sheet."
)
def inspect(manifest: Path, faces: Path | None, per_row: int) -> None:
    """Show what MANIFEST holds: counts by split, label, manipulation and status."""
    from dfbench.cli.preparation_summary import print_unusual
    from dfbench.io import check_output_file
    from dfbench.manifest.manifest import open_manifest
    from dfbench.manifest.summary import breakdown
    from dfbench.schema.manifest import STATUSES

    if faces is not None:
        check_output_file(faces, "--faces FILE.png")
    opened = open_manifest(manifest)
    info = opened.info
    sizes = ", ".join(map(str, info.sizes))
    echo(f"{info.name}: {info.dataset}, crop profile {info.profile}, sizes {sizes}, geometry {info.geometry}")
    if info.condition != "clean":
        echo(f"condition of the crops: {info.condition}")
    runtime = f" on {info.face_detector_runtime}" if info.face_detector_runtime else ""
    echo(f"decoder {info.decoder}, face detector {info.face_detector}{runtime}")
    echo(f"recipe {info.recipe_hash[:12]}, content {info.hash[:12]}")
    echo(f"licence: {info.licence}")
    rows = breakdown(opened)
    print_table(("split", "subset", "label", "manipulation", "clips", *STATUSES), rows)
    print_unusual(info)
    if faces is not None:
        from dfbench.manifest.contact_sheet import write_contact_sheet

        write_contact_sheet(opened, faces, per_row)
        echo(str(faces))


@click.command(epilog="Example: dfbench verify manifests/mini")
@click.argument("manifest", type=PATH_OR_URL)
def verify(manifest: Path) -> None:
    """Check the hashes, counts, identifiers and every crop of MANIFEST."""
    from dfbench.manifest.info import read_info
    from dfbench.manifest.verify import find_problems

    count, first = 0, ""
    for problem in find_problems(manifest):
        count += 1
        shown = f"{problem.where}: {problem.message}"
        first = first or shown
        if count <= MOST_PROBLEMS:
            echo(f"{problem.kind}: {shown}")
    if count:
        raise DataError(
            f"{manifest} is damaged: {count} problems, first: {first}",
            "delete these shards and rerun the dfbench prepare command that made them",
        )
    info = read_info(manifest)
    rows = sum(shard.rows for shard in info.shards)
    echo(f"{manifest} is intact: {len(info.shards)} shards, {rows} rows, content {info.hash}")


@click.command(
    epilog="""\b
Examples:
  dfbench prepare dfdc --root /data/dfdc --array 3/16 --out manifests/dfdc      # parts 1 to 16, on any machine
  dfbench merge manifests/dfdc
  dfbench merge /scratch/part-1 /scratch/part-2 --out manifests/dfdc""",
)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=PATH_OR_URL)
@click.option("--out", metavar="DIR", help="The manifest's folder  [default: DIR, if only one is given]")
@_quiet_option
def merge(folders: tuple[Path, ...], out: str | None, quiet: bool) -> None:
    """Join the parts in DIR... that array jobs made with prepare --array into one manifest.

    Parts may be in one folder or in several. Parts that are missing, unfinished or do not belong together are named.
    """
    from dfbench.cli.preparation_summary import show_summary
    from dfbench.preparation.derived.merge import merge as join

    manifest = join(folders, out, quiet)
    if not quiet:
        show_summary(manifest)
    echo(str(out if out is not None else folders[0]))


@click.command(
    epilog="""\b
Examples:
  dfbench prepare ff++ --root /data/FaceForensics --patch
  dfbench recrop manifests/ff++ --profile dfb256 --size 256 --out manifests/ff++-dfb256""",
)
@click.argument("manifest")
@click.option("--profile", metavar="P", help="Crop profile; see: dfbench list profiles  [default: the manifest's]")
@click.option("--size", "sizes", type=int, multiple=True, metavar="S", help="Crop size in pixels; repeat.")
@_out_option
@_workers_option
@_old_jobs_option
@_quiet_option
def recrop(
    manifest: str, profile: str | None, sizes: tuple[int, ...], out: str, workers: int | None, quiet: bool
) -> None:
    """Make crops of another profile or size from MANIFEST's patches, without the videos.

    The manifest must have been prepared with --patch. Rerun the same command to resume after an interruption.
    """
    from dfbench.preparation.derived.recrop import recrop as run

    made = run(manifest, out, profile=profile, sizes=sizes or None, workers=workers, quiet=quiet)
    if not quiet:
        info = made.info
        echo(f"{info.name}: crop profile {info.profile}, sizes {', '.join(map(str, info.sizes))}")
        for size, rows in info.recrop["uncovered"].items():
            if rows:
                echo(f"size {size}: {rows} crops extend beyond their patch, whose border is replicated there")
    echo(str(made.path))


@click.command(
    epilog="""\b
Examples:
  dfbench degrade manifests/mini --condition jpeg:q=60 --out manifests/mini-jp60
  dfbench degrade manifests/ff++ --condition h264:crf=40@clip --root /data/FaceForensics --out manifests/ff++-crf40""",
)
@click.argument("manifest")
@click.option("--condition", required=True, metavar="SPEC", help="Degradation; see: dfbench list degradations.")
@deprecated_alias("--with", "--condition")
@_out_option
@click.option("--root", metavar="DIR", help="The data set's tree, for @source and @clip  [default: the configuration]")
@_workers_option
@_old_jobs_option
@_quiet_option
def degrade(manifest: str, condition: str, out: str, root: str | None, workers: int | None, quiet: bool) -> None:
    """Copy MANIFEST with all crops degraded; rows, faces and geometry stay the same.

    @crop degrades the stored crops. @source and @clip degrade whole frames or clips and crop them with the stored
    geometry, so that no face moves. Rerun the same command to resume after an interruption.
    """
    from dfbench.preparation.derived.degrade import degrade as run

    made = run(manifest, condition, out, root=root, workers=workers, quiet=quiet)
    if not quiet:
        echo(f"{made.info.name}: {made.info.condition}, recipe {made.info.recipe_hash[:12]}")
    echo(str(made.path))


@click.command(
    epilog="""\b
Examples:
  dfbench upgrade manifests/ff++
  dfbench upgrade manifests/ff++ --out manifests/ff++-3""",
)
@click.argument("manifest", type=LOCAL_PATH)
@click.option("--out", metavar="DIR", type=LOCAL_PATH, help="Folder of the converted manifest  [default: in place]")
@_workers_option
@_quiet_option
def upgrade(manifest: Path, out: Path | None, workers: int | None, quiet: bool) -> None:
    """Convert MANIFEST to the current format, without the videos.

    Rows and pixels stay as they are. In place, the old manifest stays until all shards are converted. Rerun the same
    command to resume after an interruption.
    """
    from dfbench.preparation.derived.upgrade import upgrade as run

    made = run(manifest, out, workers=workers, quiet=quiet)
    if not quiet:
        echo(f"{made.info.name}: format {made.info.format_version}, content {made.info.hash[:12]}")
    echo(str(made.path))
