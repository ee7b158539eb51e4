"""Evaluation under conditions: the right pixels, a row for each, what the drops are, and going on after a kill."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dfbench import degrade
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.evaluation import conditions as conditions_module
from dfbench.evaluation import inference
from dfbench.evaluation.conditions import plan_conditions
from dfbench.evaluation.dataset import role_data
from dfbench.evaluation.run import Run
from dfbench.manifest.manifest import open_manifest
from dfbench.preparation.derived.degrade import degrade as degrade_manifest
from dfbench.protocols.files import load_protocol
from dfbench.report import write_report
from dfbench.schema.result import RunResult
from dfbench.workflow import evaluate

pytestmark = pytest.mark.slow

# Judges by the fine checkerboard that the fakes carry; blur and JPEG take it away.
CHECKER = """
import torch
from torch import nn
class Checker(nn.Module):
    def forward(self, images):
        board = 1.0 - 2.0 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2)
        return 500 * ((images * board).mean(dim=(1, 2, 3)).abs() - 0.02)
"""
FEW = ["JP60", "ME5", "gaussian-noise:sigma=8"]


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("model") / "checker.py"
    file.write_text(CHECKER, "utf-8")
    return f"{file}:Checker"


def run(checker: str, tiny: SimpleNamespace, out: Path, **options: Any) -> Run:
    return evaluate(checker, tiny.protocol, [tiny.manifest], out=out, device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def few(checker: str, tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(checker, tiny, tmp_path_factory.mktemp("few") / "run", conditions=FEW)


def scores_by(run: Run) -> dict[tuple[str, str], float | None]:
    table = run.scores_table.select(["sample_id", "condition", "score"]).to_pylist()
    return {(row["sample_id"], row["condition"]): row["score"] for row in table}


def test_every_sample_has_a_row_under_every_condition(few: Run) -> None:
    frame = few.scores_table.to_pandas()
    names = list(dict.fromkeys(frame["condition"]))
    assert names == ["clean", "JP60", "ME5", "gaussian-noise:sigma=8"]
    ids = frame.groupby("condition")["sample_id"].apply(frozenset)
    assert len(set(ids)) == 1
    assert len(frame) == len(names) * len(ids.iloc[0])
    assert pq.read_table(few.folder / "scores.parquet").equals(few.scores_table)
    assert sorted(p.name for p in few.folder.iterdir()) == ["examples.parquet", "result.json", "scores.parquet"]
    assert {m.condition for m in few.result.metrics} == set(names)
    assert {c.condition for c in few.result.coverage} == set(names)
    assert few.result.options["conditions"] == FEW


def test_scores_are_those_of_the_degraded_crops(few: Run, tiny: SimpleNamespace) -> None:
    protocol = load_protocol(tiny.protocol)
    data = role_data(protocol, [open_manifest(tiny.manifest)], "test")
    board = 1.0 - 2.0 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2)
    scores = scores_by(few)
    for place, sample in enumerate(data.sample_ids):
        crop = np.ascontiguousarray(data.images[place][0].permute(1, 2, 0).numpy())
        for name in ("clean", *FEW):
            image = torch.from_numpy(degrade.apply(name, crop, sample)).permute(2, 0, 1).float() / 255
            logit = 500 * ((image * board).mean().abs() - 0.02)
            assert scores[sample, name] == pytest.approx(float(torch.sigmoid(logit)), abs=1e-5)


@pytest.mark.parametrize("options", [{"workers": 2}, {"batch_size": 3}, {"conditions": [*reversed(FEW), "clean"]}])
def test_order_workers_and_batches_change_nothing(
    few: Run, checker: str, tiny: SimpleNamespace, tmp_path: Path, options: dict[str, Any]
) -> None:
    other = scores_by(run(checker, tiny, tmp_path / "r", **{"conditions": FEW} | options))
    mine = scores_by(few)
    assert mine.keys() == other.keys()
    for key, score in mine.items():
        assert other[key] == (None if score is None else pytest.approx(score, abs=1e-6))


def test_too_many_crops_to_hold_are_decoded_again(
    few: Run, checker: str, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfbench.evaluation.dataset.MOST_HELD", 0)
    assert scores_by(run(checker, tiny, tmp_path / "r", conditions=FEW)) == scores_by(few)


def test_drops_means_and_the_worst_follow_from_the_metrics(few: Run) -> None:
    values = {(m.name, m.condition): m.value for m in few.result.metrics if m.manipulation == "all"}
    assert [r.name for r in few.result.robustness] == ["acc.frame", "auc.frame", "auc.video.mean"]
    for found in few.result.robustness:
        clean = values[found.name, "clean"]
        assert found.value == clean
        assert [c.condition for c in found.cells] == FEW
        assert [(c.family, c.severity) for c in found.cells] == [("jpeg", 3), ("mean", 2), ("gaussian-noise", 1)]
        for cell in found.cells:
            assert cell.value == values[found.name, cell.condition]
            assert cell.drop == pytest.approx(clean - cell.value)
        assert found.mean == pytest.approx(np.mean([cell.value for cell in found.cells]))
        assert found.drop == pytest.approx(clean - found.mean)
        assert values[found.name, found.worst] == min(cell.value for cell in found.cells)
    blurred = next(c for c in few.result.robustness[0].cells if c.condition == "ME5")
    assert blurred.drop is not None
    assert blurred.drop > 0.3  # a fine pattern does not outlive an average


def test_a_killed_run_goes_on_with_what_is_missing(
    few: Run, checker: str, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inference.score_images
    calls: list[int] = []

    def killed(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(inference, "score_images", killed)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(checker, tiny, out, conditions=FEW)
    assert [p.name for p in out.iterdir()] == ["conditions"]
    assert len(list((out / "conditions").glob("*.parquet"))) == 2
    again = run(checker, tiny, out, conditions=FEW)
    assert len(calls) == 5  # the two that were missing
    assert again.scores_table.equals(few.scores_table)
    assert again.result.metrics == few.result.metrics
    assert again.result.robustness == few.result.robustness
    assert not (out / "conditions").exists()


def test_cells_of_another_run_are_not_used(
    checker: str, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inference.score_images
    calls: list[int] = []
    monkeypatch.setattr(inference, "score_images", lambda *a, **k: calls.append(1) or real(*a, **k))
    monkeypatch.setattr("dfbench.evaluation.evaluate.write_run", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    for name in ("numpy", "torch"):
        with pytest.raises(KeyboardInterrupt):
            run(checker, tiny, tmp_path / "run", conditions=["JP60"])
        monkeypatch.setattr("dfbench.evaluation.evaluate.library_versions", lambda name=name: {name: "other"})
    assert len(calls) == 4  # other versions: everything anew
    half = sorted((tmp_path / "run" / "conditions").glob("*.parquet"))[0]
    half.write_bytes(half.read_bytes()[:100])
    with pytest.raises(KeyboardInterrupt):
        run(checker, tiny, tmp_path / "run", conditions=["JP60"])
    assert len(calls) == 6


def test_a_suite_says_what_it_left_out(
    checker: str, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = tuple(degrade.severity_condition(name, level) for name in ("jpeg", "median", "h264") for level in (1, 3, 5))
    monkeypatch.setattr("dfbench.degrade.suites.suite", lambda name: some)
    monkeypatch.setattr(conditions_module, "available", lambda c: "there is no encoder" if c.where == "clip" else None)
    done = run(checker, tiny, tmp_path / "run", conditions=["suite:robustness/v1", "JP60"])
    assert done.result.unavailable == dict.fromkeys((c.name for c in some[6:]), "there is no encoder")
    assert set(done.scores_table["condition"].to_pylist()) == {"clean", *(c.name for c in some[:6])}
    # Of a suite, manipulations are not computed apart; of what was named itself, they are.
    apart = {m.condition for m in done.result.metrics if m.manipulation == "Checker"}
    assert apart == {"clean", "JP60"}
    found = next(r for r in done.result.robustness if r.name == "auc.frame")
    families = {f.family: (f.value, f.conditions) for f in found.families}
    for family in ("jpeg", "median"):
        cells = [cell.value for cell in found.cells if cell.family == family]
        assert families[family] == (pytest.approx(np.mean(cells)), 3)
    assert found.mean == pytest.approx(np.mean([value for value, _ in families.values()]))
    page = write_report([done.folder], tmp_path / "report").read_text("utf-8")
    assert 'id="robustness"' in page
    assert "was not evaluated under h264:crf=30@clip" in page
    assert page.count("<svg") >= 5
    with pytest.raises(SetupError, match="h264:crf=30@clip is not available: there is no encoder"):
        run(checker, tiny, tmp_path / "other", conditions=["h264:crf=30"])
    assert not (tmp_path / "other").exists()


def test_a_degraded_manifest_says_its_condition(checker: str, tiny: SimpleNamespace, few: Run, tmp_path: Path) -> None:
    made = degrade_manifest(tiny.manifest, "ME5", tmp_path / "me5", workers=1, quiet=True)
    arguments: dict[str, Any] = {"device": "cpu", "quiet": True}
    done = evaluate(checker, tiny.protocol, [made.path], out=tmp_path / "run", **arguments)
    assert set(done.scores_table["condition"].to_pylist()) == {"ME5"} == {m.condition for m in done.result.metrics}
    mine = scores_by(few)
    assert scores_by(done) == {key: score for key, score in mine.items() if key[1] == "ME5"}
    with pytest.raises(DataError, match="already degraded, under ME5"):
        evaluate(checker, tiny.protocol, [made.path], out=tmp_path / "x", conditions=["JP60"], **arguments)


def test_the_protocol_names_conditions_too(checker: str, tiny: SimpleNamespace, few: Run, tmp_path: Path) -> None:
    protocol = load_protocol(tiny.protocol)
    under = protocol.model_copy(update={"conditions": type(protocol.conditions)(test=("ME5",))})
    done = evaluate(checker, under, [tiny.manifest], out=tmp_path / "run", device="cpu", quiet=True)
    assert set(done.scores_table["condition"].to_pylist()) == {"ME5"}
    assert done.result.robustness == ()
    assert plan_conditions(under, ["JP60"]).names == ("clean", "ME5", "JP60")
    assert plan_conditions(protocol).names == ("clean",)
    assert len(plan_conditions(protocol, ["suite:robustness/v1"]).names) == 1 + len(degrade.suite())


def test_what_is_wrong_is_said_before_anything_is_scored(
    checker: str, tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFBENCH_ROOTS", "")
    monkeypatch.chdir(tmp_path)
    for words, error, match in (
        (["jpg:q=60"], UsageError, "unknown degradation"),
        (["jpeg:q=0"], UsageError, "out of range"),
        (["suite:robust/v1"], UsageError, "unknown suite"),
        (["JP60@source"], DataError, "acts before cropping and needs the media of"),
        (["h264:crf=40"], DataError, "acts before cropping and needs the media of"),
    ):
        with pytest.raises(error, match=match):
            run(checker, tiny, tmp_path / "run", conditions=["JP60", *words])
    assert not (tmp_path / "run").exists()


def test_results_without_conditions_still_load(few: Run) -> None:
    old = few.result.model_dump(mode="json", exclude={"robustness", "unavailable"})
    assert RunResult.model_validate(old).robustness == ()
