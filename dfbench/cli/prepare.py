"""``dfbench prepare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dfbench.cli.show import print_table
from dfbench.errors import UsageError

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest
    from dfbench.mini.settings import MiniSettings
    from dfbench.preparation.prepare import Plan

MOST_NAMED = 3


@click.command(
    epilog="""\b
Examples:
  dfbench prepare mini
  dfbench prepare ff++ --root /data/FaceForensics --subset c23 --jobs 8
  dfbench prepare ff++ --split test --every 30 --max 10 --size 299 --profile box --out manifests/ffpp-box
  dfbench prepare ff++ --protocol my_protocol.toml --dry-run""",
)
@click.argument("dataset")
@click.option("--root", metavar="DIR", help="The data set's folder or its parent; wins over the configuration.")
@click.option("--out", metavar="DIR", help="The manifest's folder  [default: manifests/DATASET].")
@click.option("--protocol", metavar="P", help="Take frames, crops and media from a protocol (name or file).")
@click.option("--frames", type=int, metavar="K", help="Frames a clip, evenly spread  [default: 32].")
@click.option("--every", type=int, metavar="N", help="Frames 0, N, 2N, ... instead of --frames.")
@click.option("--max", "max_frames", type=int, metavar="M", help="At most M frames a clip, with --every.")
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
@click.option("--decoder", default="pyav", show_default=True, help="Video reader.")
@click.option("--face-detector", default="centerface", show_default=True, help="What finds the faces.")
@click.option("--seed", type=int, default=0, show_default=True, help="Kept in the recipe.")
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
        from dfbench.preparation.prepare import dry_run as plan_only

        found = plan_only(dataset, root, out, mini=mini, **_without_jobs(options))
        if found is None:
            click.echo("the embedded data set is not generated yet: nothing to scan; all options are right")
        else:
            _show_plan(found)
        return
    from dfbench.preparation.prepare import prepare as run

    manifest = run(dataset, root, out, quiet=quiet, mini=mini, **options)
    if not quiet:
        show_summary(manifest)
    click.echo(str(manifest.path))


def _without_jobs(options: dict[str, Any]) -> dict[str, Any]:
    from dfbench.preparation.engine import job_count

    job_count(options["jobs"])
    return {name: value for name, value in options.items() if name != "jobs"}


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


def _show_plan(plan: Plan) -> None:
    from dfbench.datasets.counts import flat, media_cell

    found: dict[tuple[str, str, str, str], int] = {}
    for media in plan.scan.media:
        found[media_cell(media)] = found.get(media_cell(media), 0) + 1
    expected, missing = dict(flat(plan.scan.expected)), dict(flat(plan.scan.missing))
    cells = sorted({*expected, *found})
    rows = [(*c, found.get(c, 0), expected.get(c, 0), missing.get(c, 0)) for c in cells]
    print_table(("subset", "split", "label", "manipulation", "found", "expected", "missing"), rows)
    _say_left_out({k: list(v) for k, v in plan.scan.left_out.items()})
    for warning in plan.scan.warnings:
        click.echo(f"warning: {warning}")
    rule = plan.recipe.sampling
    most = len(plan.scan.media) * rule.rows_planned
    bound = f"at most {most}" if rule.frames or rule.max else "all such"
    sizes = ", ".join(map(str, plan.recipe.sizes))
    click.echo(
        f"would prepare {len(plan.scan.media)} clips of {plan.root} ({rule.option}, {bound} rows, "
        f"profile {plan.recipe.profile}, sizes {sizes}) into {len(plan.shards)} shards"
    )


def show_summary(manifest: Manifest) -> None:
    """Print what became of the requested frames, with examples of what went wrong."""
    from dfbench.datasets.counts import total
    from dfbench.manifest.summary import SUMMARY_COLUMNS, statuses
    from dfbench.schema.manifest import STATUSES

    info = manifest.info
    rows: list[tuple[str | int, ...]] = [
        (split, label, *(by_status.get(s, 0) for s in STATUSES))
        for split, labels in info.counts.items()
        for label, by_status in labels.items()
    ]
    print_table(("split", "label", *STATUSES), rows, f"{info.dataset}: rows by status")
    for status in statuses(manifest.table(SUMMARY_COLUMNS), MOST_NAMED):
        if status.status != "ok":
            click.echo(f"{status.status}: {status.rows} rows of {status.media} clips, for example")
            for sample, reason in status.examples:
                click.echo(f"  {sample}: {reason}")
    if total(info.missing):
        click.echo(
            f"not in the tree: {total(info.missing)} of {total(info.expected)} expected clips (see manifest.json)"
        )
    _say_left_out(info.left_out)


def _say_left_out(left_out: dict[str, list[str]]) -> None:
    for reason, paths in left_out.items():
        more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
        click.echo(f"left out, {reason}: {', '.join(paths[:MOST_NAMED])}{more}")
