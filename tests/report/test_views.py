"""What the page shows beside the tables: curves, videos one by one, classes, worst errors, warnings, citations."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folders
from hypothesis import given
from hypothesis import strategies as st

from dfbench.evaluation.run import Run, open_runs
from dfbench.metrics import aggregate, brier, compute_metrics, ece
from dfbench.metrics.samples import MetricSamples
from dfbench.report import result_rows, write_report
from dfbench.report.examples import MAX_ERRORS, load_examples, run_examples
from dfbench.report.figures.curves import calibration_figure, det_figure, thinned
from dfbench.report.figures.distributions import distribution_figure
from dfbench.report.figures.figure_data import MAX_FIGURES, collect_figure_data
from dfbench.report.figures.panels import confusion_tables
from dfbench.report.sections import citations
from dfbench.report.table_notes import notes, warnings
from dfbench.report.videos import VIDEOS_PER_PAGE, video_rows, videos, videos_csv
from dfbench.schema.scores import EXAMPLES, SCORES

pytestmark = pytest.mark.slow

CLASSES = ("real", *run_folders.METHODS)
NAMES = ("acc.video.mean", "acc.collapsed.video.mean", "auc.video.mean")


def samples_of(labels: list[int], scores: list[float]) -> MetricSamples:
    y = np.array(labels, np.int8)
    return MetricSamples(y, np.array(scores), np.arange(len(y)), len(y), int((y == 0).sum()))


def multiclass(seed: int = 3) -> pa.Table:
    """Scores of a detector that tells the four methods apart."""
    rng = np.random.default_rng(seed)
    rows = run_folders.scores_table(pairs=20, frames=2).to_pylist()
    for row in rows:
        if row["status"] == "ok":
            logits = rng.normal(size=len(CLASSES)) + 1.5 * (np.array(CLASSES) == row["class"])
            row["logits"] = logits.tolist()
            row["score"] = float(1 - np.exp(logits[0]) / np.exp(logits).sum())
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


@pytest.fixture(scope="module")
def classes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scores = multiclass()
    metrics = tuple(compute_metrics(scores, NAMES, classes=CLASSES, resamples=0))
    result = run_folders.result_of(scores, names=(), metrics=metrics, classes=CLASSES)
    return run_folders.write_run(tmp_path_factory.mktemp("classes") / "run", scores, result, examples=False)


@given(st.integers(0, 2**32 - 1), st.integers(2, 3000))
def test_a_thinned_curve_keeps_its_shape(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.random(n) ** 3), np.sort(rng.random(n))
    keep = thinned(x, y)
    assert keep[0]
    assert keep[-1]
    # A point that is left out lies with the last kept one in the same thousandth of both axes.
    last = np.maximum.accumulate(np.where(keep, np.arange(n), 0))
    assert np.abs(x - x[last]).max() <= 1.001e-3
    assert np.abs(y - y[last]).max() <= 1.001e-3


def test_many_points_are_drawn_as_few() -> None:
    x = np.linspace(0, 1, 200_000)
    assert thinned(x, x**2).sum() < 5000


def test_det_axes_start_where_the_samples_can_tell() -> None:
    rng = np.random.default_rng(0)
    labels = [0] * 60 + [1] * 60
    scores = np.clip(rng.normal(0.4, 0.1, 120) + 0.2 * np.array(labels), 0, 1).tolist()
    svg = det_figure({"a$b": samples_of(labels, scores), "one class": samples_of([1, 1], [0.1, 0.2])}, "t", "d", True)
    assert svg is not None
    ticks = re.findall(r">([\d.]+)</text>", svg)
    assert ticks.count("1") == 2  # of 60 samples one is 1.7 %
    assert "0.1" not in ticks
    assert ticks.count("95") == 2
    assert "a$b" in svg
    assert "one class" not in svg
    assert "invented faces" in svg
    assert det_figure({"one class": samples_of([1, 1], [0.1, 0.2])}, "t", "d", False) is None
    assert det_figure({}, "t", "d", False) is None


def test_a_perfect_detector_has_a_det_curve_too() -> None:
    svg = det_figure({"m": samples_of([0, 0, 1, 1], [0.0, 0.1, 0.9, 1.0])}, "t", "d", False)
    assert svg is not None
    for path in re.findall(r' d="([^"]*)"', svg):
        assert not re.search("nan|inf", path)


def test_reliability_diagrams_name_their_numbers() -> None:
    samples = samples_of([0, 1, 0, 1, 1], [0.2, 0.3, 0.6, 0.9, 1.0])
    svg = calibration_figure({"m": samples, "none": samples_of([], [])}, "t", "c", False)
    assert svg is not None
    error, square = ece(samples.labels, samples.scores), brier(samples.labels, samples.scores)
    assert f"m: ECE {100 * error:.1f}, Brier {100 * square:.1f}" in svg
    assert "none" not in re.findall(r"<text[^>]*>([^<]*)<", svg)
    assert calibration_figure({"none": samples_of([], [])}, "t", "c", False) is None


def test_videos_are_sorted_by_error_and_complete(two_runs: tuple[Path, Path]) -> None:
    runs = open_runs(list(two_runs))
    shown = collect_figure_data(runs, result_rows([r.result for r in runs], [r.label for r in runs]))
    found = videos(shown)
    assert len(found) == sum(len(set(r.scores_table["media_id"].to_pylist())) for r in runs)
    away = [v.error for v in found if v.error is not None]
    assert away == sorted(away, reverse=True)
    rows = list(csv.DictReader(io.StringIO(videos_csv(found))))
    assert len(rows) == len(found)
    frame = runs[0].scores_table.to_pandas()
    ok = frame[frame["status"] == "ok"]
    means = aggregate(ok["media_id"].to_numpy(str), ok["label"].to_numpy(), ok["score"].to_numpy(), "mean")
    expected = dict(zip(means.media_ids.tolist(), means.scores.tolist(), strict=True))
    assert {r["media_id"]: float(r["score"]) for r in rows if r["model"] == "grnet"} == expected
    for video in found:
        assert video.score is not None
        assert video.outcome == ("correct" if (video.score >= 0.5) == (video.label == 1) else "wrong")
    assert list(video_rows(found)[0]) == [
        "model",
        "video",
        "label",
        "manipulation",
        "score",
        "error",
        "frames",
        "outcome",
    ]


def test_a_video_without_a_score_stands_last() -> None:
    scores = run_folders.scores_table(pairs=1, frames=1)
    rows = scores.to_pylist()
    rows[0] |= {"status": "no_face", "score": None, "logits": None}
    table = pa.Table.from_pylist(rows, schema=SCORES.schema())
    run = Run(Path("x"), run_folders.result_of(table), table, "m")
    last = videos(collect_figure_data([run], result_rows([run.result], ["m"])))[-1]
    assert (last.media_id, last.outcome, last.score, last.frames, last.requested) == (
        rows[0]["media_id"], "no score", None, 0, 1,
    )  # fmt: skip
    assert list(last.cells("-").values())[5:] == ["-", "-", "0/1", "no score"]
    assert ",no score" in videos_csv([last])


def test_the_page_says_how_many_videos_it_holds(
    two_runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    html = write_report(list(two_runs), tmp_path / "whole").read_text("utf-8")
    assert "has them as well" in html
    held = json.loads(re.findall(r'id="video-lines">(.*?)</script>', html, re.DOTALL)[0])
    assert len(held) == 800
    section = html[html.index('<section id="videos">') : html.index('id="video-lines"')]
    assert section.count("<tr>") == 1 + VIDEOS_PER_PAGE  # the others are lines of data, not elements
    monkeypatch.setattr("dfbench.report.videos.MAX_PAGE_VIDEOS", 30)
    html = write_report(list(two_runs), tmp_path / "part").read_text("utf-8")
    assert "800 results" in html
    assert "The table has the 30 with the largest errors" in html
    assert json.loads(re.findall(r'id="video-lines">(.*?)</script>', html, re.DOTALL)[0]) == held[:30]
    assert len((tmp_path / "part" / "videos.csv").read_text("utf-8").splitlines()) == 801


def test_names_in_the_data_of_the_table_cannot_become_markup(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>"
    scores = run_folders.scores_table(model=name, pairs=2, frames=1)
    run = run_folders.write_run(tmp_path / "run", scores, run_folders.result_of(scores), examples=False)
    html = write_report([run], tmp_path / "out").read_text("utf-8")
    assert html.count("</script>") == 2
    assert json.loads(re.findall(r'id="video-lines">(.*?)</script>', html, re.DOTALL)[0])[0][0] == name


def test_many_conditions_are_drawn_for_clean_samples_only(tmp_path: Path) -> None:
    clean = run_folders.scores_table(pairs=2, frames=1)
    at = clean.column_names.index("condition")
    parts = [clean] + [
        clean.set_column(at, "condition", pa.array([f"jpeg:q={q}"] * len(clean))) for q in range(30, 30 + MAX_FIGURES)
    ]
    scores = pa.concat_tables([p.cast(SCORES.schema()) for p in parts]).combine_chunks()
    result = run_folders.result_of(scores, names=("auc.frame",))
    run = run_folders.write_run(tmp_path / "run", scores, result, examples=False)
    runs = open_runs([run])
    shown = collect_figure_data(runs, result_rows([runs[0].result], [runs[0].label]))
    assert shown.rule == "frame"
    assert shown.slices == (("mini", "c23", "clean"), ("mini", "c40", "clean"))
    assert shown.left_out == 2 * MAX_FIGURES
    assert {v.condition for v in videos(shown)} == {"clean"}
    html = write_report([run], tmp_path / "out").read_text("utf-8")
    assert f"{2 * MAX_FIGURES} further slices are in the tables only" in html
    assert "results for videos and images under clean, the mean over their frames" in html
    touched = scores.filter(pa.compute.not_equal(scores["condition"], "clean"))
    found = run_folders.result_of(touched, names=("auc.frame",))
    shown = collect_figure_data([Run(run, found, touched, "m")], result_rows([found], ["m"]))
    assert len(shown.slices) == MAX_FIGURES  # nothing is clean: the first ones


def test_confusion_matrices_of_several_classes(classes_run: Path, tmp_path: Path) -> None:
    runs = open_runs([classes_run])
    rows = result_rows([runs[0].result], [runs[0].label])
    found = confusion_tables(collect_figure_data(runs, rows))
    assert len(found) == 2  # two compressions
    for matrix in found:
        assert matrix.classes == CLASSES
        for _, n, cells in matrix.lines:
            assert sum(c.count for c in cells) == n
            assert sum(c.percent for c in cells) == pytest.approx(100)
            assert sum(c.correct for c in cells) == 1
    right = sum(c.count for m in found[:1] for _, _, cells in m.lines for c in cells if c.correct)
    total = sum(n for _, n, _ in found[0].lines)
    accuracy = next(r.values["acc"].value for r in rows if r.subset == "c23" and r.manipulation == "all")
    assert right / total == pytest.approx(accuracy)
    html = write_report([classes_run], tmp_path / "out").read_text("utf-8")
    assert 'id="classes"' in html
    assert html.count('class="matrix"') == 2


def test_two_classes_have_no_matrix(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert 'id="classes"' not in write_report([two_runs[0]], tmp_path / "out").read_text("utf-8")


def test_spread_shows_every_method_that_has_a_score(two_runs: tuple[Path, Path]) -> None:
    runs = open_runs(list(two_runs))
    shown = collect_figure_data(runs, result_rows([r.result for r in runs], [r.label for r in runs]))
    tables = {seen.label: seen.videos for seen in shown.detectors}
    svg = distribution_figure(tables, "t", "s", False)
    assert svg is not None
    for word in (*CLASSES, "grnet", "meso4"):
        assert word in svg
    assert distribution_figure({"m": tables["grnet"].assign(score=np.nan)}, "t", "s", False) is None


def test_worst_errors_come_first_and_are_counted(tmp_path: Path) -> None:
    scores = run_folders.scores_table()
    taken = scores.filter(pa.compute.equal(scores["status"], "ok")).slice(0, 40)
    rows = [
        {k: row[k] for k in ("sample_id", "media_id", "manipulation", "label", "score")}
        | {"kind": "worst" if i % 4 else "typical", "crop": run_folders.grey_png(0.1), "residual": None}
        for i, row in enumerate(taken.to_pylist())
    ]
    run = run_folders.write_run(tmp_path / "run", scores, run_folders.result_of(scores), examples=False)
    pq.write_table(pa.Table.from_pylist(rows, schema=EXAMPLES.schema()), run / "examples.parquet")
    found = run_examples("m", load_examples(run), 0.5)
    assert (len(found.worst), found.stored, len(found.typical)) == (MAX_ERRORS, 30, 10)
    away = [p.example.error for p in found.worst]
    assert away == sorted(away, reverse=True)
    assert away[0] == max(abs(r["score"] - r["label"]) for r in rows if r["kind"] == "worst")
    assert all((p.called != p.example.truth) == (p.example.error > 0.5) for p in found.worst)
    html = write_report([run], tmp_path / "out").read_text("utf-8")
    assert f"Worst: {MAX_ERRORS} of 30 stored" in html
    assert 'class="crop wrong"' in html


def test_a_run_that_was_moved_without_images_still_reports(
    two_runs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report reads run folders alone: the manifest of these runs exists nowhere."""
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    moved = Path(shutil.copytree(two_runs[0], tmp_path / "elsewhere"))
    assert "No images" not in write_report([moved], tmp_path / "a").read_text("utf-8")
    (moved / "examples.parquet").unlink()
    html = write_report([moved], tmp_path / "b").read_text("utf-8")
    assert "No images: this run folder has no" in html
    assert "No images" not in write_report([moved], tmp_path / "c", faces=False).read_text("utf-8")


def test_warnings_stand_at_the_top_and_only_there(two_runs: tuple[Path, Path], tmp_path: Path) -> None:
    scores = run_folders.scores_table(run_id="run-7")
    result = run_folders.result_of(
        scores,
        warnings=("mini/c23 clean: scores look inverted",),
        crop_mismatch="dfb256 256 px",
        caution="the split is not the authors'",
    )
    run = run_folders.write_run(tmp_path / "run", scores, result, examples=False)
    runs = open_runs([run])
    rows = result_rows([runs[0].result], [runs[0].label])
    told = warnings(rows)
    assert len(told) == 3
    assert set(told) < set(notes(rows))
    html = write_report([run], tmp_path / "out").read_text("utf-8")
    section = html[html.index('<section id="warnings"') : html.index('<section id="results">')]
    for part in ("scores look inverted", "weights trained on dfb256 256 px crops", "not the authors"):
        assert section.count(part) == 1
        assert html.count(part) == 1
    assert 'id="warnings"' not in write_report([two_runs[0]], tmp_path / "calm").read_text("utf-8")


def test_detectors_data_sets_and_dfbench_are_cited(two_runs: tuple[Path, Path]) -> None:
    runs = open_runs(list(two_runs))
    first = runs[0].result
    named = [m.model_copy(update={"dataset": name}) for m, name in zip(first.metrics, ("ff++", "own"), strict=False)]
    changed = Run(runs[0].folder, first.model_copy(update={"metrics": tuple(named)}), runs[0].scores_table, "m")
    entries = citations([changed, *runs])
    assert sum("guo2023" in e for e in entries) == 1
    assert sum(e.startswith("@misc{ffpp,") and "FaceForensics++" in e for e in entries) == 1
    assert entries[-1].startswith("@software{dfbench,")
    assert not any("mini" in e for e in entries)
    for entry in entries:
        assert entry.count("{") == entry.count("}")
