"""What ``dfbench prepare`` prints: before the work what was found and what it will take, afterwards what was made."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dfbench.cli.show import Value, echo, print_table, size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyarrow import Table

    from dfbench.datasets.adapter import Scan
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.planning.estimate import ClipCosts
    from dfbench.preparation.planning.shard_plan import ShardPlan
    from dfbench.preparation.planning.sharding import Shard
    from dfbench.preparation.prepare import PreparationPlan
    from dfbench.schema.manifest import ManifestInfo
    from dfbench.schema.sampling import Rule

MOST_EXAMPLES = 3
_UNUSUAL = {"frame_sizes": "frames of several sizes", "pixels_not_square": "pixels that are not square"}
INVENTORY_HEADER = ("subset", "split", "label", "manipulation", "have", "missing", "extra", "expected")


def show_plan(plan: PreparationPlan) -> None:
    """Print what a preparation would do: its steps, counts, warnings, and an estimate of time and disk space."""
    if plan.mini is not None:
        pairs = sum(plan.mini.pairs().values())
        clips = 2 * pairs * (1 + len(plan.mini.manipulations)) * len(plan.mini.subsets)
        echo(f"the mini data set will be generated first: {clips} clips of invented people in {plan.root}")
    if plan.shards is None:
        echo(f"would then prepare them ({_crops(plan)}) into {plan.out}; all options are valid")
        return
    print_table(INVENTORY_HEADER, inventory(plan.shards.scan))
    _print_excluded(plan.shards.scan.excluded)
    _print_warnings(plan.shards.scan.warnings)
    _print_estimate(plan, plan.shards)


def inventory(scan: Scan) -> list[tuple[Value, ...]]:
    """Rows of :data:`INVENTORY_HEADER`; where no counts are expected, the last three columns are ``-``."""
    from dfbench.datasets.adapter import count_key, flat

    have = Counter(count_key(media) for media in scan.media)
    expected, missing = dict(flat(scan.expected)), dict(flat(scan.missing))
    rows: list[tuple[Value, ...]] = []
    for key in sorted({*expected, *have}):
        n, wanted, lacking = have[key], expected.get(key), missing.get(key, 0)
        if not expected:
            rows.append((*key, n, "-", "-", "-"))
        else:
            # Extra: clips that were found and are not among the expected ones.
            rows.append((*key, n, lacking, n - ((wanted or 0) - lacking), wanted or 0))
    return rows


def _print_estimate(plan: PreparationPlan, found: ShardPlan) -> None:
    from dfbench.preparation.execution.inventory import some, take_inventory
    from dfbench.preparation.planning.estimate import detected_rows, duration, estimate, planned_rows

    part, recipe = plan.array_part, plan.recipe
    shards = [shard for shard in found.shards if part is None or part.takes(shard)]
    held = take_inventory(found, shards, plan.out, part, plan.resume.retry)
    finished, todo = held.finished, held.todo
    if held.missing:
        echo(f"warning: {some(held.missing)} of finished shards are not in the tree (--allow-missing drops them)")
    for message in held.messages():
        echo(f"warning: {message}")
    clips, clips_todo = (sum(len(shard.media) for shard in some) for some in (shards, todo))
    if finished:
        echo(f"already finished: {clips - clips_todo} of {clips} clips")
    frames: int | None = None
    if todo:
        costs, frames, basis = _costs(found, todo)
        workers = plan.workers.count or 1
        rows_todo = sum(planned_rows(recipe, shard, frames) for shard in todo)
        rest = estimate(recipe, clips_todo, rows_todo, workers, costs, detected_rows(recipe, todo, frames))
        disk = estimate(recipe, clips, sum(planned_rows(recipe, s, frames) for s in shards), workers, costs).bytes
        echo(
            f"estimate: {duration(rest.seconds)} with {workers} workers ({rest.clips_per_second:.2f} clips/s), "
            f"{size_text(disk)} of disk space, {basis}"
        )
    rows = sum(planned_rows(recipe, shard, frames) for shard in shards)
    echo(
        f"would prepare {clips} clips of {plan.root} ({recipe.sampling.option}, {_bound(found)} {rows} rows, "
        f"{_crops(plan)}) into {len(shards)} shards{'' if part is None else f' ({part})'}"
    )


def _costs(found: ShardPlan, todo: Sequence[Shard]) -> tuple[ClipCosts, int | None, str]:
    # What a clip costs, the length of a typical clip where it is known, and on what this rests.
    from dfbench.preparation.planning.estimate import assumed_costs
    from dfbench.preparation.probe import probe_clip

    probe = probe_clip(found, todo)
    if probe.costs is None:
        echo(f"warning: {probe.media_id} could not be opened for the estimate: {probe.problem}")
        return assumed_costs(found.recipe), None, "for clips of 1280x720 pixels and 300 frames (none was measured)"
    return (
        probe.costs,
        probe.frame_count,
        f"measured on {probe.media_id} ({probe.width}x{probe.height} pixels, {probe.frame_count} frames, "
        f"{probe.faces:.1f} faces per frame)",
    )


def _crops(plan: PreparationPlan) -> str:
    return f"profile {plan.recipe.profile}, sizes {', '.join(map(str, plan.recipe.sizes))}"


def _bound(found: ShardPlan) -> str:
    rules: set[Rule] = {rule for shard in found.shards for rule in shard.rules}
    rules = rules or {found.recipe.sampling}
    return "at most" if all(getattr(rule, "bounded", True) for rule in rules) else "about"


def show_summary(manifest: Manifest) -> None:
    """Print the statuses of the requested frames, with examples of what failed."""
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
    for status in statuses(_failed(manifest, SUMMARY_COLUMNS), MOST_EXAMPLES) if info.shards else ():
        if status.status != "ok":
            echo(f"{status.status}: {status.rows} rows of {status.media} clips, for example")
            for sample, reason in status.examples:
                echo(f"  {sample}: {reason}")
    _print_sampling(info)
    print_unusual(info)
    if total(info.missing):
        echo(f"not in the tree: {total(info.missing)} of {total(info.expected)} expected clips (see manifest.json)")
    _print_excluded(info.left_out)
    _print_warnings(info.warnings)


def _failed(manifest: Manifest, columns: Sequence[str]) -> Table:
    # Shard by shard, since the ids of all rows of a large data set take gigabytes.
    import pyarrow as pa
    import pyarrow.compute as pc

    shards = (manifest.shard_table(n, columns) for n in range(len(manifest.info.shards)))
    return pa.concat_tables([rows.filter(pc.not_equal(rows["status"], "ok")) for rows in shards])


def _print_sampling(info: ManifestInfo) -> None:
    from dfbench.datasets.adapter import flat

    for (subset, split, label, method), number in flat(info.shortfall):
        name = method if method == label else f"{label} {method}"
        echo(f"shortfall: {number} frames fewer than the total of {subset} {split} {name}: clips are too short")
    if info.geometry == "shared":
        groups = info.geometry_groups
        echo(
            f"geometry: {groups.get('shared', 0)} scene groups (of one compression level each) use the geometry of "
            f"their base clips, {groups.get('own', 0)} their own (a base is missing, or differs in size or framing)"
        )


def print_unusual(info: ManifestInfo) -> None:
    """Print how many media have frames that are used as stored although that is unusual."""
    for name, number in info.unusual.items():
        echo(f"{number} media with {_UNUSUAL.get(name, 'other peculiarities')}: their frames are used as stored")


def _print_excluded(excluded: Mapping[str, Sequence[str]]) -> None:
    for reason, paths in excluded.items():
        more = f" and {len(paths) - MOST_EXAMPLES} more" if len(paths) > MOST_EXAMPLES else ""
        echo(f"skipped, {reason}: {', '.join(paths[:MOST_EXAMPLES])}{more}")


def _print_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        echo(f"warning: {warning}")
