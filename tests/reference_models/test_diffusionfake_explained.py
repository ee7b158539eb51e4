"""Reconstructions of a training by DiffusionFake, from its stored parts to the measured distances."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from loading import load_file
from sklearn.metrics import roc_auc_score
from small_triples import MODEL, WEIGHT_WIDTHS, partners
from torch import Tensor

from dfbench import explain_detector
from dfbench.cli.main import run_command
from dfbench.errors import ModelError, UsageError
from dfbench.evaluation.dataset import role_data
from dfbench.explain.store import Explanation
from dfbench.io import file_sha256
from dfbench.manifest.manifest import open_manifest
from dfbench.models.card import IntendedUse, method_path, read_card
from dfbench.models.weights import load_weights, read_state, write_state
from dfbench.protocols.files import load_protocol
from dfbench.workflow import train

pytest.importorskip("diffusers", reason="it comes with the extra diffusion")
pytest.importorskip("transformers", reason="it comes with the extra diffusion")

from reference_models.diffusionfake import branches
from reference_models.diffusionfake.diffusion import tiny_diffusion
from reference_models.diffusionfake.steps import DiffusionFake

pytestmark = pytest.mark.slow

SIDE, STEPS, SEED = 32, 3, 4


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weight networks of a few channels."""
    monkeypatch.setattr(branches, "WEIGHT_WIDTHS", WEIGHT_WIDTHS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``.weights`` of a training that kept its parts, ``.parts`` as they were before each epoch, and its data."""
    drawn = load_file("tests/evaluation/conftest.py", "crops_for_reconstructions")
    base = tmp_path_factory.mktemp("reconstructions")
    protocol = base / "faces.toml"
    text = drawn.PROTOCOL.format(name="faces-test", dataset="folder")
    protocol.write_text(text.replace("lr = 1e-3", "lr = 1e-2"), "utf-8")
    manifest = drawn.build(base / "manifest", groups=6, add=partners(6))
    parts: list[dict[str, Tensor]] = []
    before = DiffusionFake.start_epoch

    def watched(self: DiffusionFake, detector: Any, epoch: int) -> None:
        before(self, detector, epoch)
        parts.append({name: t.clone() for name, t in self.trained().state_dict().items()})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(branches, "WEIGHT_WIDTHS", WEIGHT_WIDTHS)
        patched.setattr(DiffusionFake, "start_epoch", watched)
        patched.setattr("dfbench.training.fit.best_epoch", lambda *_: 0)
        weights = train(
            MODEL, protocol, manifest, base / "w.safetensors", method="diffusionfake",
            method_options={"sd": "tiny", "size": SIDE, "keep": True}, device="cpu", quiet=True,
        )  # fmt: skip
    return SimpleNamespace(weights=weights, manifest=manifest, protocol=protocol, model=MODEL, parts=parts)


def explained(trained: SimpleNamespace, out: Path, **options: Any) -> Explanation:
    chosen = {"model": trained.model, "weights": trained.weights, "protocol": trained.protocol, "out": out}
    chosen |= {"manifests": trained.manifest, "device": "cpu", "quiet": True, "reconstruct": True, "seed": SEED}
    return explain_detector(**(chosen | {"mean_images": 2, "images": 8, "reconstruction_steps": STEPS} | options))


def by_hand(trained: SimpleNamespace, samples: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Distances and weights image by image, by the stored tensors, the formula of DDIM, and float64 at the end."""
    network, _ = load_weights(trained.weights, IntendedUse(model=trained.model))
    data = role_data(load_protocol(trained.protocol), [open_manifest(trained.manifest)], "test")
    place = {name: i for i, name in enumerate(data.sample_ids)}
    step = DiffusionFake(network, sd="tiny", size=SIDE).eval()
    state = read_state(method_path(trained.weights))
    step.load_state_dict(state | {"_extra_state": step.diffusion.sha256})
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    stride = 1000 // STEPS
    first = torch.randn(1, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(SEED))
    distances, weights = [], []
    for sample in samples:
        image = data.images[place[sample]][0][None].float() / 255
        with torch.no_grad():
            maps = network.network.maps(image)  # a user's detector is in a wrapper
            faces, similar = [], []
            for face in ("source", "target"):
                branch, latents = step.branches[face], first
                hint, weight = branch.hint(maps, (SIDE // 8, SIDE // 8)), branch.weights(maps)
                for time in (2 * stride, stride, 0):
                    at = torch.tensor([time])
                    added = step.guide(latents, at, step.diffusion.prompts(1), hint, weight)
                    noise = step.diffusion.predict(latents, at, added)
                    clean = (latents - (1 - kept[time]).sqrt() * noise) / kept[time].sqrt()
                    before = kept[time - stride] if time else torch.tensor(1.0)
                    latents = before.sqrt() * clean + (1 - before).sqrt() * noise
                decoded = step.diffusion.vae.decode(latents / 0.18215).sample[0] / 2 + 0.5
                faces.append(decoded.clamp(0, 1).double().numpy())
                similar.append(float(weight))
        distances.append(np.sqrt(np.mean((faces[0] - faces[1]) ** 2)))
        weights.append(similar)
    return np.array(distances), np.array(weights)


def test_the_parts_of_the_selected_epoch_reconstruct(trained: SimpleNamespace, tmp_path: Path) -> None:
    card = read_card(trained.weights)
    assert (card.selection.epoch, card.method_options["keep"]) == (1, True)
    assert card.method_weights is not None
    stored = read_state(method_path(trained.weights))
    assert stored.keys() == trained.parts[0].keys()
    assert len(trained.parts) == 2, "as they were before the first epoch, and after it"
    assert all(torch.equal(stored[name], trained.parts[1][name]) for name in stored)
    assert any(not torch.equal(stored[name], trained.parts[0][name]) for name in stored)
    done = explained(trained, tmp_path / "out")
    found, arrays = done.record.reconstructions, done.maps()
    assert found is not None
    distances, names = arrays["reconstructed_distance"], arrays["reconstructed_manipulation"]
    wanted, weights = by_hand(trained, arrays["reconstructed_sample_id"].tolist())
    assert wanted.min() > 1e-3
    np.testing.assert_allclose(distances, wanted, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(arrays["reconstructed_weights"], weights, atol=1e-5)
    rows = {row.manipulation: row for row in found.rows}
    assert list(rows) == ["real", "all"]
    assert rows["all"].auc == pytest.approx(roc_auc_score(names != "real", distances))
    assert (rows["real"].n, rows["all"].n, rows["all"].n_groups) == (8, 8, 6)
    assert (found.sampler, found.steps, found.seed, found.size) == ("ddim, eta 0", STEPS, SEED, SIDE)
    assert found.method_record == card.recipe["method_record"]
    assert found.method_record["diffusion_sha256"] == tiny_diffusion().sha256
    text = (done.folder / "explain.md").read_text("utf-8")
    assert "Caution: the diffusion model is a small one with random weights: its reconstructions mean nothing." in text
    assert (done.folder / "figures" / "reconstructions.png").is_file()
    again = explained(trained, tmp_path / "again", batch_size=3)
    np.testing.assert_allclose(again.maps()["reconstructed_distance"], distances, rtol=1e-3, atol=1e-6)
    assert again.record.run_id == done.record.run_id
    other = explained(trained, tmp_path / "other", reconstruction_steps=2)
    assert other.record.run_id != done.record.run_id
    assert not np.allclose(other.maps()["reconstructed_distance"], distances)


def changed(trained: SimpleNamespace, to: Path, state: dict[str, Tensor], **record: Any) -> Path:
    """The weights with other parts, and with other values of the method's record."""
    to.mkdir()
    weights = to / "w.safetensors"
    shutil.copy(trained.weights, weights)
    write_state(method_path(weights), state)
    card = json.loads(trained.weights.with_suffix(".json").read_text("utf-8"))
    kept = method_path(weights)
    card["method_weights"] = {"sha256": file_sha256(kept), "bytes": kept.stat().st_size}
    card["recipe"]["method_record"] |= record
    weights.with_suffix(".json").write_text(json.dumps(card), "utf-8")
    return weights


def test_branches_with_equal_weights_give_one_face(
    trained: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = read_state(method_path(trained.weights))
    for name in state:
        if ".target." in name:
            state[name] = state[name.replace(".target.", ".source.")].clone()
    weights = changed(trained, tmp_path / "equal", state)
    words = ["explain", "--model", trained.model, "--weights", str(weights), "--protocol", str(trained.protocol)]
    words += ["--manifest", str(trained.manifest), "--reconstruct", "--reconstruction-steps", "2", "-q"]
    words += ["--method-option", "sd=tiny", "--mean-images", "2", "--images", "6", "--examples", "1"]
    assert run_command([*words, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("all ")]
    assert row.split()[1:3] == ["0.0000", "50.0"]


def test_what_does_not_fit_is_refused_before_any_image(trained: SimpleNamespace, tmp_path: Path) -> None:
    state = read_state(method_path(trained.weights))

    def refused(weights: Path, told: str, hint: str, **options: Any) -> None:
        with pytest.raises((UsageError, ModelError), match=told) as caught:
            explained(trained, tmp_path / "out", weights=weights, **options)
        assert hint in caught.value.hint
        assert not (tmp_path / "out").exists()

    other = changed(trained, tmp_path / "other", state, diffusion_sha256="0" * 64)
    refused(other, r"another diffusion model \(SHA-256 000000000000\)", "sd=DIR")
    few = changed(trained, tmp_path / "few", {name: t for name, t in state.items() if "conv2" not in name})
    refused(few, "that the training kept do not fit the model: tensors .* missing", "another architecture")
    for options, told in (
        ({"reconstruction_steps": 1000}, "invalid number of sampling steps 1000"),
        ({"method_options": {"sd": "nowhere"}}, "diffusion model does not exist: nowhere"),
        ({"method_options": {"size": 64}}, "option size of the method diffusionfake is that of the training"),
    ):
        refused(trained.weights, told, "", **options)
