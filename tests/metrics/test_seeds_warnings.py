import numpy as np
import pyarrow as pa
import pytest
import run_folders

from dfbench.errors import DataError
from dfbench.metrics import combine_seeds, compute_metrics, score_warnings
from dfbench.schema.scores import SCORES


def run(seed, gap=1.5, **options):
    table = run_folders.scores_table(pairs=20, frames=2, gap=gap, seed=seed)
    values = compute_metrics(table, ["auc.frame", "acc.video.mean"], resamples=0, **options)
    return [value.model_copy(update={"seed": seed}) for value in values]


def test_seeds_are_combined_with_their_standard_deviation():
    runs = [run(seed) for seed in (1, 2, 3)]
    for summary, *values in zip(combine_seeds(runs), *runs, strict=True):
        numbers = [v.value for v in values]
        assert summary.name == values[0].name
        assert summary.value == pytest.approx(np.mean(numbers))
        assert summary.std == pytest.approx(np.std(numbers, ddof=1))
        assert (summary.lowest, summary.highest) == (min(numbers), max(numbers))
        assert summary.seeds == (1, 2, 3)


def test_an_undefined_seed_leaves_no_mean():
    first, second = run(1), run(2)
    second[0] = second[0].model_copy(update={"value": None, "undefined": "one class"})
    assert combine_seeds([first, second])[0].value is None


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (lambda: [run(1)], "at least two runs"),
        (lambda: [run(1), run(1)], "share a training seed: 1, 1"),
        (lambda: [run(1), [v.model_copy(update={"profile": "box"}) for v in run(2)]], "have different metrics"),
        (lambda: [run(1), [v.model_copy(update={"seed": None}) for v in run(2)]], "single training seed"),
    ],
)
def test_runs_that_cannot_be_combined(runs, message):
    with pytest.raises(DataError, match=message):
        combine_seeds(runs())


def with_scores(change):
    rows = run_folders.scores_table(pairs=20, frames=2, gap=2).to_pylist()
    for row in rows:
        row["score"] = None if row["score"] is None else change(row["score"])
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def test_good_scores_give_no_warning():
    assert score_warnings(with_scores(lambda s: s)) == []


def test_decisions_instead_of_scores_are_reported():
    found = score_warnings(with_scores(lambda s: float(s >= 0.5)))
    assert len(found) == 2
    assert "only 2 distinct values" in found[0]
    assert found[0].startswith("mini/c23 clean:")


def test_inverted_polarity_is_reported():
    found = score_warnings(with_scores(lambda s: 1 - s))
    assert all("inverted" in sentence for sentence in found)
    assert len(found) == 2


def test_too_few_samples_give_no_warning():
    few = run_folders.scores_table(pairs=2, frames=1)
    assert score_warnings(few) == []
