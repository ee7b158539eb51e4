"""Matrices: trained on one manipulation and tested on each, and the manipulation that is left out of training."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from paper_runs import write_paper_run

from dfbench.evaluation.run import Run, open_runs
from dfbench.protocols.files import load_protocol
from dfbench.report.papers import build, load_table, paper_table
from dfbench.report.papers.grid import Grid, PaperRow
from dfbench.report.papers.matching import why_not
from dfbench.report.papers.matrix import MEAN_OF_OTHERS
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published

PUBLISHED = load_published(facts_folder() / "published_results.csv")
METHODS = {"DF": "Deepfakes", "F2F": "Face2Face", "FS": "FaceSwap", "NT": "NeuralTextures"}
PROTOCOL = "ffpp/cross-manipulation"
METRICS = ("auc.video.mean",)


def line(table: Grid, name: str, trained_on: str, source: str = "dfbench") -> PaperRow:
    (found,) = [x for x in table.lines if (x.name, x.trained_on, x.source) == (name, trained_on, source)]
    return found


def write_row(folder: Path, trained_on: str, model: str = "xception", **changes: Any) -> Path:
    """A run of a detector trained on one manipulation, which it finds better than the others."""
    gaps = {method: 3.0 if short == trained_on else 0.4 + 0.2 * n for n, (short, method) in enumerate(METHODS.items())}
    protocol = f"{PROTOCOL}@{trained_on.lower()}"
    usual: dict[str, Any] = {"gap": gaps, "metrics": METRICS}
    return write_paper_run(folder, protocol, model, "ff++", subset="c23", **usual | changes)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """The four runs of one detector."""
    folder = tmp_path_factory.mktemp("matrix")
    return open_runs([write_row(folder / short, short, metrics=(*METRICS, "acc.video.mean")) for short in METHODS])


def auc_of(run: Run, method: str) -> float:
    """AUC of video means in percent: the fraction of pairs of a fake and a real clip in the right order."""
    rows = run.scores_table.select(["media_id", "manipulation", "score"]).to_pandas()
    means = rows.groupby(["manipulation", "media_id"])["score"].mean()
    fake, real = means[method].to_numpy()[:, None], means["real"].to_numpy()[None]
    return 100 * float(np.mean((fake > real) + 0.5 * (fake == real)))


def test_a_matrix_has_a_line_for_what_a_detector_is_trained_on_and_a_column_for_what_it_is_tested_on(
    matrix: list[Run],
) -> None:
    table = build(load_table("cross-manipulation"), PUBLISHED, matrix)
    expected = [[auc_of(run, method) for method in METHODS.values()] for run in matrix]
    for trained_on, values in zip(METHODS, expected, strict=True):
        cells = line(table, "Xception", trained_on).cells
        assert [cell.value for cell in cells[:4]] == pytest.approx(values)
        assert all(c.low is not None and c.high is not None and c.low < (c.value or 0) < c.high for c in cells[5:8])
        assert [cell.within for cell in cells[:4]] == [short == trained_on for short in METHODS]
        others = [v for v, short in zip(values, METHODS, strict=True) if short != trained_on]
        assert cells[4].value == pytest.approx(fmean(others))
    means = line(table, "Xception", MEAN_OF_OTHERS).cells
    off = [[expected[row][column] for row in range(4) if row != column] for column in range(4)]
    assert [cell.value for cell in means[:4]] == pytest.approx([fmean(values) for values in off])
    assert means[4].value == pytest.approx(fmean(value for values in off for value in values))


def test_a_mean_needs_all_its_cells(matrix: list[Run]) -> None:
    table = build(load_table("cross-manipulation"), PUBLISHED, matrix[:3])
    means = line(table, "Xception", MEAN_OF_OTHERS).cells
    assert [cell.value is None for cell in means[:5]] == [True, True, True, False, True]  # no run trained on NT
    empty = build(load_table("cross-manipulation"), PUBLISHED, [])
    assert not [one for one in empty.lines if one.trained_on == MEAN_OF_OTHERS]


def test_all_four_manipulations_are_the_reference_without_others(tmp_path: Path) -> None:
    folder = write_paper_run(
        tmp_path / "all", PROTOCOL, "xception", "ff++", subset="c23",
        metrics=(*METRICS, "acc.video.mean"), gap=dict.fromkeys(METHODS.values(), 2.0),
    )  # fmt: skip
    table = build(load_table("cross-manipulation"), PUBLISHED, open_runs([folder]))
    cells = line(table, "Xception", "all four").cells
    assert all(cell.within for cell in (*cells[:4], *cells[5:9]))
    assert cells[0].value is not None
    assert (cells[4].value, cells[9].value) == (None, None)


def test_seeds_of_a_row_are_averaged(tmp_path: Path) -> None:
    runs = open_runs([write_row(tmp_path / str(seed), "F2F", seed=seed) for seed in (1, 2, 3)])
    cell = line(build(load_table("cross-manipulation"), PUBLISHED, runs), "Xception", "F2F").cells[0]
    values = [auc_of(run, "Deepfakes") for run in runs]
    assert cell.value == pytest.approx(fmean(values))
    assert cell.std == pytest.approx(stdev(values))


def test_detectors_with_the_same_training_data_are_compared(tmp_path: Path, matrix: list[Run]) -> None:
    """On Deepfakes the detector trained on Deepfakes is the best of its line and says nothing about other lines."""
    other = write_row(tmp_path / "other", "DF", "efficientnet-b4", gap=dict.fromkeys(METHODS.values(), 0.1))
    table = build(load_table("cross-manipulation"), PUBLISHED, [*matrix, *open_runs([other])])
    assert [line(table, "Xception", short).cells[0].best for short in METHODS] == [True] * 4
    assert [line(table, "Xception", short).cells[0].differs for short in METHODS] == [None] * 4
    found = line(table, "EfficientNet-B4", "DF").cells[0]
    assert (found.best, found.differs) == (False, True)
    published = build(load_table("diffusionfake-4"), PUBLISHED, [])
    best = {(x.name, x.trained_on, n) for x in published.lines for n, cell in enumerate(x.cells[:4]) if cell.best}
    assert ("En-b4+DiffusionFake", "NT", 2) in best
    assert ("MAT", "FS", 0) not in best
    assert sum(trained_on == "NT" for _, trained_on, _ in best) == 4


def test_a_detector_of_no_row_gets_a_matrix(tmp_path: Path) -> None:
    runs = open_runs([write_row(tmp_path / short, short, "my-net") for short in ("DF", "NT")])
    table = build(load_table("cross-manipulation"), PUBLISHED, runs)
    assert [x.trained_on for x in table.lines if x.name == "my-net"] == [*METHODS, "all four", MEAN_OF_OTHERS][:5]
    assert line(table, "my-net", "DF").cells[0].value is not None
    assert line(table, "my-net", "F2F").cells[0].command is not None


def test_a_run_of_another_compression_or_protocol_fills_no_cell(tmp_path: Path) -> None:
    low = write_paper_run(tmp_path / "low", f"{PROTOCOL}@df-c40", "xception", "ff++", subset="c40", metrics=METRICS,
                          gap=dict.fromkeys(METHODS.values(), 1.0))  # fmt: skip
    (run,) = open_runs([low])
    assert "its protocol is ffpp/cross-manipulation@df-c40" in why_not(load_table("cross-manipulation"), run)
    assert why_not(load_table("cross-manipulation-c40"), run) == ""
    swapped = write_row(tmp_path / "swapped", "DF", trained_by=f"{PROTOCOL}@nt")
    (run,) = open_runs([swapped])
    assert "weights were trained by ffpp/cross-manipulation@nt" in why_not(load_table("cross-manipulation"), run)


@pytest.mark.parametrize("fmt", ["text", "md", "tex", "csv"])
def test_forms(matrix: list[Run], fmt: str) -> None:
    text = paper_table("cross-manipulation", matrix, fmt)
    value = auc_of(matrix[0], "Deepfakes")
    if fmt == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        key = ("Xception", "DF", "dfbench")
        cells = {r["column"]: r for r in rows if (r["method"], r["trained_on"], r["source"]) == key}
        assert [cells[f"{short} AUC"]["within"] for short in METHODS] == ["true", "false", "false", "false"]
        assert cells["DF AUC"]["protocol"] == "ffpp/cross-manipulation@df"
        assert float(cells["DF AUC"]["value"]) == pytest.approx(value, abs=1e-3)
        return
    mark = "$^\\ddagger$" if fmt == "tex" else "‡"
    assert re.search(rf"{value:.1f}\W*{re.escape(mark)} ", text)
    assert "trained on" in text
    assert "Note: " in text
    assert "Published: " not in text
    if fmt == "tex":
        widths = {len(re.split(r"(?<!\\)&", row)) for row in text.splitlines() if row.endswith("\\\\")}
        assert widths == {15}


def test_the_manipulation_left_out_is_tested_alone(tmp_path: Path) -> None:
    folders = [
        write_paper_run(
            tmp_path / short, f"ffpp/leave-one-out@{short.lower()}", "xception", "ff++", subset="c23",
            metrics=METRICS, gap={method: 1.0 + 0.3 * n},
        )
        for n, (short, method) in enumerate(METHODS.items())
    ]  # fmt: skip
    reference = write_paper_run(
        tmp_path / "all", "ffpp/leave-one-out", "xception", "ff++", subset="c23",
        trained_by=PROTOCOL, metrics=METRICS, gap=dict.fromkeys(METHODS.values(), 3.0),
    )  # fmt: skip
    runs = open_runs([*folders, reference])
    table = build(load_table("leave-one-out"), PUBLISHED, runs)
    (found,) = [x for x in table.lines if x.name == "Xception"]
    values = [auc_of(run, method) for run, method in zip(runs, METHODS.values(), strict=False)]
    assert [cell.value for cell in found.cells[:4]] == pytest.approx(values)
    assert found.cells[4].value == pytest.approx(fmean(values))
    assert not any(cell.within for cell in found.cells)
    assert [cell.head for cell in table.table.column][10] == "None left out AUC"
    assert found.cells[10].value is not None


def test_the_protocols_train_on_what_their_names_say() -> None:
    every = set(METHODS.values())
    for suffix, subset in (("", "c23"), ("-c40", "c40")):
        for short, method in METHODS.items():
            for family, trained, tested in (
                (PROTOCOL, {method}, every),
                ("ffpp/leave-one-out", every - {method}, {method}),
            ):
                protocol = load_protocol(f"{family}@{short.lower()}{suffix}")
                parts = {p.role: set(p.manipulations) for p in protocol.data}
                assert parts == {"train": trained, "val": trained, "test": tested}
                assert {p.subsets for p in protocol.data} == {(subset,)}
                assert {p.split for p in protocol.data} == {"train", "val", "test"}
