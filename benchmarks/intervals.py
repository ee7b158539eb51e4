"""Coverage of the 95 % intervals: how often they contain the true value, on simulated scores.

    python benchmarks/intervals.py --work DIR [--part auc] [--quick]
    python benchmarks/intervals_page.py --work DIR --results docs/results

Every scene group has one real video and one or four fakes, every video two frames; group, video and frame each add
normal noise to the logit, 30, 45 and 25 % of its variance. In the crossed design every fake shows the scene of one
person and the identity of another, and both add noise of their own to its logit. True values are known in closed form
or by numerical integration. Draws for each cell: ``auc`` 10,000, ``metrics`` 2,000, ``people`` 10,000 for the AUC,
``people-metrics`` 500; a twentieth with ``--quick``. Finished cells are kept in DIR: after an interruption the same
command resumes. The second command writes the page of results from the cells in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from dfbench.errors import UndefinedMetric
from dfbench.metrics.bootstrap import draw_groups, estimate
from dfbench.metrics.definitions import metric_definition
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.metric_intervals import SMALLEST, metric_interval, no_metric_interval, spread_of
from dfbench.metrics.people import People, people_of
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.t_intervals import (
    LEAST_DF_OF_PEOPLE,
    cluster_variance,
    effective_df,
    exact_bound,
    group_sums,
    t_interval,
)  # fmt: skip

Array = NDArray[np.float64]
GROUPS, FEW_GROUPS = (20, 40, 70, 140), (5, 10)
FAKES = (1, 4)
TRUE_AUCS = (0.6, 0.72, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
SOME_AUCS = (0.6, 0.8, 0.9, 0.98, 0.999)
METRICS = (
    "acc", "bacc", "eer", "ap", "tpr@fpr=0.1", "tpr@fpr=0.3", "recall@class=real", "macro-f1", "pauc@fpr=0.3",
    "brier", "logloss",
)  # fmt: skip
PEOPLE, PERSON_SD = (28, 59), (0.3, 0.5)
CLIPS = 3  # scene groups of one person in the crossed design
FRAMES = 2
OF_GROUP, OF_VIDEO, OF_FRAME = 0.3, 0.45, 0.25  # parts of the variance
LEVEL, RESAMPLES, BATCH = 0.95, 200, 4_000_000
DRAWS = {"auc": 10_000, "metrics": 2_000, "people": 10_000, "people-metrics": 500}


@dataclass(frozen=True)
class Cell:
    """One condition of the simulation.

    Attributes:
        part: ``auc``, ``metrics``, ``people`` or ``people-metrics``.
        groups: number of scene groups, or of people in the crossed design.
        fakes: number of fakes for each real.
        auc: true AUC.
        person_sd: deviation of the effect of a person, in deviations of a frame's logit within one person.
    """

    part: str
    groups: int
    fakes: int
    auc: float
    person_sd: float = 0.0

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.part}-{self.groups}-{self.fakes}-{self.auc:g}-{self.person_sd:g}"

    @property
    def gap(self) -> float:
        """Difference of the mean logits of fakes and reals; a fake has the effects of two people, a real of one."""
        return float(norm.ppf(self.auc) * np.sqrt(2 + 3 * self.person_sd**2))


@dataclass(frozen=True)
class Found:
    """What one method did in one cell.

    Attributes:
        method: metric and, in the crossed design, what counts as independent.
        covered: fraction of the printed intervals that contain the true value.
        printed: fraction of the draws with an interval.
        one_sided: fraction of the draws with a one-sided bound.
        ratio: median of the two-sided intervals' width divided by that with G - 1 degrees of freedom.
        draws: number of draws.
    """

    method: str
    covered: float
    printed: float
    one_sided: float
    ratio: float
    draws: int


@dataclass(frozen=True)
class Layout:
    """Videos: label, scene group, target and source person of each, (V,)."""

    labels: NDArray[np.int8]
    groups: NDArray[np.intp]
    targets: NDArray[np.intp]
    sources: NDArray[np.intp]

    def frames(self) -> Layout:
        """The same for every frame."""
        return Layout(*(np.repeat(a, FRAMES) for a in (self.labels, self.groups, self.targets, self.sources)))

    @property
    def people(self) -> People:
        """Its people, as the metrics find them."""
        shown = np.where(self.labels == 1, self.sources.astype(object), None)
        found = people_of(self.labels, self.groups, self.targets.astype(object), shown)
        assert found is not None
        return found


def cells(part: str) -> list[Cell]:
    """The conditions of a part."""
    if part == "auc":
        return [Cell(part, *values) for values in product((*FEW_GROUPS, *GROUPS), FAKES, TRUE_AUCS)]
    if part == "metrics":
        return [Cell(part, *values) for values in product((*FEW_GROUPS, *GROUPS), FAKES, SOME_AUCS)]
    if part == "people":
        return [Cell(part, n, 4, auc, sd) for n, sd, auc in product(PEOPLE, PERSON_SD, TRUE_AUCS)]
    return [Cell(part, n, 4, auc, 0.5) for n, auc in product(PEOPLE, (0.8, 0.98))]


def layout(cell: Cell, rng: np.random.Generator) -> Layout:
    """The videos of a cell: each scene group has a real and its fakes, whose sources are other people."""
    crossed = cell.person_sd > 0
    scenes = np.arange(cell.groups * CLIPS if crossed else cell.groups)
    owners = scenes // CLIPS if crossed else scenes
    groups = np.repeat(scenes, 1 + cell.fakes)
    labels = np.tile([0] + [1] * cell.fakes, len(scenes)).astype(np.int8)
    targets, sources = owners[groups], owners[groups].copy()
    if crossed:
        for owner, scene in zip(owners, scenes, strict=True):
            others = rng.choice(cell.groups - 1, cell.fakes, replace=False)
            sources[(groups == scene) & (labels == 1)] = others + (others >= owner)
    return Layout(labels, groups, targets, sources)


def logits(cell: Cell, videos: Layout, rng: np.random.Generator, worlds: int) -> Array:
    """Logits of every frame, (worlds, frames)."""
    fake = videos.labels == 1
    level = cell.gap * (fake - 0.5)
    x = level + np.sqrt(OF_VIDEO) * rng.standard_normal((worlds, len(fake)))
    x += np.sqrt(OF_GROUP) * rng.standard_normal((worlds, int(videos.groups.max()) + 1))[:, videos.groups]
    if cell.person_sd:
        x += cell.person_sd * rng.standard_normal((worlds, cell.groups))[:, videos.targets]
        x += cell.person_sd * fake * rng.standard_normal((worlds, cell.groups))[:, videos.sources]
    frames = np.repeat(x, FRAMES, axis=1)
    return frames + np.sqrt(OF_FRAME) * rng.standard_normal(frames.shape)


def auc_intervals(value: Array, sums: Array, groups: int) -> tuple[Array, Array, Array]:
    """Ends of the AUC's intervals, and those with G - 1 degrees of freedom relative to them; (W,) each."""
    df = effective_df(np.sum(sums**2, axis=-1), np.sum(sums**4, axis=-1), sums.shape[-1] - 1)
    return with_bounds(value, cluster_variance(sums), df, sums.shape[-1] - 1, groups)


def with_bounds(value: Array, variance: Array, df: Array, most: int, groups: int) -> tuple[Array, Array, Array]:
    """Intervals inside (0, 1), one-sided bounds at the ends."""
    inside = (value > 0) & (value < 1)
    safe = np.where(inside, value, 0.5)
    low, high = t_interval(safe, variance, df, (0.0, 1.0), LEVEL)
    plain = t_interval(safe, variance, np.full(len(value), float(most)), (0.0, 1.0), LEVEL)
    with np.errstate(invalid="ignore"):
        ratio = np.where(inside, (high - low) / (plain[1] - plain[0]), np.nan)
    bound = exact_bound(groups, LEVEL)
    low = np.where(inside, low, np.where(value == 1, bound, 0.0))
    return low, np.where(inside, high, np.where(value == 1, 1.0, 1 - bound)), ratio


def run_auc(cell: Cell, draws: int) -> list[Found]:
    """Coverage of the AUC at frame level; in the crossed design also of what ignores people or one of their parts."""
    rng = np.random.default_rng(zlib.crc32(cell.name.encode()))
    videos = layout(cell, rng)
    frames = videos.frames()
    people = frames.people if cell.person_sd else None
    parts: dict[str, list[tuple[Array, ...]]] = {}
    size = max(1, BATCH // len(frames.labels))
    for start in range(0, draws, size):
        value, influence = auc_influence(frames.labels, logits(cell, videos, rng, min(size, draws - start)))
        sums = group_sums(influence, frames.groups)
        if people is None:
            parts.setdefault("auc", []).append((value, *auc_intervals(value, sums, cell.groups)))
            continue
        parts.setdefault("scene groups", []).append((value, *auc_intervals(value, sums, sums.shape[-1])))
        over = [group_sums(influence, units) for units in (people.targets, people.sources, people.pairs)]
        parts.setdefault("target people", []).append((value, *auc_intervals(value, over[0], people.fewest)))
        target, source, pair = map(cluster_variance, over)
        both = target + source - pair
        both = np.where(both > 0, both, np.maximum(target, source))
        squares, fourths = ([np.sum(s**n, -1) for s in over[:2]] for n in (2, 4))
        most = people.fewest - 1.0
        dfs = [effective_df(q, f, most, LEAST_DF_OF_PEOPLE) for q, f in zip(squares, fourths, strict=True)]
        ends = with_bounds(value, both, np.minimum(*dfs), people.fewest - 1, people.fewest)
        parts.setdefault("people", []).append((value, *ends))
    return [found(name, cell.auc, *map(np.concatenate, zip(*chunks, strict=True))) for name, chunks in parts.items()]


def found(method: str, truth: float, value: Array, low: Array, high: Array, ratio: Array) -> Found:
    """Summarise the draws of a cell; ends are NaN where no interval is printed, ratios where it has one side."""
    printed = ~np.isnan(low)
    covered = (low <= truth) & (truth <= high)
    two = printed & ~np.isnan(ratio)
    wider = float(np.median(ratio[two])) if two.any() else float("nan")
    share = float(covered[printed].mean()) if printed.any() else float("nan")
    return Found(method, share, float(printed.mean()), float((printed & ~two).mean()), wider, len(value))


def run_metrics(cell: Cell, draws: int) -> list[Found]:
    """Coverage of the other metrics at frame level, by the functions that compute a result."""
    rng = np.random.default_rng(zlib.crc32(cell.name.encode()))
    videos = layout(cell, rng)
    frames = videos.frames()
    reals = int(np.sum(videos.labels == 0))
    rows: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METRICS}
    for world in range(draws):
        scores = expit(logits(cell, videos, rng, 1)[0])
        people = frames.people if cell.person_sd else None
        samples = MetricSamples(frames.labels, scores, frames.groups, len(videos.labels), reals, people=people)
        drawn = cache(lambda kind, s=samples, w=world: draw_groups(s.labels, _units(s)[kind], RESAMPLES, w))
        for name in METRICS:
            rows[name].append(_one(name, samples, drawn))
    chosen = {name: np.array(values).T for name, values in rows.items()}
    return [found(name, truths(cell)[name], *values) for name, values in chosen.items()]


def _units(samples: MetricSamples) -> dict[bytes, NDArray[np.intp]]:
    people = samples.people
    units = [samples.groups] if people is None else [people.targets, people.sources, people.pairs]
    return {u.tobytes(): u for u in units}


def _one(
    name: str, samples: MetricSamples, drawn: Callable[[bytes], NDArray[np.int32]]
) -> tuple[float, float, float, float]:
    """Value, ends and relative width of one interval."""
    definition, nan = metric_definition(name), float("nan")
    try:
        value = estimate(definition, samples)
    except UndefinedMetric:
        return nan, nan, nan, nan
    if no_metric_interval(definition, samples, ()) is not None:
        return value, nan, nan, nan

    def draw(labels: NDArray[np.int8], units: NDArray[np.intp]) -> NDArray[np.int32]:
        return drawn(units.tobytes())

    if value in definition.bounds or samples.people is not None:
        interval = metric_interval(definition, samples, value, draw, level=LEVEL)
        known = interval.low is not None and interval.high is not None
        return (value, interval.low, interval.high, nan) if known else (value, nan, nan, nan)
    spread = spread_of(definition, samples, samples.groups, draw)
    if spread.variance < SMALLEST:
        return value, nan, nan, nan
    ends, plain = (
        t_interval(np.array(value), np.array(spread.variance), np.array(df), definition.bounds, LEVEL)
        for df in (spread.df, float(samples.groups.max()))
    )
    return value, float(ends[0]), float(ends[1]), float((ends[1] - ends[0]) / (plain[1] - plain[0]))


def truths(cell: Cell) -> dict[str, float]:
    """The true value of every metric, from the distributions of the logits of reals and fakes."""
    spread = [np.sqrt(1 + n * cell.person_sd**2) for n in (1, 2)]
    centre = [-cell.gap / 2, cell.gap / 2]
    x = np.linspace(-40, 40, 400_001)
    fp, tp = (norm.sf(x, c, s)[::-1] for c, s in zip(centre, spread, strict=True))
    weight = [1 / (1 + cell.fakes), cell.fakes / (1 + cell.fakes)]
    right = [float(norm.cdf(0, centre[0], spread[0])), float(norm.sf(0, centre[1], spread[1]))]
    called = weight[0] * (1 - right[0]) + weight[1] * right[1]
    f1 = [2 * w * r / (w + c) for w, r, c in zip(weight, right, (1 - called, called), strict=True)]
    calls = np.maximum(weight[1] * tp[1:] + weight[0] * fp[1:], 1e-300)
    density = [norm.pdf(x, c, s) for c, s in zip(centre, spread, strict=True)]
    p = expit(x)
    losses = {"brier": ((p**2), (1 - p) ** 2), "logloss": (np.logaddexp(0, x), np.logaddexp(0, -x))}
    crossing = int(np.argmax(fp >= 1 - tp))
    values = {
        "acc": weight[0] * right[0] + weight[1] * right[1],
        "bacc": sum(right) / 2,
        "recall@class=real": right[0],
        "macro-f1": sum(f1) / 2,
        "eer": float(fp[crossing]),
        "ap": float(np.sum(np.diff(tp) * weight[1] * tp[1:] / calls)),
        "pauc@fpr=0.3": float(np.trapezoid(np.interp(np.linspace(0, 0.3, 100_001), fp, tp), dx=0.3 / 100_000)),
        **{f"tpr@fpr={r}": float(np.interp(r, fp, tp)) for r in (0.1, 0.3)},
    }
    for name, loss in losses.items():
        values[name] = float(
            sum(w * np.sum(d * one) * (x[1] - x[0]) for w, d, one in zip(weight, density, loss, strict=True))
        )
    return values


def finish(work: Path, part: str, quick: bool) -> None:
    """Compute the cells that are not yet in ``work``, one file each."""
    draws = max(20, DRAWS[part] // 20) if quick else DRAWS[part]
    for cell in cells(part):
        file = work / f"{cell.name}-{draws}.json"
        if file.is_file():
            continue
        rows = run_auc(cell, draws) if part in ("auc", "people") else run_metrics(cell, draws)
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps({"cell": asdict(cell), "found": [asdict(row) for row in rows]}), "utf-8")
        os.replace(partial, file)
        said = ", ".join(f"{row.method} {row.covered:.3f}/{row.ratio:.2f}" for row in rows)
        sys.stdout.write(f"{cell.name}: {said}\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for finished cells")
    parser.add_argument("--part", action="append", choices=list(DRAWS), help="may be given several times; default: all")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the draws")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for part in arguments.part or DRAWS:
        finish(arguments.work, part, arguments.quick)


if __name__ == "__main__":
    main()
