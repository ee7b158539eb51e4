"""A whole evaluation on drawn patterns: ids, scores, result, examples; the run folder; the user's own model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dfbench.errors import DataError, ModelError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.evaluation.detector import NO_WEIGHTS
from dfbench.evaluation.run import Run
from dfbench.manifest.manifest import open_manifest
from dfbench.media.images import decode_image
from dfbench.models.card import SelectionRecord, WeightCard
from dfbench.models.registry import get_spec
from dfbench.models.weights import save_weights
from dfbench.protocols.files import load_protocol
from dfbench.schema.result import RunResult
from dfbench.schema.scores import EXAMPLES, SCORES
from dfbench.workflow import evaluate

pytestmark = pytest.mark.slow


def make_weights(folder: Path, name: str, mini: bool = False, profile: str = "native") -> Path:
    from dfbench.models.build import build_model

    torch.manual_seed(0)
    card = WeightCard(
        model=name,
        options=dict(get_spec(name).options),
        num_classes=2,
        profile=profile,
        size=64,
        selection=SelectionRecord(split="none", epoch=0, note="untrained"),
        seed=3,
        mini=mini,
    )
    path = folder / f"{name}.safetensors"
    save_weights(path, build_model(name, 2, 64), card)
    return path


@pytest.fixture(scope="module")
def run(tiny: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    weights = make_weights(folder, "grnet")
    return evaluate("grnet", tiny.protocol, [tiny.manifest], weights, folder / "run", device="cpu", quiet=True)


def test_every_requested_sample_is_a_row(tiny: SimpleNamespace, run: Run) -> None:
    scores = pq.read_table(run.folder / "scores.parquet")
    SCORES.check(scores)
    protocol = load_protocol(tiny.protocol)
    wanted = open_manifest(tiny.manifest).samples(protocol, "test").table
    assert scores["sample_id"].to_pylist() == wanted["sample_id"].to_pylist()
    lost = [s is None for s in scores["score"].to_pylist()]
    assert lost == [s != "ok" for s in scores["status"].to_pylist()]
    assert sum(lost) == 2
    assert set(scores["run_id"].to_pylist()) == {run.result.run_id}


def test_scores_are_the_models(tiny: SimpleNamespace, run: Run) -> None:
    from dfbench.models.weights import load_weights

    model, _ = load_weights(run.folder.parent / "grnet.safetensors")
    protocol = load_protocol(tiny.protocol)
    data = role_data(protocol, [open_manifest(tiny.manifest)], "test")
    images = torch.stack([data.images[i][0] for i in range(len(data.ok))]).float() / 255
    with torch.inference_mode():
        expected = torch.softmax(model(images).logits, 1)[:, 1].numpy()
    found = np.array([s for s in run.scores_table["score"].to_pylist() if s is not None])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_result_follows_from_the_scores(run: Run) -> None:
    result = RunResult.model_validate_json((run.folder / "result.json").read_text("utf-8"))
    assert result == run.result
    frame = run.scores_table.to_pandas()
    ok = frame[frame["status"] == "ok"]
    values = {m.name: m for m in result.metrics if m.manipulation == "all"}
    assert values["auc.frame"].value == pytest.approx(roc_auc_score(ok["label"], ok["score"]))
    assert values["acc.frame"].value == pytest.approx(float(((ok["score"] >= 0.5) == ok["label"]).mean()))
    videos = ok.groupby("media_id").agg({"score": "mean", "label": "first"})
    assert values["auc.video.mean"].value == pytest.approx(roc_auc_score(videos["label"], videos["score"]))
    assert values["auc.frame"].coverage == pytest.approx(len(ok) / len(frame))
    assert (values["auc.frame"].size, values["auc.frame"].profile, values["auc.frame"].seed) == (64, "native", 3)
    assert sum(c.requested for c in result.coverage) == len(frame)
    assert result.weights is not None
    assert result.weights.card["model"] == "grnet"
    assert result.manifests[0].name == "tiny"
    assert {"dfbench", "torch", "numpy", "pyarrow", "av", "scipy"} <= set(result.versions)
    assert any(name.startswith("opencv") for name in result.versions)
    assert not result.mini


def test_examples_show_crop_and_residual(run: Run) -> None:
    table = pq.read_table(run.folder / "examples.parquet")
    EXAMPLES.check(table)
    rows = table.to_pylist()
    assert {(r["manipulation"], r["kind"]) for r in rows} == {
        (m, k) for m in ("real", "Checker") for k in ("typical", "worst")
    }
    for row in rows:
        assert decode_image(row["crop"]).shape == decode_image(row["residual"]).shape == (64, 64, 3)
        assert row["residual_factor"] > 1
        assert row["condition"] == "clean"
    scores = dict(zip(run.scores_table["sample_id"].to_pylist(), run.scores_table["score"].to_pylist(), strict=True))
    worst = next(r for r in rows if r["kind"] == "worst" and r["label"] == 0)
    reals = [
        scores[s] for s, y in zip(scores, run.scores_table["label"].to_pylist(), strict=True) if y == 0 and scores[s]
    ]
    assert worst["score"] == max(reals)


def test_same_inputs_same_folder_and_scores(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    weights = make_weights(tmp_path, "meso4")
    first = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, device="cpu", quiet=True)
    before = (first.folder / "scores.parquet").read_bytes()
    second = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, device="cpu", quiet=True, batch_size=64)
    assert second.folder == first.folder
    assert first.folder.parent == tmp_path / "runs"
    assert (second.folder / "scores.parquet").read_bytes() == before
    assert sorted(p.name for p in second.folder.iterdir()) == ["examples.parquet", "result.json", "scores.parquet"]
    assert all(r["residual"] is None for r in pq.read_table(second.folder / "examples.parquet").to_pylist())
    rough = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, device="cpu", quiet=True, precision="bf16")
    assert rough.folder != first.folder
    exact = np.array([s or 0.0 for s in first.scores_table["score"].to_pylist()])
    assert np.abs(exact - np.array([s or 0.0 for s in rough.scores_table["score"].to_pylist()])).max() <= 0.02


def test_another_run_is_not_overwritten(tiny: SimpleNamespace, run: Run) -> None:
    weights = make_weights(run.folder.parent, "meso4")
    before = (run.folder / "result.json").read_bytes()
    with pytest.raises(UsageError, match="another run"):
        evaluate("meso4", tiny.protocol, [tiny.manifest], weights, run.folder, device="cpu", quiet=True)
    assert (run.folder / "result.json").read_bytes() == before
    other = run.folder.parent / "taken"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not a run"):
        evaluate("meso4", tiny.protocol, [tiny.manifest], weights, other, device="cpu", quiet=True)


def test_users_model_as_it_comes(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "checker.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Checker(nn.Module):\n"
        "    def forward(self, images):\n"
        "        board = 1.0 - 2.0 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2)\n"
        "        return 500 * ((images * board).mean(dim=(1, 2, 3)).abs() - 0.02)\n",
        "utf-8",
    )
    done = evaluate(f"{file}:Checker", tiny.protocol, [tiny.manifest], out=tmp_path / "run", device="cpu", quiet=True)
    values = {m.name: m.value for m in done.result.metrics if m.manipulation == "all"}
    assert values["auc.frame"] == 1.0
    assert done.result.model == "checker.checker"
    assert done.result.options["code_sha256"]


def test_a_users_model_that_draws_its_weights_is_the_same_each_time(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "drawn.py"
    file.write_text(
        "from torch import nn\n"
        "class Drawn(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(3, 2)\n"
        "    def forward(self, images):\n"
        "        return self.head(images.mean(dim=(2, 3)))\n",
        "utf-8",
    )
    runs = [
        evaluate(f"{file}:Drawn", tiny.protocol, [tiny.manifest], out=tmp_path / name, device="cpu", quiet=True)
        for name in ("a", "b")
    ]
    assert runs[0].result.run_id == runs[1].result.run_id
    assert NO_WEIGHTS in runs[0].result.warnings


def test_mini_weights_and_other_faults(tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="there are no weights"):
        evaluate("meso4", tiny.protocol, [tiny.manifest], quiet=True)
    weights = make_weights(tmp_path, "meso4", mini=True)
    with pytest.raises(ModelError, match="invented faces"):
        evaluate("meso4", tiny.protocol, [tiny.manifest], weights, quiet=True)
    done = evaluate("meso4", tiny.protocol, [tiny.manifest], weights, quiet=True, device="cpu", allow_mini_weights=True)
    assert done.result.mini
    with pytest.raises(DataError, match="none was given"):
        evaluate("meso4", tiny.protocol, [], weights, quiet=True)
    degraded = tmp_path / "degraded.toml"
    degraded.write_text(tiny.protocol.read_text("utf-8") + '\n[conditions]\ntest = ["jpegg:q=60"]\n', "utf-8")
    with pytest.raises(DataError, match="did you mean 'jpeg'"):
        evaluate("meso4", degraded, [tiny.manifest], weights, quiet=True)


def test_weights_of_other_crops_are_refused_or_marked(tiny: SimpleNamespace, tmp_path: Path) -> None:
    weights, out = make_weights(tmp_path, "meso4", profile="dfb256"), tmp_path / "run"
    with pytest.raises(ModelError, match="'dfb256' crops of 64 pixels, the data are 'native'") as caught:
        evaluate("meso4", tiny.protocol, [tiny.manifest], weights, out, quiet=True)
    assert "--allow-crop-mismatch" in caught.value.hint
    done = evaluate(
        "meso4", tiny.protocol, [tiny.manifest], weights, out, device="cpu", quiet=True, allow_crop_mismatch=True
    )
    assert done.result.crop_mismatch == "dfb256 64 px"
    stored = json.loads((out / "result.json").read_text("utf-8"))
    assert stored["crop_mismatch"] == "dfb256 64 px"
    matching = make_weights(tmp_path, "resnet18")
    quiet = evaluate(
        "resnet18", tiny.protocol, [tiny.manifest], matching, device="cpu", quiet=True, allow_crop_mismatch=True,
        out=tmp_path / "other",
    )  # fmt: skip
    assert quiet.result.crop_mismatch == ""


def test_logits_that_are_not_finite(tiny: SimpleNamespace, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def forward(self, x):\n        return torch.log(x.mean(dim=(1, 2, 3)) - 9)[:, None].repeat(1, 2)\n",
        "utf-8",
    )
    with pytest.raises(ModelError, match="not finite"):
        evaluate(f"{file}:Net", tiny.protocol, [tiny.manifest], out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_json_has_no_machine_paths(run: Run, tiny: SimpleNamespace) -> None:
    text = json.dumps(json.loads((run.folder / "result.json").read_text("utf-8")))
    assert str(tiny.manifest) not in text
    assert str(run.folder) not in text
