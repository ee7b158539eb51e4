"""The page of results of ``benchmarks/intervals.py``, from its finished cells.

    python benchmarks/intervals_page.py --work DIR --results docs/results

Writes ``intervals.md``; the cells with most draws are used where DIR has a quick and a full run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binom

Row = dict[str, Any]
LIMITS = {"auc": 0.93, "metrics": 0.92, "people": 0.93, "people-metrics": 0.92}
"""Coverage that no cell of a part may be significantly below."""


def read_rows(work: Path) -> list[Row]:
    """One row for each cell and method: the fields of both."""
    found: dict[tuple[Any, ...], Row] = {}
    for file in sorted(work.glob("*.json")):
        stored = json.loads(file.read_text("utf-8"))
        for one in stored["found"]:
            row = stored["cell"] | one
            key = (*stored["cell"].values(), one["method"])
            if key not in found or row["draws"] > found[key]["draws"]:
                found[key] = row
    return list(found.values())


def page(rows: Sequence[Row]) -> str:
    """The results as Markdown."""
    parts = {part: [row for row in rows if row["part"] == part] for part in LIMITS}
    lines = [
        "# Coverage of the intervals",
        "",
        "Made by `benchmarks/intervals.py` and `benchmarks/intervals_page.py`; do not edit. Percentage of simulated "
        "test sets whose 95 % interval contains the true value; after the slash the median width relative to that of "
        "the same interval with G - 1 degrees of freedom. One-sided bounds count as intervals, but have no relative "
        "width. [Metrics](../metrics.md#intervals) defines the methods, the script describes the simulated sets.",
        "",
        *_summary(parts),
        "",
        "## AUC, clustered DeLong",
        "",
        *_table(parts["auc"], "auc", ("groups", "fakes per real"), "fakes"),
        "",
        "## Metrics with the bootstrap",
        "",
        "A missing row or an empty cell: no interval is printed with so few groups or real media.",
    ]
    for metric in dict.fromkeys(row["method"] for row in parts["metrics"]):
        lines += ["", f"### {metric}", "", *_table(parts["metrics"], metric, ("groups", "fakes per real"), "fakes")]
    lines += [
        "",
        "## People who recur",
        "",
        "Each person is the target of three scene groups, each with a real and four fakes of other people. The "
        "deviation of a person's effect is relative to that of a frame within a person. `people` is the two-way "
        "variance that results use; the other two ignore what they do not name.",
    ]
    for method in dict.fromkeys(row["method"] for row in parts["people"]):
        lines += ["", f"### AUC, {method}", ""]
        lines += _table(parts["people"], method, ("people", "deviation"), "person_sd")
    lines += ["", "### Other metrics, two-way variance, deviation 0.5", ""]
    for people in sorted({row["groups"] for row in parts["people-metrics"]}):
        chosen = [row for row in parts["people-metrics"] if row["groups"] == people]
        lines += ["", f"{people} people:", "", *_by_metric(chosen)]
    return "\n".join(lines) + "\n"


def _summary(parts: dict[str, list[Row]]) -> list[str]:
    lines = []
    for part, limit in LIMITS.items():
        rows = [r for r in parts[part] if _printed(r) and (part != "people" or r["method"] == "people")]
        lowest = min(rows, key=lambda r: r["covered"], default=None)
        if lowest is None:
            continue
        below = [r for r in rows if _significantly_below(r, limit)]
        ratios = [r["ratio"] for r in rows if not math.isnan(r["ratio"])]
        widest = f", largest relative width {max(ratios):.2f}" if ratios else ""
        lines.append(
            f"* {part}: {len(rows)} cells of {lowest['draws']} draws; lowest coverage {100 * lowest['covered']:.1f} % "
            f"({lowest['method']}, {lowest['groups']} units, true AUC {lowest['auc']:g}), "
            f"{len(below)} significantly below {100 * limit:.0f} %{widest}."
        )
    return lines


def _printed(row: Row) -> bool:
    return bool(row["printed"] >= 0.01)


def _significantly_below(row: Row, limit: float) -> bool:
    n = round(row["draws"] * row["printed"])
    return bool(binom.cdf(round(row["covered"] * n), n, limit) < 0.05)


def _table(rows: Sequence[Row], method: str, head: tuple[str, str], second: str) -> list[str]:
    chosen = [row for row in rows if row["method"] == method]
    aucs = sorted({row["auc"] for row in chosen})
    cells = {(row["groups"], row[second], row["auc"]): _text(row) for row in chosen}
    keys = sorted({key[:2] for key in cells})
    lines = [[*key, *(cells.get((*key, auc), "") for auc in aucs)] for key in keys]
    return _markdown([*head, *(f"AUC {auc:g}" for auc in aucs)], [line for line in lines if any(line[2:])])


def _by_metric(rows: Sequence[Row]) -> list[str]:
    aucs = sorted({row["auc"] for row in rows})
    cells = {(row["method"], row["auc"]): _text(row) for row in rows if _printed(row)}
    lines = [[metric, *(cells.get((metric, auc), "") for auc in aucs)] for metric in dict.fromkeys(k[0] for k in cells)]
    return _markdown(["metric", *(f"AUC {auc:g}" for auc in aucs)], lines)


def _text(row: Row) -> str:
    if not _printed(row):
        return ""
    return f"{100 * row['covered']:.1f}" + ("" if math.isnan(row["ratio"]) else f" / {row['ratio']:.2f}")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder with the finished cells")
    parser.add_argument("--results", type=Path, default=Path("docs/results"))
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    partial = arguments.results / ".intervals.md.part"
    partial.write_text(page(read_rows(arguments.work)), "utf-8")
    os.replace(partial, arguments.results / "intervals.md")


if __name__ == "__main__":
    main()
