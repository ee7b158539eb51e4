"""Papers' tables: published numbers verbatim, which runs fill which cells, and what stands under them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from paper_runs import write_paper_run

from dfbench.cli.main import COMMANDS, run_command
from dfbench.errors import DataError, UsageError
from dfbench.evaluation.run import open_runs
from dfbench.models import Preset
from dfbench.models.registry import get_spec, model_names
from dfbench.protocols.files import load_protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.report.papers import PAPER_FORMATS, build, load_table, matching, paper_table, table_names
from dfbench.report.papers.build import published_number
from dfbench.report.papers.grid import Grid, PaperRow
from dfbench.report.papers.matching import why_not
from dfbench.report.table_notes import NO_FACT
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published
from dfbench.schema.result import Baseline, ManifestRef, MetricValue, ProtocolRef
from dfbench.training.methods import TRAINING_METHODS

PUBLISHED = load_published(facts_folder() / "published_results.csv")
GRNET = [f"grnet-{n}" for n in range(1, 10)]
AWAITED = {"diffusionfake", "sbi", "resnet34", "efficientnet-b0", "vit-s16"} - set(model_names())
"""Detectors of rows that other packages register."""


def grid(name: str, *folders: Path) -> Grid:
    return build(load_table(name), PUBLISHED, open_runs(folders) if folders else [])


def line(table: Grid, name: str, source: str = "dfbench") -> PaperRow:
    (found,) = [one for one in table.lines if (one.name, one.source) == (name, source)]
    return found


# Definitions


def test_the_papers_tables_are_there() -> None:
    assert set(GRNET) <= set(table_names())
    matrices = {f"{name}{level}" for name in ("cross-manipulation", "leave-one-out") for level in ("", "-c40")}
    assert {"cross", "deepfakebench", "sbi", "rfm", "mat"} | matrices <= set(table_names())
    assert {f"diffusionfake-{n}" for n in range(1, 6)} <= set(table_names())


@pytest.mark.parametrize("name", table_names())
def test_every_published_number_of_a_table_stands_in_it_once(name: str) -> None:
    table = load_table(name)
    rows = [row for row in table.numbers(PUBLISHED) if table.name != "cross" or row.source in ("shiohara2022sbi",)]
    lines = [line for r in table.row if r.method for line in table.lines_of(r)]
    shown = [n for r in lines for c in table.column if (n := published_number(c, r, rows)) is not None]
    skipped = {"UADFV", "DeeperForensics-1.0", "FaceShifter", "average within-domain", "average cross-domain"}
    skipped |= {"FFIW-10K"} if name == "cross" else set()
    skipped |= {"Celeb-DF-v1", "HFF"} if name == "rfm" else set()
    assert len(shown) == len({id(n) for n in shown})
    assert {id(n) for n in shown} == {id(n) for n in rows if n.test_set not in skipped}


@pytest.mark.parametrize("name", table_names())
def test_every_cell_names_a_protocol_that_computes_it(name: str) -> None:
    table = load_table(name)
    loaded = {name: load_protocol(name) for name in table.protocols()}
    for ours in {cell for row in table.row for cell, _ in table.cells_of(row)}:
        rules = loaded[ours.protocol]
        assert ours.metric in rules.metrics.names
        assert ours.condition in rules.conditions.test
        parts = [p for p in rules.data if p.role == "test" and p.dataset == ours.dataset]
        assert any(ours.subset in (p.subsets or ("all",)) for p in parts)
        assert ours.manipulation == "all" or any(ours.manipulation in p.manipulations for p in parts if p.manipulations)


@pytest.mark.parametrize("name", table_names())
def test_every_detector_of_a_table_is_registered_with_these_options(name: str) -> None:
    for row in load_table(name).row:
        if row.model and row.model not in AWAITED:
            assert row.model in model_names()
            assert set(row.options) <= set(get_spec(row.model).options)
            method = TRAINING_METHODS.get(row.training_method or get_spec(row.model).training_method)
            assert all(method.options[option] != value for option, value in row.method_options.items())


def test_an_unknown_table_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown table 'grnet5'") as error:
        load_table("grnet5")
    assert "'grnet-5'" in error.value.hint
    with pytest.raises(UsageError, match="unknown table format 'pdf'"):
        paper_table("grnet-5", fmt="pdf")


# Published numbers


@pytest.mark.parametrize(("name", "values"), [
    ("grnet-1", ("99.21", "94.41", "98.11", "99.98", "94.85", "98.89", "99.65", "94.97", "98.96", "99.96", "99.15")),
    ("grnet-2", ("97.50", "97.49", "95.24", "98.52", "99.04")),
    ("grnet-3", ("94.61", "95.32", "95.72", "94.85", "96.48")),
    ("grnet-4", ("80.76", "67.76", "62.40", "70.31", "98.53")),
    ("grnet-5", ("76.83", "62.40", "63.52", "67.58", "99.81", "94.02", "99.32", "97.72")),
    ("grnet-6", ("51.78", "56.68", "73.97", "73.76", "74.03", "81.13")),
    ("grnet-8", ("99.09", "99.74")),
    ("grnet-9", ("53.8", "48.2", "65.3", "65.5", "54.6", "72.7")),
    ("diffusionfake-1", ("65.27", "38.77", "83.78", "25.17")),
    ("diffusionfake-2", ("71.87", "34.28", "72.41", "78.67", "83.17", "30.17")),
    ("diffusionfake-3", ("68.89", "36.78", "76.31", "33.99", "33.87")),
    ("diffusionfake-4", ("99.97", "46.24", "98.66", "51.71", "79.15")),
    ("diffusionfake-5", ("78.25", "59.58", "68.40", "71.25", "77.33")),
    ("sbi", ("93.82", "98.16", "84.52", "83.22")),
    ("rfm", ("95.69", "98.79", "97.96", "99.94")),
    ("mat", ("97.60", "99.29")),
    ("deepfakebench", ("60.77", "59.20", "96.37", "73.65")),
    ("cross", ("93.82", "85.70", "99.79")),
])  # fmt: skip
@pytest.mark.parametrize("fmt", list(PAPER_FORMATS))
def test_published_values_print_verbatim_with_no_run_at_hand(name: str, values: tuple[str, ...], fmt: str) -> None:
    text = paper_table(name, fmt=fmt)
    for value in values:
        shown = f"{float(value):.6g}" if fmt == "csv" else value
        assert re.search(rf"(?<![\d.]){re.escape(shown)}(?!\d)", text), value


def test_trivial_baselines() -> None:
    table = grid("grnet-5")
    real, fake = 25 + 10 + 25, 10 + 10 + 25 + 25 + 25  # thousands, by class as published
    assert line(table, "majority class", "baseline").cells[0].value == round(100 * fake / (real + fake), 2)
    by_size = 25 + max(10, 20) + 50 + max(25, 25)
    assert line(table, "image size alone", "baseline").cells[0].value == round(100 * by_size / 155, 2)
    multi = line(grid("grnet-4"), "image size alone", "baseline").cells[0].value
    assert multi == round(100 * (25 + 10 + 25 + 25) / 155, 2)


# Which runs fill a cell


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_paper_run(tmp_path / "run", "grnet/hff-binary")


def test_a_run_fills_its_own_cell_and_no_other(run: Path) -> None:
    (loaded,) = open_runs([run])
    value = next(v for v in loaded.result.metrics if v.name == "acc.frame" and v.manipulation == "all")
    cells = line(grid("grnet-5", run), "GRnet").cells
    assert value.value is not None
    assert cells[0].value == pytest.approx(100 * value.value)
    assert (cells[0].low, cells[0].high) == pytest.approx((100 * (value.low or 0), 100 * (value.high or 0)))
    assert (cells[0].n, cells[0].command) == (140, None)
    assert [cell.value for cell in cells[1:]] == [None, None, None]
    assert not any(cell.fits for cell in line(grid("grnet-5", run), "Meso-4").cells)
    text = paper_table("grnet-5", [loaded])
    assert f"{100 * value.value:.2f}* [{100 * (value.low or 0):.2f}-{100 * (value.high or 0):.2f}]" in text
    assert re.search(r"^GRnet +dfbench .* 7 +140$", text, re.MULTILINE)


def test_the_average_needs_all_its_columns(tmp_path: Path) -> None:
    folders = [
        write_paper_run(tmp_path / f"run{v}", f"grnet/hff-binary{v}", gap=gap)
        for v, gap in (("", 3.0), ("@jp60", 1.0), ("@me5", 2.0))
    ]
    cells = line(grid("grnet-5", *folders), "GRnet").cells
    values = [cell.value for cell in cells[:3] if cell.value is not None]
    assert cells[3].value == pytest.approx(fmean(values))
    assert line(grid("grnet-5", *folders[:2]), "GRnet").cells[3].value is None


def test_seeds_are_combined_with_their_standard_deviation(tmp_path: Path) -> None:
    folders = [write_paper_run(tmp_path / str(s), "grnet/hff-binary", seed=s) for s in (1, 2, 3)]
    values = [100 * (next(v for v in r.result.metrics if v.name == "acc.frame").value or 0) for r in open_runs(folders)]
    found = line(grid("grnet-5", *folders), "GRnet")
    assert found.cells[0].value == pytest.approx(fmean(values))
    assert found.cells[0].std == pytest.approx(stdev(values))
    assert (found.cells[0].low, found.seeds) == (None, (1, 2, 3))
    assert f"±{stdev(values):.2f}" in paper_table("grnet-5", open_runs(folders))


def test_of_one_seed_the_latest_run_counts(tmp_path: Path) -> None:
    old = write_paper_run(tmp_path / "old", "grnet/hff-binary", gap=0.5, started="2025-01-01T00:00:00")
    new = write_paper_run(tmp_path / "new", "grnet/hff-binary", gap=3.0)
    (fit,) = line(grid("grnet-5", old, new), "GRnet").cells[0].fits
    assert fit.run.folder == new


SHARED = ManifestRef(
    name="hff",
    dataset="hff",
    hash="0",
    profile="box",
    sizes=(128,),
    geometry="shared",
    decoder="pyav",
    face_detector="centerface",
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rule": {"size": 224}}, "crop size is 224, the cell's 128"),
        ({"rule": {"profile": "native"}}, "crop profile is native, the cell's box"),
        ({"rule": {"train_condition": "JP60"}}, "training condition is JP60, the cell's clean"),
        ({"condition": "JP60"}, "no acc.frame of hff/all under clean"),
        ({"subset": "c23"}, "no acc.frame of hff/all"),
        ({"dataset": "dfdc"}, "no acc.frame of hff/all"),
        ({"trained_by": "grnet/hff-binary@jp60"}, "weights were trained by grnet/hff-binary@jp60"),
        ({"card": False}, "trained by an unknown protocol"),
        ({"mini": True}, "invented faces"),
        (
            {"card": {"overrides": {"epochs": 1, "lr": 0.1}}},
            "trained with epochs=1, lr=0.1, which differs",
        ),
        ({"card": {"overrides": {"batch_size": 8, "accumulate": 2}}}, "with batch_size=8, accumulate=2"),
        ({"card": {"training_method": "rfm", "overrides": {"rfm.blocks": 2, "lr": 0.1}}}, "trained with lr=0.1"),
        (
            {"card": {"protocol": {"name": "grnet/hff-binary", "version": 1, "hash": "0" * 64}}},
            "trained by grnet/hff-binary with different content",
        ),
        ({"manifests": (SHARED,)}, "shared geometry"),
        ({"protocol_ref": None}, "its protocol is none"),
    ],
)
def test_runs_under_other_conditions_fill_nothing(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    folder = write_paper_run(tmp_path / "run", "grnet/hff-binary", **changes)  # type: ignore[arg-type]
    table = grid("grnet-5", folder)
    assert not any(cell.fits for one in table.lines for cell in one.cells)
    (loaded,) = open_runs([folder])
    assert reason in why_not(load_table("grnet-5"), loaded)


def test_another_training_method_is_another_row(tmp_path: Path) -> None:
    plain = write_paper_run(tmp_path / "plain", "grnet/hff-binary")
    mined = write_paper_run(tmp_path / "mined", "grnet/hff-binary", card={"training_method": "rfm"})
    table = grid("grnet-5", plain, mined)
    assert line(table, "GRnet").cells[0].fits[0].run.folder == plain
    (added,) = [one for one in table.lines if one.name.startswith("grnet ")]
    assert added.name.endswith(" + rfm")
    assert added.cells[0].fits[0].run.folder == mined
    assert [run.label for run in open_runs([plain, mined])] == ["grnet", "grnet + rfm"]


def test_options_of_a_training_method_tell_rows_apart(tmp_path: Path) -> None:
    cards: dict[str, dict[str, Any]] = {
        "plain": {"training_method": "rfm"},
        "few": {"training_method": "rfm", "method_options": {"blocks": 2}, "overrides": {"rfm.blocks": 2}},
        "random": {"training_method": "rfm", "method_options": {"erase": "re"}, "overrides": {"rfm.erase": "re"}},
    }

    def run_of(name: str, model: str, card: dict[str, Any]) -> Path:
        metrics = ["acc.frame"]
        return write_paper_run(
            tmp_path / name,
            "rfm/ffpp",
            model,
            "ff++",
            subset="c23",
            card=card,
            metrics=metrics,
            gap=1.0 + len(name) / 9,
        )

    runs = {name: run_of(name, "xception", card) for name, card in cards.items()}
    own, supervised = run_of("own", "rfm", cards["random"]), run_of("supervised", "xception", {"seed": 7})
    table = grid("rfm", supervised, own, *runs.values())
    filled = {one.name: [fit.run.folder for fit in one.cells[0].fits] for one in table.lines if one.cells[0].fits}
    assert filled == {
        "Xception": [supervised],
        "Xception + RFM": [runs["plain"]],
        "Random erasing (RE)": [own],
        "xception + rfm blocks=2": [runs["few"]],
        "xception + rfm erase=re": [runs["random"]],
    }
    text = paper_table("rfm", open_runs([own]))
    assert "Random erasing (RE): rfm, trained by the method rfm erase=re." in text
    assert "--model rfm --protocol rfm/ffpp --method-option erase=ae" in text
    rows = list(csv.DictReader(io.StringIO(paper_table("rfm", open_runs([own, runs["few"]]), "csv"))))
    trained = {r["method"]: (r["model"], r["training_method"], r["method_options"]) for r in rows if r["value"]}
    assert trained["Random erasing (RE)"] == ("rfm", "rfm", "erase=re")
    assert trained["xception + rfm blocks=2"] == ("xception", "rfm", "blocks=2")
    assert trained["RFM"] == ("", "", "")
    ours = {r["training_method"] for r in rows if (r["method"], r["source"]) == ("Xception", "dfbench")}
    assert ours == {"supervised"}


def test_the_folder_of_a_diffusion_model_decides_no_row() -> None:
    method = TRAINING_METHODS.get("diffusionfake")
    assert method.with_options({"sd": "/data/sd", "keep": True}).changes() == {}
    changes = method.with_options({"sd": "tiny", "filter": False, "keep": True}).changes()
    assert changes == {"diffusionfake.sd": "tiny", "diffusionfake.filter": False}
    card = {"training_method": "diffusionfake", "overrides": changes | {"lr": 0.1}}
    assert matching.changed_method_options(card) == {"sd": "tiny", "filter": False}


def test_small_batches_whose_gradients_are_added_up_are_no_change(tmp_path: Path) -> None:
    folder = write_paper_run(
        tmp_path / "run", "grnet/hff-binary", card={"overrides": {"batch_size": 16, "accumulate": 4}}
    )
    assert line(grid("grnet-5", folder), "GRnet").cells[0].value is not None


def test_runs_and_weights_of_an_earlier_version_of_dfbench_fill_their_cells(tmp_path: Path) -> None:
    new = protocol_ref(load_protocol("grnet/hff-binary"))
    old = ProtocolRef(name=new.name, version=1, hash=new.earlier[0])
    folder = write_paper_run(
        tmp_path / "run", "grnet/hff-binary", protocol_ref=old, card={"protocol": old.model_dump(exclude={"earlier"})}
    )
    assert line(grid("grnet-5", folder), "GRnet").cells[0].value is not None


def test_another_content_of_the_protocol_fills_nothing(tmp_path: Path) -> None:
    other = ProtocolRef(name="grnet/hff-binary", version=1, hash="0" * 64)
    folder = write_paper_run(tmp_path / "run", "grnet/hff-binary", protocol_ref=other)
    (loaded,) = open_runs([folder])
    assert "had different content" in why_not(load_table("grnet-5"), loaded)
    assert line(grid("grnet-5", folder), "GRnet").cells[0].value is None


def test_options_tell_the_rows_of_one_detector_apart(tmp_path: Path) -> None:
    plain = write_paper_run(tmp_path / "plain", "grnet/components", gap=1.0)
    summed = write_paper_run(tmp_path / "sum", "grnet/components", options={"fusion": "sum"}, gap=3.0)
    table = grid("grnet-1", plain, summed)
    assert [fit.run.folder for fit in line(table, "GRnet").cells[0].fits] == [plain]
    assert [fit.run.folder for fit in line(table, "GRnet MTE only (no AFM)").cells[0].fits] == [summed]
    assert line(table, "GRnet AFM only (no MTE)").cells[0].value is None
    fetched = write_paper_run(tmp_path / "fetched", "grnet/components", options={"pretrained": True}, seed=8)
    assert len(line(grid("grnet-1", plain, fetched), "GRnet").cells[0].fits) == 2
    assert "pretrained=True" in paper_table("grnet-1", open_runs([fetched]))


def test_other_defaults_than_the_papers_get_a_row_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_spec("grnet")
    literal = dict(spec.options) | dict(spec.presets["paper"].options)
    changed = replace(spec, options=literal | {"residual_norm": "batch"})
    monkeypatch.setattr(matching, "get_spec", lambda name: changed if name == "grnet" else get_spec(name))
    old = write_paper_run(tmp_path / "old", "grnet/hff-binary", gap=1.0)
    new = write_paper_run(tmp_path / "new", "grnet/hff-binary", options=dict(changed.options), gap=3.0)
    paper = write_paper_run(tmp_path / "paper", "grnet/hff-binary", options=literal, seed=8)
    table = grid("grnet-5", old, new, paper)
    assert {fit.run.folder for fit in line(table, "GRnet").cells[0].fits} == {old, paper}
    assert [fit.run.folder for fit in line(table, "grnet, default options").cells[0].fits] == [new]
    (loaded,) = open_runs([new])
    row = next(row for row in load_table("grnet-5").row if row.model == "grnet")
    ours = load_table("grnet-5").ours(load_table("grnet-5").column[0], row)
    assert ours is not None
    reason = matching.mismatch_reason(load_table("grnet-5"), ours, row, loaded)
    assert reason == "its detector is grnet residual_norm=batch, the row has grnet residual_norm=imagenet"


def test_options_that_an_evaluation_replaced_count(tmp_path: Path) -> None:
    run = write_paper_run(tmp_path / "run", "grnet/components")
    (loaded,) = open_runs([run])
    assert matching.options_of(loaded)["fusion"] == "afm"
    options = loaded.result.options | {"model_options": {"fusion": "sum"}}
    other = replace(loaded, result=loaded.result.model_copy(update={"options": options}))
    assert matching.options_of(other)["fusion"] == "sum"


def test_the_training_of_a_preset_tells_rows_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_spec("grnet")
    code = Preset("code", spec.presets["paper"].options, replace(spec.recipe, lr=0.25))
    changed = replace(spec, presets=dict(spec.presets) | {"code": code})
    monkeypatch.setattr(matching, "get_spec", lambda name: changed if name == "grnet" else get_spec(name))
    run = write_paper_run(tmp_path / "run", "grnet/hff-binary", card={"preset": "code"})
    table = grid("grnet-5", run)
    assert line(table, "GRnet").cells[0].value is None
    assert line(table, "grnet code").cells[0].value is not None


def test_weights_trained_alike_serve_the_generalisation_table(tmp_path: Path) -> None:
    folder = write_paper_run(
        tmp_path / "run", "grnet/celeb-df@c40", dataset="celeb-df-v2", trained_by="grnet/ffpp-binary@c40"
    )
    table = grid("grnet-9", folder)
    assert line(table, "GRnet-LQ (FaceForensics++)").cells[0].value is not None
    assert line(table, "GRnet-HQ (FaceForensics++)").cells[0].value is None


def test_a_detector_that_the_paper_does_not_have_gets_a_row_of_its_own(tmp_path: Path) -> None:
    mine = write_paper_run(tmp_path / "mine", "grnet/hff-binary", model="my-net", options={"width": 8})
    table = grid("grnet-5", mine)
    assert line(table, "my-net width=8").cells[0].value is not None
    assert not [one for one in table.lines if one.source == "paper" and "my-net" in one.name]


def test_the_majority_of_the_tested_samples_stands_beside_ours(run: Path) -> None:
    found = line(grid("grnet-5", run), "majority class, on the tested samples", "baseline")
    assert found.cells[0].value == pytest.approx(100 * 80 / 140)
    assert found.cells[1].value is None


def test_the_best_of_each_kind_is_marked(tmp_path: Path) -> None:
    worse = write_paper_run(tmp_path / "worse", "grnet/hff-binary", model="meso4", gap=0.5)
    better = write_paper_run(tmp_path / "better", "grnet/hff-binary", gap=3.0)
    table = grid("grnet-5", worse, better)
    assert [line(table, n).cells[0].best for n in ("Meso-4", "GRnet")] == [False, True]
    assert line(table, "GRnet", "paper").cells[0].best
    assert "\\textbf{99.81}" in paper_table("grnet-5", fmt="tex")
    assert "**99.81**" in paper_table("grnet-5", fmt="md")
    errors = grid("diffusionfake-1")
    best = [one.cells[1].value for one in errors.lines if one.source == "paper" and one.cells[1].best]
    assert best == [min(c for one in errors.lines if one.source == "paper" and (c := one.cells[1].value) is not None)]


def test_the_mark_is_of_the_means_over_the_seeds(tmp_path: Path) -> None:
    """The lowest seeds differ from each other; the means over three seeds do not."""
    gaps = {"grnet": (3.0, 0.6, 2.4), "xception": (0.5, 3.2, 2.0), "meso4": (2.9, 0.4, 0.2), "capsule": (0.3, 0.3, 0.3)}
    folders = [
        write_paper_run(tmp_path / f"{model}{seed}", "grnet/hff-binary", model, gap=gap, seed=seed, scores_seed=0)
        for model, of_seeds in gaps.items()
        for seed, gap in enumerate(of_seeds)
    ]
    table = grid("grnet-5", *folders)
    cells = {name: line(table, name).cells[0] for name in ("GRnet", "XceptionNet", "Meso-4", "Capsule")}
    assert all(len(cell.fits) == 3 for cell in cells.values())
    best = max(cells, key=lambda name: cells[name].value or 0)
    assert best in ("GRnet", "XceptionNet")
    assert [cells[name].differs for name in ("GRnet", "XceptionNet") if name != best] == [False]
    assert cells["Meso-4"].differs is False  # by its lowest seed it is the best but one
    text = paper_table("grnet-5", open_runs(folders))
    assert "means over the training seeds" in text
    assert "single run" not in text.lower()


def test_what_differs_from_the_best_beyond_chance_is_marked(tmp_path: Path) -> None:
    """Alike but for the noise, clearly worse, and tested on other samples."""
    best = write_paper_run(tmp_path / "best", "grnet/hff-binary", gap=3.0)
    alike = write_paper_run(tmp_path / "alike", "grnet/hff-binary", model="xception", gap=2.6, scores_seed=99)
    worse = write_paper_run(tmp_path / "worse", "grnet/hff-binary", model="meso4", gap=0.3)
    table = grid("grnet-5", best, alike, worse)
    marks = {name: line(table, name).cells[0].differs for name in ("GRnet", "XceptionNet", "Meso-4", "Capsule")}
    assert marks == {"GRnet": None, "XceptionNet": False, "Meso-4": True, "Capsule": None}
    text = paper_table("grnet-5", open_runs([best, alike, worse]))
    assert re.search(r"^Meso-4 +dfbench +[\d.]+† \[", text, re.MULTILINE)
    assert "Holm's correction within the column" in text
    few = open_runs([best, worse])[1]
    kept = few.scores_table.slice(0, 100)
    other = build(load_table("grnet-5"), PUBLISHED, [open_runs([best])[0], replace(few, scores_table=kept)])
    assert line(other, "Meso-4").cells[0].differs is None


def test_facts_alone_stand_below_as_the_runs_tell_them(tmp_path: Path) -> None:
    value = MetricValue(
        name="acc.frame", dataset="hff", subset="all", manipulation="all", condition="clean", value=0.77, n=140,
        n_media=70, n_positive=80, coverage=1.0, profile="box", size=128,
    )  # fmt: skip
    other = value.model_copy(update={"name": "auc.frame", "value": 0.9, "low": 0.51, "high": 0.98})
    baseline = Baseline(name="size alone", metrics=(value, other))
    run = write_paper_run(tmp_path / "run", "grnet/hff-binary", baselines=(baseline,))
    found = line(grid("grnet-5", run), "size alone, on the tested samples", "baseline")
    assert [cell.value for cell in found.cells] == [77.0, None, None, None]
    assert NO_FACT not in paper_table("grnet-5", open_runs([run]))

    chance = baseline.model_copy(update={"metrics": (value, other.model_copy(update={"low": 0.5}))})
    manifest = ManifestRef(
        name="hff",
        hash="0",
        dataset="hff",
        profile="box",
        sizes=(128,),
        geometry="own",
        decoder="pyav",
        face_detector="x",
    )
    plain = write_paper_run(tmp_path / "plain", "grnet/hff-binary", baselines=(chance,), manifests=(manifest,))
    names = [row.name for row in grid("grnet-5", plain).lines]
    assert "size alone, on the tested samples" not in names
    assert NO_FACT in paper_table("grnet-5", open_runs([plain]))


# Commands


@pytest.mark.parametrize("name", table_names())
def test_empty_cells_name_commands_that_exist(name: str) -> None:
    table = grid(name)
    used = {cell.command for one in table.lines for cell in one.cells if cell.command is not None}
    assert used == set(range(1, len(table.commands) + 1))
    text = paper_table(name)
    for word, command in re.findall(
        r"dfbench (\w+) ([^\n&]*)", "\n".join(x for x in text.splitlines() if x[:1] in "f(")
    ):
        assert word in COMMANDS
        protocol = re.search(r"--protocol (\S+)", command)
        assert protocol is not None
        load_protocol(protocol[1])
    for command in table.commands:
        models = re.search(r"\(M = ([^)]*)\)", command)
        names = models[1].split(", ") if models else [re.findall(r"--model (\S+)", command)[0]]
        assert set(names) - AWAITED <= set(model_names())


def test_a_filled_cell_names_no_command(run: Path) -> None:
    before, after = grid("grnet-5"), grid("grnet-5", run)
    number = line(before, "GRnet").cells[0].command
    assert number is not None
    command = "dfbench train --model grnet --protocol grnet/hff-binary --preset paper"
    assert before.commands[number - 1].startswith(command)
    assert line(after, "GRnet").cells[0].command is None
    assert not any(text.startswith(command) for text in after.commands)
    assert any(text.endswith("(M = xception, capsule)") for text in after.commands)


def test_what_was_published_with_imagenet_weights_is_trained_so_or_marked(run: Path) -> None:
    for command in grid("grnet-5").commands:
        models = re.search(r"\(M = ([^)]*)\)", command)
        names = models[1].split(", ") if models else [re.findall(r"--model (\S+)", command)[0]]
        asked = "--option pretrained=true" in command.partition("&&")[0]
        assert asked == any(name in ("grnet", "capsule", "xception") for name in names)
    assert "of GRnet started from random weights; the published detector started from ImageNet weights." in paper_table(
        "grnet-5", open_runs([run])
    )


def test_cautions_of_a_detector_are_printed(tmp_path: Path) -> None:
    folder = write_paper_run(tmp_path / "run", "grnet/hff-binary", "mat")
    text = " ".join(paper_table("grnet-5", open_runs([folder])).split())
    assert "Caution, mat: faces smaller than the crops are enlarged by them" in text
    assert "Caution, mat: crops of 128 px are not the published size (380)." in text


# Forms


def test_text_markdown_and_latex_say_the_rules(run: Path) -> None:
    loaded = open_runs([run])
    for fmt in ("text", "md", "tex"):
        text = paper_table("grnet-5", loaded, fmt).replace("\\", "")
        assert "grnet/hff-binary version 2" in text
        assert "box crops of 128 px" in text
        assert "weights selected by acc.frame on val" in text
        assert "Split of the images: not published" in text
    tex = paper_table("grnet-5", loaded, "tex")
    assert tex.count("{") == tex.count("}")
    for command in ("toprule", "midrule", "bottomrule"):
        assert f"\\{command}" in tex
    widths = {len(re.split(r"(?<!\\)&", row)) for row in tex.splitlines() if row.endswith("\\\\")}
    assert widths == {8}


def test_csv_keeps_every_number_with_its_rule(run: Path) -> None:
    loaded = open_runs([run])
    rows = list(csv.DictReader(io.StringIO(paper_table("grnet-5", loaded, "csv"))))
    (ours,) = [r for r in rows if (r["method"], r["source"], r["column"]) == ("GRnet", "dfbench", "Raw")]
    assert (ours["protocol"], ours["metric"]) == ("grnet/hff-binary", "acc.frame")
    assert (ours["n"], ours["seeds"], ours["runs"]) == ("140", "7", loaded[0].result.run_id)
    assert float(ours["low"]) <= float(ours["value"]) <= float(ours["high"])
    (empty,) = [r for r in rows if (r["method"], r["source"], r["column"]) == ("GRnet", "dfbench", "JP60")]
    assert empty["value"] == ""
    assert "grnet/hff-binary@jp60" in empty["command"]


def test_both_dfdc_cuts_carry_their_caution() -> None:
    text = paper_table("grnet-8")
    assert "Caution, grnet/dfdc: the split was made by dfbench" in text
    assert "Caution, grnet/dfdc@frame-random: frames of one clip are in both training and test data" in text


# Command line


def test_the_command_finds_runs_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    write_paper_run(tmp_path / "runs" / "a", "grnet/hff-binary")
    write_paper_run(tmp_path / "runs" / "b", "grnet/dfdc", dataset="dfdc")
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "result.json").write_text("[")
    assert run_command(["table", "grnet-5"]) == 0
    assert re.search(r"^GRnet +dfbench +\d\d\.\d\d\*", capsys.readouterr().out, re.MULTILINE)
    out = tmp_path / "t.tex"
    assert run_command(["table", "grnet-5", "--format", "tex", "--out", str(out)]) == 0
    assert out.read_text().startswith("% needs")
    assert capsys.readouterr().out.strip() == str(out)


def test_a_given_run_that_fits_nowhere_is_named_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_paper_run(tmp_path / "a", "grnet/hff-binary", rule={"size": 224})
    assert run_command(["table", "grnet-5", str(folder)]) == 0
    assert "belongs in no cell of grnet-5: its crop size is 224, the cell's 128" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["grnet-55"], 2, "grnet-5"),
        (["grnet-5", "--format", "html"], 2, "unknown table format"),
        (["grnet-5", "nowhere"], 3, "run folder not found: nowhere"),
    ],
)
def test_mistakes(words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["table", *words]) == code
    assert says in capsys.readouterr().err


def test_a_damaged_definition_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "x.toml").write_text('name = "x"\n')
    monkeypatch.setattr("dfbench.report.papers.definition.protocols_folder", lambda: tmp_path)
    with pytest.raises(DataError, match="not a valid table definition"):
        load_table("x")


def test_without_a_name_the_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [text.split()[0] for text in lines if text] == list(table_names())
    assert all(len(text) <= 100 for text in lines)
