"""Whole explanations of a detector that sees checkerboards, of which every manipulation has one in another quadrant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from dfbench import explain_detector
from dfbench.cli.main import run_command
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.explain import forgery_attention_map
from dfbench.explain.example_images import residual_pairs
from dfbench.explain.selection import ChosenImages
from dfbench.explain.store import Explanation, open_explanation, restored
from dfbench.manifest.manifest import open_manifest
from dfbench.media.images import decode_image
from dfbench.models.card import IntendedUse
from dfbench.models.weights import load_weights
from dfbench.protocols.files import load_protocol
from reference_models.grnet import guided_residual


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
    aucs = aucs_of(quadrants, arrays, chosen, maps)
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


def aucs_of(quadrants: SimpleNamespace, arrays: Any, chosen: np.ndarray, maps: np.ndarray) -> list[float]:
    """The AUC of every map of a fake with a mask, by scikit-learn."""
    return [
        roc_auc_score(quadrants.mask_of(name).ravel(), one.ravel())
        for name, one, sample in zip(arrays["manipulation"][chosen], maps, arrays["sample_id"][chosen], strict=True)
        if name != "real" and not sample.endswith("test00#000001.0")
    ]


def test_class_activation_maps_are_enlarged_and_compared_with_masks(quadrants: SimpleNamespace, tmp_path: Path) -> None:
    """Here the map is the sum of squares of four responses to the pattern, times 2: fake minus real; 8 x 8 pixels."""
    few = {"model": quadrants.models[3], "weights": quadrants.all_weights[3], "mean_images": 2, "images": 8}
    done = explained(quadrants, tmp_path / "out", examples=0, **few)
    arrays = done.maps()
    chosen = np.flatnonzero(~arrays["in_mean"] & (arrays["manipulation"] != "real"))
    assert len(chosen) == 24
    data = role_data(load_protocol(quadrants.protocol), [open_manifest(quadrants.manifest)], "test")
    place = {name: i for i, name in enumerate(data.sample_ids)}
    kernel = 1.0 - 2.0 * ((np.arange(3)[:, None] + np.arange(3)) % 2)
    kernel -= kernel.mean()
    maps = []
    for name in arrays["sample_id"][chosen]:
        image = data.images[place[name]][0].numpy().sum(axis=0) / 255
        response = cv2.filter2D(image, cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT_101)
        maps.append(8 * (response**2).reshape(8, 4, 8, 4).mean((1, 3)))
    np.testing.assert_allclose(arrays["cam"][chosen].astype(float), np.stack(maps), rtol=1e-3, atol=1e-4)
    large = np.stack([cv2.resize(one, (32, 32), interpolation=cv2.INTER_LINEAR) for one in maps])
    aucs = aucs_of(quadrants, arrays, chosen, large)
    cam = {v.manipulation: v for v in done.record.pixel_auc if v.name == "cam"}
    assert cam["all"].n == len(aucs)
    assert cam["all"].value == pytest.approx(np.mean(aucs), abs=1e-5)
    for name in ("Lower", "Right", "Upper"):
        mine = arrays["manipulation"][chosen] == name
        assert cam[name].value == pytest.approx(
            np.mean(aucs_of(quadrants, arrays, chosen[mine], large[mine])), abs=1e-5
        )


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


class OwnResidual(nn.Module):
    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=images.mean((2, 3))[:, :2], residual=images / 20)


@pytest.mark.parametrize("own", [True, False])
def test_residual_pairs_are_fakes_and_the_nearest_frames_of_their_own_reals(own: bool) -> None:
    samples = [  # manipulation, clip, frame, face; the base is the real clip of the same name
        ("real", "a", 10, 0),
        ("real", "a", 15, 0),
        ("real", "a", 12, 1),
        ("real", "b", 12, 0),
        ("Swap", "a", 12, 0),
        ("Swap", "a", 14, 0),
        ("Swap", "b", 90, 3),
        ("Swap", "c", 12, 0),
        ("Other", "a", 14, 0),
    ]
    media = [f"d/all/{manipulation}/{clip}" for manipulation, clip, *_ in samples]
    ids = [f"{name}#{frame:06d}.{face}" for name, (*_, frame, face) in zip(media, samples, strict=True)]
    images = np.random.default_rng(0).integers(0, 256, (len(ids), 3, 32, 32), np.uint8)
    images = np.stack([cv2.GaussianBlur(one.transpose(1, 2, 0), (0, 0), 1.0).transpose(2, 0, 1) for one in images])
    manipulations = [manipulation for manipulation, *_ in samples]
    labels = [int(manipulation != "real") for manipulation in manipulations]
    columns = {"sample_id": ids, "media_id": media, "label": labels, "manipulation": manipulations}
    data = SimpleNamespace(
        images=[(torch.from_numpy(one), None) for one in images],
        ok_table=pa.table(columns),
        sample_ids=ids,
        bases=lambda: [f"d/all/real/{clip}" for _, clip, *_ in samples],
        protocol=SimpleNamespace(crops=SimpleNamespace(size=32)),
    )
    fakes = ChosenImages(data, np.array([8, 4, 5, 6, 7]))  # type: ignore[arg-type]
    network = OwnResidual() if own else nn.Flatten()
    pairs, name = residual_pairs(network, fakes, torch.device("cpu"), "mine")
    assert name == ("mine" if own else "grnet")
    # Of its own clip the same face first, then the smallest difference of frames.
    assert [(pair.fake_id, pair.real_id) for pair in pairs] == [
        (ids[8], ids[1]),
        (ids[4], ids[0]),
        (ids[5], ids[1]),
        (ids[6], ids[3]),
        (ids[7], ""),
    ]

    def amplified(row: int) -> np.ndarray:
        pixels = torch.from_numpy(images[row : row + 1]).double() / 255
        residual = pixels / 20 if own else guided_residual(pixels, 2, 0.01)
        return np.clip(8 * 255 * residual[0].numpy(), 0, 255).transpose(1, 2, 0)

    for pair in pairs:
        assert f"/{pair.manipulation}/" in pair.fake_id
        for sample, crop, residual in (
            (pair.fake_id, pair.fake, pair.fake_residual),
            (pair.real_id, pair.real, pair.real_residual),
        ):
            if not sample:
                assert crop is residual is None
                continue
            row = ids.index(sample)
            np.testing.assert_array_equal(crop, images[row].transpose(1, 2, 0))
            assert np.abs(residual - amplified(row)).max() < 0.51, "rounded"
            assert residual.max() > 40
    assert residual_pairs(network, fakes.where(np.zeros(5, np.bool_)), torch.device("cpu"), "mine") == ([], "mine")


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
