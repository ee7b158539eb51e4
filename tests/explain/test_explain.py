"""Whole explanations of a detector that sees checkerboards, of which every manipulation has one in another quadrant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dfbench import explain_detector
from dfbench.cli.main import run_command
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.explain import forgery_attention_map
from dfbench.explain.store import Explanation, open_explanation, restored
from dfbench.manifest.manifest import open_manifest
from dfbench.media.images import decode_image
from dfbench.models.card import IntendedUse
from dfbench.models.weights import load_weights
from dfbench.protocols.files import load_protocol


def explained(quadrants: SimpleNamespace, out: Path | None, **options: Any) -> Explanation:
    chosen = {"model": quadrants.model, "weights": quadrants.weights, "protocol": quadrants.protocol}
    chosen |= {"manifests": quadrants.manifest, "device": "cpu", "quiet": True, "out": out}
    return explain_detector(**(chosen | options))


@pytest.fixture(scope="module")
def done(quadrants: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    return explained(quadrants, tmp_path_factory.mktemp("explained") / "out", mean_images=10, images=40, examples=2)


def test_techniques_are_named_better_than_by_an_untrained_network(done: Explanation) -> None:
    found = done.record.techniques
    assert found is not None
    assert found.names == ("Lower", "Right", "Upper")
    assert found.mean_images == dict.fromkeys(found.names, 10)
    assert found.classified == dict.fromkeys(found.names, 40)
    assert (found.n_groups, found.chance) == (20, pytest.approx(1 / 3))
    by_name = {way.name: way for way in found.accuracies}
    assert list(by_name) == ["fam", "fam untrained", "crop"]
    assert by_name["fam"].accuracy == 1
    assert by_name["fam"].low is not None
    assert by_name["fam"].low > found.chance
    assert by_name["fam"].matrix == ((40, 0, 0), (0, 40, 0), (0, 0, 40))
    assert by_name["fam untrained"].accuracy < 0.9
    difference = found.differences[0]
    assert difference.second == "fam untrained"
    assert difference.value == pytest.approx(1 - by_name["fam untrained"].accuracy)


def test_maps_and_pixel_aucs_are_those_of_the_detector(quadrants: SimpleNamespace, done: Explanation) -> None:
    network, _ = load_weights(quadrants.weights, IntendedUse(model=quadrants.model))
    data = role_data(load_protocol(quadrants.protocol), [open_manifest(quadrants.manifest)], "test")
    arrays = done.maps()
    chosen = np.flatnonzero(~arrays["in_mean"])
    place = {name: i for i, name in enumerate(data.sample_ids)}
    images = torch.stack([data.images[place[name]][0] for name in arrays["sample_id"][chosen]]).float() / 255
    maps = forgery_attention_map(network, images).numpy()
    reduced = maps.reshape(len(maps), 16, 2, 16, 2).mean((2, 4))
    stored = restored(arrays["fam"], arrays["fam_scale"])[chosen]
    np.testing.assert_allclose(stored, reduced, atol=1e-3 * reduced.max())
    aucs = [
        roc_auc_score(quadrants.mask_of(name).ravel(), fam.ravel())
        for name, fam, sample in zip(arrays["manipulation"][chosen], maps, arrays["sample_id"][chosen], strict=True)
        if name != "real" and not sample.endswith("test00#000001.0")
    ]
    fam = next(v for v in done.record.pixel_auc if (v.name, v.manipulation) == ("fam", "all"))
    assert fam.n == len(aucs) == 117
    assert fam.value == pytest.approx(np.mean(aucs))
    assert {v.name for v in done.record.pixel_auc} == {"fam", "cam", "fam untrained", "centre"}
    centre = next(v for v in done.record.pixel_auc if (v.name, v.manipulation) == ("centre", "all"))
    assert centre.value == pytest.approx(0.5, abs=0.01), "quadrants are at no distance of their own"
    assert any("3 of 120 fakes have no mask" in note for note in done.record.notes)
    assert arrays["mean_names"].tolist() == ["real", "Lower", "Right", "Upper"]
    assert arrays["means"].shape == (4, 16, 16)
    assert arrays["cam"].shape == (len(arrays["sample_id"]), 32, 32)


def test_the_folder_holds_figures_and_a_summary(quadrants: SimpleNamespace, done: Explanation) -> None:
    names = {path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*") if path.is_file()}
    figures = {f"figures/maps-{name}.png" for name in ("real", "Upper", "Lower", "Right")}
    figures |= {"figures/mean-maps.png", "figures/confusion.png"}
    assert names == figures | {"explanations.json", "explain.md", "maps.npz"}
    for name in figures:
        assert min(decode_image((done.folder / name).read_bytes()).shape[:2]) > 100
    text = (done.folder / "explain.md").read_text("utf-8")
    assert "better than chance, whose value is below the interval" in text
    assert "| Lower (40) | 40 | 0 | 0 |" in text
    record = done.record
    assert record.cam_module is not None
    assert record.weights.card["seed"] == 3
    assert record.options["explain"]["seed"] == 0
    assert len(record.examples) == 8
    assert open_explanation(done.folder).record == record
    assert (
        json.loads((done.folder / "explanations.json").read_text("utf-8"))["protocol"]["hash"] == record.protocol.hash
    )


def test_repeated_with_another_batch_size_it_is_the_same(
    quadrants: SimpleNamespace, done: Explanation, tmp_path: Path
) -> None:
    again = explained(quadrants, tmp_path / "out", mean_images=10, images=40, examples=2, batch_size=7)
    assert again.record.run_id == done.record.run_id
    assert again.record.notes == done.record.notes
    assert [e.sample_id for e in again.record.examples] == [e.sample_id for e in done.record.examples]
    first, second = (
        [e.score for e in one.record.examples] + [v.value for v in one.record.pixel_auc] for one in (again, done)
    )
    assert first == pytest.approx(second, abs=1e-5)
    ways = [[(way.matrix, way.undecided) for way in e.record.techniques.accuracies[::2]] for e in (again, done)]
    assert ways[0] == ways[1]
    ours, theirs = again.maps(), done.maps()
    np.testing.assert_array_equal(ours["sample_id"], theirs["sample_id"])
    for name in ("fam", "fam_untrained", "cam"):
        np.testing.assert_allclose(ours[name].astype(float), theirs[name].astype(float), atol=2e-3)
    other = explained(quadrants, tmp_path / "other", mean_images=5, images=5, examples=0, seed=1, centred=False)
    assert other.record.run_id != done.record.run_id
    assert other.record.techniques is not None
    assert not other.record.techniques.centred


def test_means_and_named_fakes_of_validation_data_share_no_scene(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    found = explained(quadrants, tmp_path / "out", role="val", mean_images=6, images=6, examples=0)
    arrays = found.maps()
    names = np.array([name.split("/")[3].partition("#")[0] for name in arrays["sample_id"]])
    scenes = [set(names[arrays["in_mean"] == one].tolist()) for one in (True, False)]
    assert scenes[0] | scenes[1] == {f"val{i:02d}" for i in range(6)}
    assert not scenes[0] & scenes[1]
    assert found.record.techniques is not None
    assert found.record.techniques.accuracies[0].interval_note


@pytest.mark.slow
def test_residuals_of_fakes_beside_their_reals(
    quadrants: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", "--model", quadrants.models[1], "--weights", str(quadrants.all_weights[1]), "--residual"]
    words += ["--protocol", str(quadrants.protocol), "--manifest", str(quadrants.plain), "--examples", "1", "-q"]
    words += ["--mean-images", "4", "--images", "4", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert run_command(words) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(tmp_path / "out" / "explanations.json")
    assert "FAM of the untrained network" in printed
    assert "no class activation maps: the detector has no final feature map" in printed
    assert "no masks" in printed
    record = open_explanation(tmp_path / "out").record
    assert (record.residual, record.cam_module, record.pixel_auc) == ("grnet", None, ())
    assert (tmp_path / "out" / "figures" / "residuals.png").is_file()
    assert "whether they differ is open" in printed


def test_protocols_without_validation_data_or_with_one_manipulation(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    protocol = tmp_path / "p.toml"
    few = {"manifests": quadrants.plain, "protocol": protocol, "mean_images": 4, "images": 4, "examples": 1}
    protocol.write_text(quadrants.protocol_text(("test",)), "utf-8")
    found = explained(quadrants, tmp_path / "a", **few)
    assert found.record.techniques is None
    assert any("has no validation data" in note for note in found.record.notes)
    assert "means" not in found.maps()
    with pytest.raises(UsageError, match="no validation data"):
        explained(quadrants, tmp_path / "b", role="val", **few)
    protocol.write_text(quadrants.protocol_text(only={"val": "Upper"}), "utf-8")
    found = explained(quadrants, tmp_path / "c", **few)
    assert found.record.techniques is None
    assert any("fakes of 1 manipulation" in note for note in found.record.notes)
    assert any("8 fakes are of manipulations without validation data" in note for note in found.record.notes)


def test_fewer_images_than_requested_are_named(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    found = explained(quadrants, tmp_path / "out", manifests=quadrants.plain, images=4, examples=0)
    assert any(
        "mean maps of fewer than 100 images: real 6, Lower 6, Right 6, Upper 6" in note for note in found.record.notes
    )


def test_refusals(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    few = {"manifests": quadrants.plain, "images": 2, "mean_images": 2, "examples": 0}
    with pytest.raises(ModelError, match="no gradient") as caught:
        explained(quadrants, tmp_path / "a", model=quadrants.models[2], weights=quadrants.all_weights[2], **few)
    assert "differentiable" in caught.value.hint
    assert not (tmp_path / "a").exists()
    with pytest.raises(ModelError, match="no weights"):
        explained(quadrants, tmp_path / "b", weights=tmp_path / "none.safetensors")
    with pytest.raises(UsageError, match="map_size"):
        explained(quadrants, tmp_path / "b", map_size=64)
    with pytest.raises(UsageError, match="unknown role"):
        explained(quadrants, tmp_path / "b", role="train")
    with pytest.raises(UsageError, match="5 examples of 3 images"):
        explained(quadrants, tmp_path / "b", images=3, examples=5)


def test_another_explanation_is_replaced_only_if_requested(
    quadrants: SimpleNamespace, done: Explanation, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(done.folder, folder)
    few = {"manifests": quadrants.plain, "images": 2, "mean_images": 2, "examples": 0}
    with pytest.raises(UsageError, match="another explanation"):
        explained(quadrants, folder, **few)
    found = explained(quadrants, folder, overwrite=True, **few)
    assert open_explanation(folder).record.run_id == found.record.run_id
    assert {path.name for path in (folder / "figures").iterdir()} == {"mean-maps.png", "confusion.png"}
    (folder / "maps.npz").write_bytes(b"other")
    with pytest.raises(DataError, match="has changed"):
        found.maps()
    with pytest.raises(DataError, match="no explanation"):
        open_explanation(tmp_path)


def test_a_detector_object_has_no_untrained_counterpart(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    network, _ = load_weights(quadrants.weights, IntendedUse(model=quadrants.model))
    few = {"manifests": quadrants.plain, "images": 4, "mean_images": 4, "examples": 0}
    found = explained(quadrants, tmp_path / "out", model=network, weights=None, **few)
    assert found.record.techniques is not None
    assert [way.name for way in found.record.techniques.accuracies] == ["fam", "crop"]
    assert any("no untrained network" in note for note in found.record.notes)
