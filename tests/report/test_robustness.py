"""What a report says of degradations: summary, curves, heat maps, cells, and what was left out."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import run_folders
from run_folders import CONDITIONS, FAMILIES

from dfbench.evaluation.run import open_runs
from dfbench.metrics.robustness import ConditionOrigin, robustness
from dfbench.report import result_rows, write_report
from dfbench.report.figures.robustness import curves_figure, grid, heat_figure, standard_families
from dfbench.report.robustness import (
    SUMMARY_HEAD,
    robustness_csv,
    robustness_summaries,
    summary_cells,
    unavailable_notes,
    without_suite,
)
from dfbench.schema.scores import SCORES

METHODS = {"acc.video.mean": "bootstrap-t", "auc.video.mean": "clustered-delong"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def suite_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("suites")
    missing = {"av1:crf=55@clip": "there is no encoder", "av1:crf=60@clip": "there is no encoder"}
    return [
        run_folders.suite_run(root / "a", "grnet", "run-1", 0.9),
        run_folders.suite_run(root / "b", "meso4", "run-2", 0.3, unavailable=missing),
    ]


def test_lines_come_by_data_and_metric(suite_runs: list[Path]) -> None:
    found = robustness_summaries(open_runs(suite_runs))
    assert [(j.data, j.found.name, j.label) for j in found] == [
        (data, name, label)
        for data in ("mini/c23", "mini/c40")
        for name in ("acc.video.mean", "auc.video.mean")
        for label in ("grnet", "meso4")
    ]
    line = dict(zip(SUMMARY_HEAD, summary_cells(found[2]), strict=True))
    assert line["under"] == found[2].found.worst
    assert float(line["clean"]) == pytest.approx(100 * found[2].found.value, abs=0.05)
    assert re.fullmatch(r"-?[\d.]+ \[.*\]", line["drop"])


def test_every_cell_is_in_the_csv(suite_runs: list[Path]) -> None:
    runs = open_runs(suite_runs)
    rows = list(csv.DictReader(io.StringIO(robustness_csv(robustness_summaries(runs)))))
    assert len(rows) == 2 * 2 * 2 * len(CONDITIONS)
    for row in rows:
        assert float(row["drop"]) == pytest.approx(float(row["baseline"]) - float(row["value"]))
        assert row["severity"] in "12345"
        assert row["interval_method"] == METHODS[row["metric"]]
        assert (row["cluster"], row["n_clusters"]) == ("scene_group", "20")


def test_curves_and_heat_maps_show_every_family(suite_runs: list[Path]) -> None:
    found = [
        j
        for j in robustness_summaries(open_runs(suite_runs))
        if j.found.name == "auc.video.mean" and j.data == "mini/c23"
    ]
    assert standard_families(found) == list(FAMILIES)
    values = grid(found[0], FAMILIES)
    assert values.shape == (3, 5)
    assert (np.diff(values, axis=1) <= 0).all()  # ever more of the fakes' scores is taken away
    curves = curves_figure(found, "c", mini=True)
    heat = heat_figure(found[0], "h", mini=True)
    assert curves is not None
    assert heat is not None
    for svg in (curves, heat):
        assert svg.startswith("<svg")
        assert all(family in svg for family in FAMILIES)
        assert "invented faces" in svg
    for label in ("grnet", "meso4"):
        assert label in curves
    for value in values.ravel():
        assert f">{100 * value:.0f}<" in heat


def test_a_run_of_two_conditions_has_no_curves_but_cells(tmp_path: Path) -> None:
    clean = run_folders.scores_table(frames=1)
    other = clean.set_column(clean.column_names.index("condition"), "condition", pa.array(["JP55"] * len(clean)))
    scores = pa.concat_tables([clean, other.cast(SCORES.schema())])
    found = tuple(robustness(scores, ["auc.frame"], {"JP55": ConditionOrigin("jpeg")}, resamples=0))
    run = run_folders.write_run(
        tmp_path / "r", scores, run_folders.result_of(scores, names=("auc.frame",), robustness=found), examples=False
    )
    (first, _) = robustness_summaries(open_runs([run]))
    assert curves_figure([first], "c", mini=False) is None
    assert heat_figure(first, "h", mini=False) is None
    page = write_report([run], tmp_path / "out").read_text("utf-8")
    assert 'id="robustness"' in page
    assert "JP55" in page


def test_the_page_and_its_tables(suite_runs: list[Path], tmp_path: Path) -> None:
    page = write_report(suite_runs, tmp_path / "out").read_text("utf-8")
    assert (tmp_path / "out" / "robustness.csv").is_file()
    section = page[page.index('<section id="robustness">') : page.index('<section id="examples">')]
    assert section.count("<svg") == 2 + 4
    assert "clustered-delong (auc.video.mean), over 20 scene groups; drops are paired." in section
    assert f"Every condition ({2 * 2 * 2 * len(CONDITIONS)} rows)" in section
    assert "meso4 was not evaluated under av1:crf=55@clip, av1:crf=60@clip: there is no encoder." in section
    results = page[page.index('<section id="results">') : page.index('<section id="roc">')]
    assert "jpeg:q=30" in results  # requested by name: its manipulations have values of their own
    # Counts are equal under all conditions and listed once.
    coverage = page[page.index('<section id="coverage">') : page.index('<section id="provenance">')]
    assert "jpeg:q=30" not in coverage
    whole = (tmp_path / "out" / "table.csv").read_text("utf-8")
    assert all(condition.name in whole for condition in CONDITIONS)


def test_a_table_of_many_conditions_shows_those_asked_for(suite_runs: list[Path]) -> None:
    runs = open_runs(suite_runs)
    rows = result_rows([run.result for run in runs], [run.label for run in runs])
    assert len({row.condition for row in rows}) == 1 + len(CONDITIONS)
    few = [row for row in rows if row.condition in ("clean", "JP60")]
    assert without_suite(few) == few
    assert unavailable_notes(runs)[0].startswith("meso4 was not evaluated under")


def test_pages_of_clean_runs_stay_as_they_were(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    page = write_report(list(two_runs), tmp_path / "out").read_text("utf-8")
    assert 'id="robustness"' not in page
    assert not (tmp_path / "out" / "robustness.csv").exists()
