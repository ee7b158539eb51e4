"""The training method ``sbi``: its batches and steps, what it leaves out and refuses, cards, notes, preparations."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from schematic_faces import EXTRAS, face_columns
from torch import nn

import dfbench
from dfbench.errors import DataError, DfbenchError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.models.card import read_card
from dfbench.models.registry import get_spec
from dfbench.models.weights import read_state
from dfbench.protocols.files import load_protocol
from dfbench.training import Batch, ImagesRequest, SharpnessAwareStep, StepResult, supervised_step
from dfbench.training.methods import chosen_method
from dfbench.training.plan import training_notes
from dfbench.training.sbi.images import SelfBlendedImages, self_blended_images
from dfbench.training.sbi.pairs import pair_generator, self_blended
from dfbench.training.sbi.stored import COLUMNS, face_image
from dfbench.workflow import resolve_training, train

UNUSABLE = "folder/all/real/train03#000001.0"


@pytest.fixture(scope="module")
def faces(tiny: SimpleNamespace) -> SimpleNamespace:
    return tiny.make("faces", "folder", 5, extras=EXTRAS, add=face_columns)


def without_some(row: dict[str, Any]) -> dict[str, Any]:
    """As :func:`face_columns`, but a real face without landmarks, and one whose box lies elsewhere."""
    given = face_columns(row)
    if "real" not in row["sample_id"] or row["split"] != "train":
        return given
    if row["scene_group"] == "train03" and row["frame_index"] == 1:
        return given | {"dense": None}
    return given | {"box": [0.0, 0.0, 130.0, 120.0]} if row["scene_group"] == "train00" else given


def request_of(data: SimpleNamespace, **options: Any) -> ImagesRequest:
    protocol, manifest = load_protocol(data.protocol), dfbench.open_manifest(data.manifest)
    part = role_data(protocol, [manifest], "train")
    method = chosen_method(get_spec("meso4"), "sbi", options)
    flow = resolve_training("meso4", data.protocol, data.manifest, method="sbi")
    return ImagesRequest(part, part.images, flow.training.recipe, method.options)


class Seen:
    """The batches that the steps of a training got; each has two passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Batch] = []
        self.moved: list[bool] = []
        original = SharpnessAwareStep.__init__

        def make(step: SharpnessAwareStep, *args: Any, **kwargs: Any) -> None:
            original(step, *args, **kwargs)

            def noted(detector: nn.Module, batch: Batch) -> StepResult:
                self.moved.append(bool(step._weights))
                if self.moved[-1] or not step.rho:
                    self.batches.append(batch)
                return supervised_step(detector, batch)

            step.step = noted

        monkeypatch.setattr(SharpnessAwareStep, "__init__", make)


def run(data: SimpleNamespace, out: Path, **given: Any) -> Path:
    common: dict[str, Any] = {"device": "cpu", "quiet": True, "epochs": 2, "method": "sbi"} | given
    return train("meso4", data.protocol, data.manifest, out, **common)


def test_batches_are_reals_and_their_fakes_and_do_not_depend_on_workers(
    faces: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    weights = run(faces, tmp_path / "w.safetensors")
    assert seen.moved == [False, True] * len(seen.batches)
    table = dfbench.open_manifest(faces.manifest).table([*COLUMNS[:-2], "patch", "patch_box", "label", "split"])
    rows = {row["sample_id"]: row for row in table.to_pylist()}
    reals = {name for name, row in rows.items() if row["label"] == 0 and row["split"] == "train"}
    per_epoch = len(seen.batches) // 2
    for number, batch in enumerate(seen.batches):
        half = len(batch.sample_ids) // 2
        assert batch.targets.tolist() == [0] * half + [1] * half
        assert batch.sample_ids[:half] == batch.sample_ids[half:]
        for place, name in enumerate(batch.sample_ids[:half]):
            pair = self_blended(face_image(rows[name]), 64, pair_generator(name, number // per_epoch, 7))
            for image, made in ((batch.images[place], pair.real), (batch.images[half + place], pair.fake)):
                assert torch.equal((image * 255).round().to(torch.uint8), torch.from_numpy(made).permute(2, 0, 1))
    of_epoch = [b.sample_ids[: len(b.sample_ids) // 2] for b in seen.batches]
    assert sorted(sum(of_epoch[:per_epoch], ())) == sorted(sum(of_epoch[per_epoch:], ())) == sorted(reals)
    card = read_card(weights)
    assert card.training_method == "sbi"
    assert card.method_options == {"sharpness": 0.05, "skip": True}
    assert card.recipe["sampling"] == "reals"
    assert "method_counts" not in card.recipe
    assert card.overrides == {}
    again = read_state(run(faces, tmp_path / "again.safetensors", workers=2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in read_state(weights).items())


def test_without_sharpness_there_is_one_pass(
    faces: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen(monkeypatch)
    weights = run(faces, tmp_path / "w.safetensors", epochs=1, method_options={"sharpness": 0.0})
    assert seen.moved == [False] * len(seen.batches)
    assert len(seen.batches) == 3  # ten reals by four
    assert read_card(weights).overrides == {"epochs": 1, "sbi.sharpness": 0.0}


def test_faces_that_cannot_be_blended_are_left_out_and_counted(
    tiny: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tiny.make("some-faces", "folder", 5, extras=EXTRAS, add=without_some)
    counts = {"skipped: no dense landmarks": 1, "skipped: box and landmarks disagree": 2}
    with caplog.at_level("WARNING"):
        made = self_blended_images(request_of(data))
    assert "3 of 10 real training samples are skipped" in caplog.text
    assert made.counts == counts
    assert made.rows is not None
    ids = request_of(data).data.sample_ids
    left = [ids[row] for row in made.rows]
    assert UNUSABLE in ids
    assert len(left) == 7
    assert not any("train00" in name or name == UNUSABLE for name in left)
    weights = run(data, tmp_path / "w.safetensors", epochs=1)
    assert read_card(weights).recipe["method_counts"] == counts
    with pytest.raises(DataError, match=r"has no dense landmarks|does not cover"):
        run(data, tmp_path / "other.safetensors", epochs=1, method_options={"skip": False})
    assert not (tmp_path / "other.safetensors").exists()


def test_a_face_without_a_pair_is_shown_by_another_one(faces: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    images = self_blended_images(request_of(faces)).dataset
    assert isinstance(images, SelfBlendedImages)
    first, second, third = sorted(images.places)[:3]
    faulty = images.face(second)
    usual = SelfBlendedImages.face

    def face(self: SelfBlendedImages, row: int) -> Any:
        lost = type(faulty)(faulty.pixels, faulty.landmarks + 5000, faulty.box)
        return lost if row == second else usual(self, row)

    monkeypatch.setattr(SelfBlendedImages, "face", face)
    loaded = images.__getitems__(images.in_epoch([first, second, third], 4))
    assert loaded.rows[0] == loaded.rows[3] == first
    assert loaded.rows[1] == loaded.rows[4] != second
    assert loaded.images.shape == (6, 3, 64, 64)
    assert loaded.images.is_contiguous(memory_format=torch.channels_last)


def refusal(*args: Any, **options: Any) -> DfbenchError:
    with pytest.raises(DfbenchError) as caught:
        resolve_training(*args, **options)
    assert caught.value.hint
    return caught.value


def test_what_is_refused_is_refused_before_the_training(
    tiny: SimpleNamespace, faces: SimpleNamespace, tmp_path: Path
) -> None:
    lacks = refusal("meso4", tiny.protocol, tiny.manifest, method="sbi")
    assert "needs patches and dense landmarks" in lacks.message
    assert f"dfbench prepare folder --protocol {tiny.protocol}" in lacks.hint
    assert f"--patch --landmarks NAME --out {tiny.manifest}-sbi" in lacks.hint
    degraded = refusal("meso4", faces.protocol, faces.manifest, method="sbi", condition="JP60")
    assert "cannot train under the condition 'JP60'" in degraded.message
    several = tmp_path / "several.toml"
    text = faces.protocol.read_text("utf-8").replace(
        "summary", 'task = "multiclass"\nclasses = ["real", "Checker"]\nsummary', 1
    )
    several.write_text(text, "utf-8")
    assert "has the classes real, Checker" in refusal("meso4", several, faces.manifest, method="sbi").message
    for value in (-0.1, float("inf"), float("nan")):
        given = {"method": "sbi", "method_options": {"sharpness": value}}
        assert "sharpness" in refusal("meso4", faces.protocol, faces.manifest, **given).message
    other = refusal("sbi", faces.protocol, faces.manifest, method="rfm")
    assert isinstance(other, UsageError)
    assert "excludes 'rfm'" in other.message
    assert "--model efficientnet-b4 --method rfm" in other.hint
    missing = refusal("sbi", "sbi/cross")
    assert "dfbench prepare ff++ --protocol sbi/cross --patch --landmarks NAME --root DIR" in missing.hint


def test_the_published_pairing_has_the_published_recipe(faces: SimpleNamespace) -> None:
    spec = get_spec("sbi")
    assert spec.options["normalization"] == "none"
    plan = resolve_training("sbi", faces.protocol, faces.manifest).training
    assert plan.method.name == "sbi"
    text = faces.protocol.read_text("utf-8")
    own = faces.protocol.with_name("own-recipe.toml")
    own.write_text(text[: text.index("[training]")] + text[text.index("[metrics]") :], "utf-8")
    recipe = resolve_training("sbi", own, faces.manifest).training.recipe
    assert (recipe.optimizer, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 1e-3, 0.9, 0.0)
    assert (recipe.batch_size, recipe.sampling, recipe.epochs, recipe.images_per_row) == (32, "reals", 100, 2)
    assert recipe.augmentation.flip == 0.0
    rates = [recipe.rate(epoch, 360 * epoch, 36_000) for epoch in range(100)]
    assert rates == pytest.approx([1e-3] * 75 + [1e-3 - 1e-3 / 25 * n for n in range(25)])


def test_notes_say_where_crops_differ(faces: SimpleNamespace) -> None:
    flow = resolve_training("meso4", faces.protocol, faces.manifest, method="sbi")
    assert any("by the crop profile sbi" in note and "native" in note for note in flow.notes)
    file = faces.protocol.with_name("flipped.toml")
    text = faces.protocol.read_text("utf-8")
    file.write_text(text + "\n[training.augmentation]\nflip = 0.5\n", "utf-8")
    flow = resolve_training("meso4", file, faces.manifest, method="sbi")
    assert any("the protocol's augmentation is not applied" in note for note in flow.notes)
    assert load_protocol("sbi/cross").crops.profile == "sbi"
    plan = flow.training
    same = plan.protocol.model_copy(update={"crops": plan.protocol.crops.model_copy(update={"profile": "sbi"})})
    assert not any("crop profile" in note for note in training_notes(type(plan)(**vars(plan) | {"protocol": same})))


def test_mini_is_prepared_with_what_the_method_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (made,) = resolve_training("efficientnet-b4", "mini", method="sbi").preparations.values()
    assert made.recipe.extras == ("patch", "dense")
    assert made.recipe.landmarks == "average-face"
    (plain,) = resolve_training("efficientnet-b4", "mini").preparations.values()
    assert plain.recipe.extras == ()


def test_every_real_sample_of_every_manifest_has_its_own_rows(tiny: SimpleNamespace) -> None:
    """Two data sets: the rows of the second begin where those of the first end."""
    one, two = (tiny.make(f"part-{name}", name, 3, extras=EXTRAS, add=face_columns) for name in ("folder", "ff++"))
    first = load_protocol(one.protocol)
    both = first.model_copy(update={"data": (*first.data, *load_protocol(two.protocol).data)})
    part = role_data(both, [dfbench.open_manifest(d.manifest) for d in (one, two)], "train")
    request = request_of(one)
    made = self_blended_images(ImagesRequest(part, part.images, request.recipe, request.options))
    labels = np.array(part.ok_table["label"].to_pylist())
    assert made.rows is not None
    assert made.rows.tolist() == np.flatnonzero(labels == 0).tolist()
    assert isinstance(made.dataset, SelfBlendedImages)
    rows = {row["sample_id"]: row for manifest, _ in part.parts for row in manifest.table([*COLUMNS]).to_pylist()}
    for row in made.rows:
        expected = face_image(rows[part.sample_ids[row]])
        assert np.array_equal(made.dataset.face(int(row)).pixels, expected.pixels)
