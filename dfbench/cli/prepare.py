"""``dfbench prepare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dfbench.cli.show import print_table
from dfbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyarrow import Table

    from dfbench.manifest.manifest import Manifest
    from dfbench.mini.settings import MiniSettings
    from dfbench.preparation.planning.job_array import Portion
    from dfbench.schema.manifest import ManifestInfo

MOST_NAMED = 3


@click.command(
    epilog="""\b
Examples:
  dfbench prepare mini
  dfbench prepare ff++ --root /data/FaceForensics --subset c23 --jobs 8
  dfbench prepare ff++ --split test --every 30 --max 10 --size 299 --profile box --out manifests/ffpp-box
  dfbench prepare ff++ --protocol my_protocol.toml --dry-run
  dfbench prepare dfdc --shards 3/16 --out manifests/dfdc
  dfbench prepare dfdc --engine dask --address tcp://head:8786""",
)
@click.argument("dataset")
@click.option("--root", metavar="DIR", help="The data set's folder or its parent; wins over the configuration.")
@click.option("--out", metavar="DIR", help="The manifest's folder  [default: manifests/DATASET].")
@click.option("--protocol", metavar="P", help="Take frames, crops and media from a protocol (name or file).")
@click.option("--frames", type=int, metavar="K", help="Frames a clip, evenly spread  [default: 32].")
@click.option("--every", type=int, metavar="N", help="Frames 0, N, 2N, ... instead of --frames.")
@click.option("--max", "max_frames", type=int, metavar="M", help="At most M frames a clip, with --every.")
@click.option(
    "--sampling",
    multiple=True,
    metavar="[SPLIT:]RULE",
    help="Other frame rules: all, random=20, clips=4,length=16, first=32, total_real=N,total_per_method=N; repeat "
    "for other splits (test:frames=100).",
)
@click.option("--faces", "face_rule", metavar="RULE", help="largest, track, all or manipulated  [default: largest].")
@click.option(
    "--geometry", default="own", show_default=True, help="own, or shared: faces of the base clip for all made from it."
)
@click.option(
    "--size", "sizes", type=int, multiple=True, metavar="S", help="Crop size in pixels; repeat  [default: 128, 224]."
)
@click.option("--profile", metavar="P", help="Crop profile; see: dfbench list profiles  [default: native].")
@click.option("--subset", "subsets", multiple=True, metavar="NAME", help="Keep this compression (c23); repeat.")
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Keep train, val or test; repeat.")
@click.option(
    "--manipulation",
    "manipulations",
    multiple=True,
    metavar="NAME",
    help="Keep these fakes; reals always stay; repeat.",
)
@click.option("--jobs", type=int, metavar="N", help="Worker processes  [default: one a core].")
@click.option("--engine", default="local", show_default=True, metavar="E", help="What runs them: local, dask or ray.")
@click.option("--address", metavar="A", help="Scheduler of a Dask or Ray cluster  [default: workers on this machine].")
@click.option("--shards", metavar="I/N", help="Make the I-th of N parts, for array jobs; then: dfbench merge.")
@click.option("--decoder", default="pyav", show_default=True, help="Video reader: pyav or decord.")
@click.option(
    "--face-detector",
    default="centerface",
    show_default=True,
    metavar="D",
    help="What finds the faces: centerface, centerface-full, insightface, dlib or dlib-gray.",
)
@click.option("--face-model", metavar="PATH", help="insightface: a model pack's folder or its det_10g.onnx.")
@click.option("--dlib-predictor", metavar="FILE", help="Landmark file of dlib; makes the profile dfb256 exact.")
@click.option("--device", default="cpu", show_default=True, help="Face detector: auto, cpu or cuda[:N].")
@click.option("--landmarks", metavar="NAME", help="Store dense landmarks of an installed provider.")
@click.option("--patch", is_flag=True, help="Store the source around each face too, for dfbench recrop.")
@click.option("--masks", is_flag=True, help="Store crops of the fakes' mask videos too (ff++, dfd).")
@click.option("--degrade", metavar="SPEC", help="Make the crops under a condition: jpeg:q=60, h264:crf=40@clip.")
@click.option("--seed", type=int, default=0, show_default=True, help="For what draws at random; kept in the recipe.")
@click.option("--pairs", metavar="TRAIN,VAL,TEST", help="mini only: pairs of people a split  [default: 12,4,20].")
@click.option("--mini-seed", type=int, metavar="N", help="mini only: seed of the invented people.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, write nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no summary.")
def prepare(
    dataset: str,
    root: str | None,
    out: str | None,
    pairs: str | None,
    mini_seed: int | None,
    dry_run: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Turn the tree of DATASET into a manifest of face crops.

    Run again after an interruption, it goes on from there. A manipulation filter keeps all reals.
    See: dfbench list datasets.
    """
    from dfbench.datasets.registry import get_adapter

    get_adapter(dataset)
    if (pairs is not None or mini_seed is not None) and dataset != "mini":
        raise UsageError("--pairs and --mini-seed go with the data set mini", "dfbench prepare mini --pairs 12,4,20")
    mini = _mini_settings(pairs, mini_seed) if dataset == "mini" else None
    options["sizes"] = options["sizes"] or None
    if dry_run:
        from dfbench.cli.plan import show_plan
        from dfbench.preparation.prepare import dry_run as plan_only
        from dfbench.preparation.prepare import plan_folder

        workers, portion = _check_workers(options)
        found = plan_only(dataset, root, out, mini=mini, **options)
        if found is None:
            click.echo("the embedded data set is not generated yet: nothing to scan; all options are right")
        else:
            show_plan(found, plan_folder(dataset, out), workers, portion)
        return
    from dfbench.preparation.prepare import prepare as run

    manifest = run(dataset, root, out, quiet=quiet, mini=mini, **options)
    if not quiet:
        show_summary(manifest)
    if manifest.info.profile.endswith("~"):
        click.echo(f"note: {manifest.info.profile} is approximate, see docs/media-and-faces.md, crop profiles")
    click.echo(str(manifest.path))


def _check_workers(options: dict[str, Any]) -> tuple[int, Portion | None]:
    # Takes out of the options what decides no row, and returns the number of workers and the part of an array job.
    from dfbench.preparation.execution.engine import check_engine, job_count
    from dfbench.preparation.planning.job_array import parse_portion

    jobs, shards = options.pop("jobs"), options.pop("shards")
    check_engine(options.pop("engine"), options.pop("address"), jobs)
    return job_count(jobs), parse_portion(shards) if shards is not None else None


def _mini_settings(pairs: str | None, seed: int | None) -> MiniSettings:
    from dataclasses import replace

    from dfbench.mini.settings import MiniSettings

    settings = MiniSettings()
    if pairs is not None:
        words = pairs.split(",")
        if len(words) != 3 or not all(w.strip().isdigit() for w in words):
            raise UsageError(f"--pairs needs three numbers, not {pairs!r}", "for example --pairs 12,4,20")
        train, val, test = (int(w) for w in words)
        settings = replace(settings, train_pairs=train, val_pairs=val, test_pairs=test)
    return settings if seed is None else replace(settings, seed=seed)


def show_summary(manifest: Manifest) -> None:
    """Print what became of the requested frames, with examples of what went wrong."""
    from dfbench.datasets.adapter import total
    from dfbench.manifest.summary import SUMMARY_COLUMNS, statuses
    from dfbench.schema.manifest import STATUSES

    info = manifest.info
    rows: list[tuple[str | int, ...]] = [
        (split, label, *(by_status.get(s, 0) for s in STATUSES))
        for split, labels in info.counts.items()
        for label, by_status in labels.items()
    ]
    print_table(("split", "label", *STATUSES), rows, f"{info.dataset}: rows by status")
    for status in statuses(_problems(manifest, SUMMARY_COLUMNS), MOST_NAMED) if info.shards else ():
        if status.status != "ok":
            click.echo(f"{status.status}: {status.rows} rows of {status.media} clips, for example")
            for sample, reason in status.examples:
                click.echo(f"  {sample}: {reason}")
    say_sampling(info)
    if total(info.missing):
        click.echo(
            f"not in the tree: {total(info.missing)} of {total(info.expected)} expected clips (see manifest.json)"
        )
    say_left_out(info.left_out)
    say_warnings(info.warnings)


def say_sampling(info: ManifestInfo) -> None:
    """Print what totals asked for and the clips did not have, and which scene groups share their geometry."""
    from dfbench.datasets.adapter import flat

    for (subset, split, label, method), number in flat(info.shortfall):
        name = method if method == label else f"{label} {method}"
        click.echo(f"shortfall: {number} frames fewer than the total of {subset} {split} {name}: clips are too short")
    if info.geometry == "shared":
        groups = info.geometry_groups
        click.echo(
            f"geometry: {groups.get('shared', 0)} scene groups (of one compression each) share that of their base "
            f"clips, {groups.get('own', 0)} keep their own (a base missing, or of another size or framing)"
        )


def _problems(manifest: Manifest, columns: Sequence[str]) -> Table:
    # Shard by shard, since the ids of all rows of a large data set take gigabytes.
    import pyarrow as pa
    import pyarrow.compute as pc

    shards = (manifest.shard_table(n, columns) for n in range(len(manifest.info.shards)))
    return pa.concat_tables([rows.filter(pc.not_equal(rows["status"], "ok")) for rows in shards])


def say_left_out(left_out: dict[str, list[str]]) -> None:
    """Print what was found and not used, with examples."""
    for reason, paths in left_out.items():
        more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
        click.echo(f"left out, {reason}: {', '.join(paths[:MOST_NAMED])}{more}")


def say_warnings(warnings: Sequence[str]) -> None:
    """Print what the scan of the tree has to say."""
    for warning in warnings:
        click.echo(f"warning: {warning}")
