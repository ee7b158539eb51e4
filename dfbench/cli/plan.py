"""What ``dfbench prepare --dry-run`` prints: what is there, what is not, and what the run would take."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dfbench.cli.show import Cell, print_table

if TYPE_CHECKING:
    from dfbench.datasets.adapter import Scan
    from dfbench.preparation.execution.run import Plan
    from dfbench.preparation.planning.job_array import Portion
    from dfbench.schema.sampling import Rule

COLUMNS = ("subset", "split", "label", "manipulation", "have", "missing", "extra", "expected")


def show_plan(plan: Plan, out: Path, workers: int, portion: Portion | None = None) -> None:
    """Print counts, warnings and an estimate of a plan.

    Args:
        plan: the plan.
        out: the manifest's folder; shards that are finished there need no time.
        workers: processes that would work.
        portion: the part of an array job that is asked about.
    """
    from dfbench.cli.prepare import say_left_out, say_warnings

    print_table(COLUMNS, inventory(plan.scan))
    say_left_out({k: list(v) for k, v in plan.scan.excluded.items()})
    say_warnings(plan.scan.warnings)
    _show_estimate(plan, out, workers, portion)


def inventory(scan: Scan) -> list[tuple[Cell, ...]]:
    """Rows of :data:`COLUMNS`; where nothing says how many there should be, the last three cells are ``-``."""
    from dfbench.datasets.adapter import count_key, flat

    have = Counter(count_key(media) for media in scan.media)
    expected, missing = dict(flat(scan.expected)), dict(flat(scan.missing))
    rows: list[tuple[Cell, ...]] = []
    for cell in sorted({*expected, *have}):
        n, wanted, lacking = have[cell], expected.get(cell), missing.get(cell, 0)
        if not expected:
            rows.append((*cell, n, "-", "-", "-"))
        else:
            # Of what is there, that which is not among the expected.
            rows.append((*cell, n, lacking, n - ((wanted or 0) - lacking), wanted or 0))
    return rows


def _show_estimate(plan: Plan, out: Path, workers: int, portion: Portion | None) -> None:
    from dfbench.preparation.execution.run import finished_shards
    from dfbench.preparation.planning.estimate import (
        detected_rows,
        detector_seconds,
        duration,
        estimate,
        planned_rows,
        volume,
    )

    recipe = plan.recipe
    shards = [shard for shard in plan.shards if portion is None or portion.takes(shard)]
    finished = {shard.number for shard in finished_shards(plan, out)}
    todo = [shard for shard in shards if shard.number not in finished]
    clips, rows = sum(len(s.media) for s in shards), sum(planned_rows(recipe, s) for s in shards)
    clips_todo, rows_todo = sum(len(s.media) for s in todo), sum(planned_rows(recipe, s) for s in todo)
    if finished:
        click.echo(f"finished already: {clips - clips_todo} of {clips} clips")
    if todo:
        seconds = detector_seconds(recipe)
        rest = estimate(recipe, clips_todo, rows_todo, workers, seconds, detected_rows(recipe, todo))
        disk = estimate(recipe, clips, rows, workers, seconds).bytes
        click.echo(
            f"estimate: {duration(rest.seconds)} with {workers} workers ({rest.clips_per_second:.2f} clips/s), "
            f"{volume(disk)} of disk, for clips of 1280x720 and 300 frames (the face detector was timed here)"
        )
    crops = f"profile {recipe.profile}, sizes {', '.join(map(str, recipe.sizes))}"
    click.echo(
        f"would prepare {clips} clips of {plan.root} ({recipe.sampling.option}, {_bound(plan)} {rows} rows, {crops}) "
        f"into {len(shards)} shards{'' if portion is None else f' ({portion})'}"
    )


def _bound(plan: Plan) -> str:
    rules: set[Rule] = {rule for shard in plan.shards for rule in shard.rules}
    rules = rules or {plan.recipe.sampling}
    return "at most" if all(getattr(rule, "bounded", True) for rule in rules) else "about"
