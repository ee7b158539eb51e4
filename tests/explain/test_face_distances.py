"""Reconstructions by a training method whose faces, and therefore distances, are known; and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from dfbench import explain_detector
from dfbench.cli.main import run_command
from dfbench.errors import ModelError, UsageError
from dfbench.explain import FaceReconstruction, Reconstruct, ReconstructedFaces, ReconstructionRequest, open_explanation
from dfbench.explain.store import Explanation
from dfbench.media.images import decode_image
from dfbench.metrics import auc_interval
from dfbench.models.card import IntendedUse, read_card
from dfbench.models.weights import load_weights, save_weights, write_state
from dfbench.training import TrainingMethod
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.optimization import supervised_step

REQUESTS: list[ReconstructionRequest] = []
BROKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "shape": lambda distances: distances[:1],
    "nan": lambda distances: distances / 0 * 0,
    "range": lambda distances: distances + 1,
}


def smooth(images: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def load(request: ReconstructionRequest) -> Reconstruct:
    """The source is the image, the target a smooth one: they differ by the checkerboards of fakes, and by noise."""
    REQUESTS.append(request)
    share, fault = request.weights["share"], request.options["fault"]
    if fault == "load":
        raise RuntimeError("nothing to load")

    def faces(images: Tensor, advance: Callable[[int], object]) -> ReconstructedFaces:
        assert not torch.is_grad_enabled()
        for _ in range(request.steps):
            advance(len(images))
        target = images + share * (smooth(images) - images)
        distances = (images - target).square().mean((1, 2, 3)).sqrt()
        if fault in BROKEN:
            distances = BROKEN[fault](distances)
        return ReconstructedFaces(images, target, distances, images.mean((2, 3))[:, :2])

    return faces


def check(options: Mapping[str, Any], steps: int) -> str:
    if steps > 9:
        raise UsageError(f"{steps} steps are too many", "at most 9")
    return "a method of a test" if options["sd"] == "tiny" else ""


METHOD = TrainingMethod(
    "smoothing",
    "of a test",
    supervised_step,
    version="2",
    options={"sd": "", "fault": "", "other": 1},
    folders={"sd": ("tiny",)},
    reconstruction=FaceReconstruction("none", "root mean square", check, load),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})
    TRAINING_METHODS.register("smoothing", METHOD)
    REQUESTS.clear()


@pytest.fixture
def trained(quadrants: SimpleNamespace, tmp_path: Path) -> Callable[..., Path]:
    """Weights as a training by the method would leave them; arguments replace fields of the card."""

    def make(share: float = 1.0, fault: str = "", **fields: Any) -> Path:
        network, card = load_weights(quadrants.weights, IntendedUse(model=quadrants.model))
        values = {
            "training_method": "smoothing",
            "method_options": {"sd": "tiny", "fault": fault, "other": 1},
            "recipe": {"method_version": "2", "method_record": {"hash": "abc"}},
        }
        write_state(tmp_path / "kept", {"share": torch.tensor(share)})
        out = tmp_path / "trained" / "w.safetensors"
        save_weights(out, network, card.model_copy(update=values | fields), method_weights=tmp_path / "kept")
        return out

    return make


def explained(quadrants: SimpleNamespace, weights: Path, out: Path, **options: Any) -> Explanation:
    chosen = {"model": quadrants.model, "weights": weights, "protocol": quadrants.protocol, "out": out}
    chosen |= {"manifests": quadrants.manifest, "device": "cpu", "quiet": True, "reconstruct": True}
    chosen |= {"mean_images": 2, "images": 12, "examples": 1, "reconstruction_steps": 3}
    return explain_detector(**(chosen | options))


def test_the_numbers_are_those_of_the_stored_distances(
    quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path
) -> None:
    weights = trained()
    done = explained(quadrants, weights, tmp_path / "out", seed=5)
    found, arrays = done.record.reconstructions, done.maps()
    assert found is not None
    names, distances = arrays["reconstructed_manipulation"], arrays["reconstructed_distance"]
    assert {name: int((names == name).sum()) for name in set(names.tolist())} == dict.fromkeys(
        ("real", "Lower", "Right", "Upper"), 12
    )
    ids = arrays["reconstructed_sample_id"].tolist()
    for sample, name, distance in zip(ids, names, distances, strict=True):  # drawn again, in float64
        real = sample.partition("#")[0].replace(f"/{name}/", "/real/") + str(int(sample[-8:-2]))
        image = quadrants.draw(real, str(name)) / 255
        edged = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = sum(edged[i : i + 32, j : j + 32] for i in range(3) for j in range(3)) / 9
        assert distance == pytest.approx(np.sqrt(((image - mean) ** 2).mean()), rel=1e-5)
    groups = [sample.split("/")[3].partition("#")[0] for sample in ids]
    rows = {row.manipulation: row for row in found.rows}
    assert list(rows) == ["real", "all", "Lower", "Right", "Upper"]
    assert rows["real"].auc is None
    for name, row in rows.items():
        mine = names != "real" if name == "all" else names == name
        assert row.distance == pytest.approx(distances[mine].mean())
        weight = arrays["reconstructed_weights"][mine].mean(axis=0)
        assert (row.source_weight, row.target_weight) == (pytest.approx(weight[0]), pytest.approx(weight[1]))
        assert (row.n, row.n_groups) == (mine.sum(), len({g for g, m in zip(groups, mine, strict=True) if m}))
        if name != "real":
            both = mine | (names == "real")
            assert row.auc == pytest.approx(roc_auc_score((names != "real")[both], distances[both]))
            wanted = auc_interval((names != "real")[both].astype(int), distances[both], np.array(groups)[both])
            assert (row.low, row.high, row.interval_method) == (wanted.low, wanted.high, wanted.method)
    assert (found.method, found.sampler, found.steps, found.seed, found.size) == ("smoothing", "none", 3, 5, 32)
    assert found.method_weights == read_card(weights).method_weights.sha256  # type: ignore[union-attr]
    assert found.method_record == {"hash": "abc"}
    assert done.record.options["reconstruction"] == {"steps": 3, "method_weights": found.method_weights}
    (request,) = REQUESTS
    assert (request.steps, request.seed, request.record["hash"]) == (3, 5, "abc")
    assert not request.detector.training
    text = (done.folder / "explain.md").read_text("utf-8")
    assert "the faces of fakes differ more, and the interval is above 50 %" in text
    assert "Caution: a method of a test." in text
    assert "sampler none, 3 steps, seed 5, faces of 32 px. Distance: root mean square." in text
    assert min(decode_image((done.folder / "figures" / "reconstructions.png").read_bytes()).shape[:2]) > 300
    # The images of the techniques, of the maps and of the other figures are those without reconstructions.
    plain = explained(quadrants, weights, tmp_path / "plain", reconstruct=False, reconstruction_steps=None, seed=5)
    assert plain.record.run_id != done.record.run_id
    assert plain.record.techniques == done.record.techniques
    np.testing.assert_array_equal(plain.maps()["fam"], arrays["fam"])
    assert plain.record.reconstructions is None
    assert "reconstruction" not in plain.record.options
    assert not (plain.folder / "figures" / "reconstructions.png").exists()


def test_equal_faces_tell_nothing(quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path) -> None:
    done = explained(quadrants, trained(share=0.0), tmp_path / "out", examples=0)
    found = done.record.reconstructions
    assert found is not None
    assert {row.distance for row in found.rows} == {0.0}
    assert {row.auc for row in found.rows} == {None, 0.5}
    assert "whether that is better than chance is open" in (done.folder / "explain.md").read_text("utf-8")


@pytest.mark.parametrize("kind", ["reals", "fakes"])
def test_one_class_alone_has_distances_and_no_auc(
    kind: str, quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path
) -> None:
    given: dict[str, Any] = {"manifests": quadrants.plain, "protocol": tmp_path / "p.toml"}
    only = {"val": "real", "test": "real"} if kind == "reals" else None
    given["protocol"].write_text(quadrants.protocol_text(only=only), "utf-8")
    if kind == "fakes":
        names = ("Lower", "Upper")
        given["manifests"] = quadrants.build(tmp_path / "m", {"val": 1, "test": 3}, manipulations=names)
    done = explained(quadrants, trained(), tmp_path / "out", **given)
    found, arrays = done.record.reconstructions, done.maps()
    assert found is not None
    names = arrays["reconstructed_manipulation"]
    rows = {row.manipulation: row for row in found.rows}
    assert list(rows) == (["real"] if kind == "reals" else ["all", "Lower", "Upper"])
    for name, row in rows.items():
        mine = np.full(len(names), True) if name == "all" else names == name
        assert row.n == mine.sum() == (12 if name == "all" else 6)
        assert row.distance == pytest.approx(arrays["reconstructed_distance"][mine].mean())
        assert row.distance > 0
        assert (row.auc, row.low, row.high, row.interval_method) == (None,) * 4
        assert (row.interval_note is None) == (kind == "reals")
    text = (done.folder / "explain.md").read_text("utf-8")
    assert "Whether reconstructed faces tell fakes from reals is open: images of one class alone." in text
    assert f"| {rows['real' if kind == 'reals' else 'Upper'].distance:.4f} |" in text
    assert (done.folder / "figures" / "reconstructions.png").is_file()


def test_the_command_prints_them(
    quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "--model", quadrants.model, "--weights", str(trained()), "--reconstruct", "-q"]
    words += ["--protocol", str(quadrants.protocol), "--manifest", str(quadrants.plain), "--device", "cpu"]
    words += ["--reconstruction-steps", "2", "--method-option", f"sd={tmp_path}", "--batch-size", "5"]
    words += ["--mean-images", "2", "--images", "4", "--examples", "1", "--out", str(tmp_path / "out")]
    assert run_command(words) == 0
    printed = capsys.readouterr().out
    assert "Reconstructed faces" in printed
    assert "12 fakes are distinguished from 4 reals with an AUC of" in printed
    assert REQUESTS[0].options == {"sd": str(tmp_path), "fault": "", "other": 1}
    record = open_explanation(tmp_path / "out").record
    assert record.reconstructions is not None
    assert record.reconstructions.steps == 2
    assert str(tmp_path) not in (tmp_path / "out" / "explanations.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "told", "hint"),
    [
        ({"reconstruction_steps": 10}, "10 steps are too many", "at most 9"),
        ({"method_options": {"other": 2}}, "option other of the method smoothing is that of the training", "sd"),
        ({"method_options": {"missing": "x"}}, "missing", "other"),
        ({"reconstruct": False}, "decide nothing", "--reconstruct"),
        ({"weights": None}, "no trained weights", "keep=true"),
    ],
)
def test_invalid_requests_are_refused(
    options: dict[str, Any],
    told: str,
    hint: str,
    quadrants: SimpleNamespace,
    trained: Callable[..., Path],
    tmp_path: Path,
) -> None:
    with pytest.raises((UsageError, ModelError), match=told) as caught:
        explained(quadrants, **({"weights": trained(), "out": tmp_path / "out"} | options))
    assert hint in caught.value.hint
    assert not (tmp_path / "out").exists()
    assert not REQUESTS, "before anything was loaded"


def test_weights_without_what_reconstructs_are_refused(
    quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path
) -> None:
    def refused(weights: Path, told: str, hint: str) -> None:
        with pytest.raises((UsageError, ModelError), match=told) as caught:
            explained(quadrants, weights, tmp_path / "out")
        assert hint in caught.value.hint
        assert not REQUESTS

    refused(quadrants.weights, "method 'supervised', which reconstructs no faces", "drop --reconstruct")
    refused(trained(training_method="unknown"), "method 'unknown', which reconstructs no faces", "diffusionfake")
    refused(trained(recipe={"method_version": "1"}), "version 1 of the method 'smoothing', this is version 2", "again")
    weights = trained()
    other = tmp_path / "other" / "w.safetensors"
    shutil.copytree(weights.parent, other.parent)
    kept = other.with_name("w.method.safetensors")
    write_state(kept, {"share": torch.tensor(0.5)})
    refused(other, "is not the file that its card describes", "together")
    kept.write_bytes(kept.read_bytes()[:-1])
    refused(other, "is truncated", "copy it again")
    kept.unlink()
    refused(other, "have no w.method.safetensors in the same folder", "copy it along")
    card = json.loads(other.with_suffix(".json").read_text("utf-8"))
    del card["method_weights"]
    other.with_suffix(".json").write_text(json.dumps(card), "utf-8")
    refused(other, "has not kept the weights of its method", "keep=true")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("load", "'smoothing' cannot reconstruct faces: RuntimeError: nothing to load"),
        ("shape", r"distances of 32 images have the shape \(1,\)"),
        ("nan", "reconstructions are not finite, first for folder/all/real/"),
        ("range", r"not in \[0,1\]"),
    ],
)
def test_faults_of_a_method_are_named(
    fault: str, told: str, quadrants: SimpleNamespace, trained: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        explained(quadrants, trained(fault=fault, share=0.0 if fault == "nan" else 1.0), tmp_path / "out")
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_weights_show_checks_what_is_kept(
    quadrants: SimpleNamespace, trained: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained()
    words = ["weights", "show", str(weights), "--model", quadrants.model]
    assert run_command(words) == 0
    assert '"method_weights"' in capsys.readouterr().out
    write_state(weights.with_name("w.method.safetensors"), {"share": torch.tensor(0.5)})
    assert run_command(words) == 4
    assert "w.method.safetensors is not the file" in capsys.readouterr().err
