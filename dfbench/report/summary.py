"""What a report says in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from dfbench.metrics.names import title_of
from dfbench.report.rows import Row
from dfbench.report.tables import percent

_PREFERRED = ("video.mean", "frame")


def summary(rows: Sequence[Row]) -> str:
    """The main number of every detector on every data set, all manipulations together, untouched samples first.

    The level is video by mean where the runs have it, the metric AUC where they have it.
    """
    overall = [r for r in rows if r.manipulation == "all" and not r.baseline and r.values]
    levels = {r.level for r in overall}
    level = next((name for name in _PREFERRED if name in levels), next(iter(sorted(levels)), ""))
    overall = [r for r in overall if r.level == level]
    clean = [r for r in overall if r.condition == "clean"] or overall
    if not clean:
        return "The runs hold no metrics."
    metric = "auc" if all("auc" in r.values for r in clean) else next(iter(clean[0].values))
    parts = []
    for model in dict.fromkeys(r.model for r in clean):
        numbers = [f"{percent(r.values.get(metric), 'no value', '–')} on {r.data}" for r in clean if r.model == model]
        parts.append(f"{model} {', '.join(numbers)}")
    unit = level.partition(".")[0]
    return f"{title_of(metric)} at {unit} level, percent with 95 % interval: {'; '.join(parts)}."
