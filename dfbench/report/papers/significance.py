"""Which of our numbers in a column differ from the best of them beyond chance."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError
from dfbench.metrics.paired_tests import holm, paired_differences
from dfbench.report.compare import check_comparable, declared_threshold
from dfbench.report.papers.matching import Fitting

LEVEL = 0.05


def differing(best: Fitting, others: Sequence[Fitting]) -> list[bool | None]:
    """Whether each of some numbers differs from the best one: paired on the same samples, Holm's rule over all.

    None where it can not be tested: other samples or crops, or too few scene groups.
    """
    p_values = [_p_value(best, other) for other in others]
    known = [p for p in p_values if p is not None]
    corrected = iter(holm(known))
    return [None if p is None else next(corrected) < LEVEL for p in p_values]


def _p_value(best: Fitting, other: Fitting) -> float | None:
    value, rules = best.value, best.run.result
    try:
        check_comparable(best.run, other.run)
        found = paired_differences(
            _cell(best),
            _cell(other),
            [value.name],
            threshold=declared_threshold(rules),
            per_manipulation=value.manipulation != "all",
            failure_policy=rules.failure_policy,
            face_aggregation=rules.faces,
            classes=rules.classes,
        )
    except DataError:
        return None
    return next((d.p for d in found if d.manipulation == value.manipulation), None)


def _cell(fit: Fitting) -> pa.Table:
    """The scores of the number's data set, subset and condition."""
    value, scores = fit.value, fit.run.scores_table
    keep = pc.and_(
        pc.equal(scores["dataset"], value.dataset),
        pc.and_(pc.equal(scores["subset"], value.subset), pc.equal(scores["condition"], value.condition)),
    )
    return scores.filter(keep)
