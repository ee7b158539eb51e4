"""DiffusionFake with a diffusion model: guide, losses, frozen weights, resuming, reconstructions, refusals."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from loading import load_file
from safetensors.torch import load_file as load_safetensors
from safetensors.torch import save_file as save_safetensors
from sklearn.metrics import roc_auc_score
from small_triples import WEIGHT_WIDTHS, Net, partners
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import DataError, ModelError, SetupError, UndefinedMetric, UsageError
from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training import Batch, StepResult, TrainingMethod, TrainingStep
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.module import TrainingModule
from dfbench.workflow import resolve_training, train
from reference_models.diffusionfake import folder
from reference_models.diffusionfake.spec import METHOD

pytest.importorskip("diffusers", reason="it comes with the extra diffusion")
pytest.importorskip("transformers", reason="it comes with the extra diffusion")

from reference_models.diffusionfake import branches
from reference_models.diffusionfake.branches import Guide
from reference_models.diffusionfake.diffusion import FrozenDiffusion, load_diffusion, posterior_mean, tiny_diffusion
from reference_models.diffusionfake.reconstruction import (
    Reconstruction,
    distance_auc,
    face_distance,
    reconstruct,
)
from reference_models.diffusionfake.similarity import latent_similarities, latent_similarity
from reference_models.diffusionfake.steps import DiffusionFake

pytestmark = pytest.mark.slow

SIDE = 32


class Scored(Net):
    """The same as a detector of the library: it returns an object."""

    def forward(self, images: Tensor) -> Any:
        return SimpleNamespace(logits=super().forward(images))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weight networks of a few channels, and a random state of its own."""
    monkeypatch.setattr(branches, "WEIGHT_WIDTHS", WEIGHT_WIDTHS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def diffusion() -> FrozenDiffusion:
    return tiny_diffusion()


def batch(count: int = 3) -> Batch:
    images = torch.rand(count, 3, SIDE, SIDE)
    others = {
        "source": torch.rand(count, 3, SIDE, SIDE),
        "target": torch.rand(count, 3, SIDE, SIDE),
        "source_similarity": torch.linspace(0.1, 0.5, count),
        "target_similarity": torch.linspace(0.9, 0.6, count),
    }
    names = tuple(map(str, range(count)))
    return Batch(images, torch.arange(count) % 2, names, others=others)


def new_step(detector: nn.Module, **options: Any) -> DiffusionFake:
    return DiffusionFake(detector, **({"sd": "tiny", "size": SIDE} | options))


def open_zero_convolutions(step: DiffusionFake) -> None:
    for name, parameter in step.guide.encoder.named_parameters():
        if "controlnet" in name:
            nn.init.normal_(parameter, std=0.3)


def test_counts_of_stable_diffusion_and_its_guide() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
        )
        guide = Guide(SimpleNamespace(unet=unet))  # type: ignore[arg-type]
    size = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert size(unet) == 859_520_964
    assert size(vae) == 83_653_863
    copied = [unet.conv_in, unet.time_embedding, unet.down_blocks, unet.mid_block]
    outputs = [320] * 4 + [640] * 3 + [1280] * 6
    assert len(guide.encoder.controlnet_down_blocks) + 1 == len(outputs) == 13
    assert size(guide) == sum(map(size, copied)) + sum(c * c + c for c in outputs) == 360_192_640


def test_zero_convolutions_leave_the_prediction_unchanged_at_first(diffusion: FrozenDiffusion) -> None:
    guide = Guide(diffusion)
    noisy, times = torch.randn(2, 4, 4, 4), torch.tensor([3, 700])
    given = (noisy, times, diffusion.prompts(2), torch.randn(2, 8, 4, 4))
    added = guide(*given, torch.tensor([0.3, 0.8]))
    assert len(added.skips) == 4  # the first convolution, two blocks, one halving
    assert torch.equal(diffusion.predict(noisy, times, added), diffusion.predict(noisy, times))
    for name, parameter in guide.encoder.named_parameters():
        if "controlnet" in name:
            nn.init.normal_(parameter)
    added = guide(*given, torch.tensor([1.0, 0.0]))
    moved = (diffusion.predict(noisy, times, added) != diffusion.predict(noisy, times)).flatten(1).any(1)
    assert moved.tolist() == [True, False], "the weight of an image scales all that is added to it"


def test_the_guide_begins_as_a_copy_or_at_random(diffusion: FrozenDiffusion) -> None:
    frozen = diffusion.unet.state_dict()
    for pretrained in (True, False):
        encoder = Guide(diffusion, pretrained=pretrained).encoder.state_dict()
        shared = [name for name in encoder if name in frozen and encoder[name].ndim > 1]
        assert len(shared) > 10
        assert all(torch.equal(encoder[n], frozen[n]) == pretrained for n in shared)
        assert not any(t.any() for n, t in encoder.items() if n.startswith("controlnet_"))


def test_the_hint_is_added_to_the_first_convolution(diffusion: FrozenDiffusion) -> None:
    guide = Guide(diffusion)
    seen: list[Tensor] = []
    guide.encoder.down_blocks[0].register_forward_pre_hook(
        lambda module, given, named: seen.append(named["hidden_states"]), with_kwargs=True
    )
    noisy, hint = torch.randn(1, 4, 4, 4), torch.randn(1, 8, 4, 4)
    guide(noisy, torch.tensor([5]), diffusion.prompts(1), hint, torch.ones(1))
    torch.testing.assert_close(seen[0], diffusion.unet.conv_in(noisy) + hint)


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({}, (0.7, 1.0, 1.0)),
        ({"losses": "code"}, (1.0, 1.0, 1.0)),
        ({"weight": False}, (0.7, 1.0, 0.0)),
        ({"filter": False, "losses": "code"}, (1.0, 1.0, 1.0)),
    ],
)
def test_the_loss_is_the_sum_of_its_parts(options: dict[str, Any], factors: tuple[float, float, float]) -> None:
    """Against the formulas, image by image and branch by branch."""
    detector = Scored().eval()
    step, given = new_step(detector, **options), batch()
    open_zero_convolutions(step)
    count = len(given.images)
    torch.manual_seed(5)
    with torch.no_grad():
        result = step(detector, given)
        torch.manual_seed(5)
        side = SIDE // 8
        noise = torch.randn(count, 4, side, side)
        times = torch.randint(1000, (count,))
        maps = detector.maps(given.images)
        logits = detector(given.images).logits
        wanted = [-float(torch.log_softmax(logits.double(), 1)[i, t]) for i, t in enumerate(given.targets)]
        total = np.mean(wanted)
        kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)[times].view(-1, 1, 1, 1)
        for face, factor in zip(("source", "target"), factors, strict=False):
            branch = step.branches[face]
            clean = step.diffusion.vae.encode(2 * given.others[face] - 1).latent_dist.mean * 0.18215
            errors, gaps = [], []
            for i in range(count):
                one = slice(i, i + 1)
                hint = branch.hint(maps[one], (side, side))
                weight = torch.ones(1) if options.get("weight") is False else branch.weight(maps[one])[0]
                noisy = kept[one].sqrt() * clean[one] + (1 - kept[one]).sqrt() * noise[one]
                prompt = step.diffusion.prompt
                skips, middle = step.guide.encoder(noisy, times[one], prompt, controlnet_cond=hint, return_dict=False)
                predicted = step.diffusion.unet(
                    noisy,
                    times[one],
                    prompt,
                    down_block_additional_residuals=[skip * weight for skip in skips],
                    mid_block_additional_residual=middle * weight,
                ).sample
                errors.append(float(((predicted - noise[one]) ** 2).mean()))
                gaps.append(float((weight - given.others[f"{face}_similarity"][i]) ** 2))
            total += factor * np.mean(errors) + factors[2] * np.mean(gaps)
    assert float(result.loss) == pytest.approx(float(total), rel=1e-4)
    assert torch.equal(result.output.logits, logits)


def test_what_is_trained_and_what_is_stored() -> None:
    detector = Scored()
    step = new_step(detector)
    assert isinstance(step, TrainingStep)
    open_zero_convolutions(step)
    step(detector, batch()).loss.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in step.guide.parameters())
    assert all(p.grad is not None for p in [*step.parameters(), *detector.parameters()])
    frozen = [*step.diffusion.unet.parameters(), *step.diffusion.vae.parameters()]
    assert all(p.grad is None and not p.requires_grad for p in frozen)
    trained = {id(p) for p in step.parameters()}
    assert not any(id(p) in trained for p in frozen)
    state = step.state_dict()
    assert {name.split(".")[0] for name in state} == {"branches", "guide", "_extra_state"}
    assert state["_extra_state"] == step.diffusion.sha256
    step.to(torch.float64)
    assert step.diffusion.prompt.dtype == next(step.diffusion.vae.parameters()).dtype == torch.float64


def test_frozen_weights_that_change_are_noticed() -> None:
    detector = Scored()
    step = new_step(detector)
    step.start_epoch(detector, 0)
    state = step.state_dict()
    with torch.no_grad():
        step.diffusion.unet.conv_out.bias += 1e-3
    with pytest.raises(ModelError, match="frozen diffusion model have changed"):
        step.start_epoch(detector, 1)
    other = new_step(detector)
    other.load_state_dict(state)
    with pytest.raises(ModelError, match="another diffusion model"):
        other.load_state_dict(state | {"_extra_state": "0" * 64})


def test_mixed_precision_keeps_losses_in_float32() -> None:
    detector = Scored()
    step, given = new_step(detector), batch()
    open_zero_convolutions(step)
    kinds: list[torch.dtype] = []
    step.diffusion.unet.conv_out.register_forward_hook(lambda _, __, output: kinds.append(output.dtype))
    torch.manual_seed(1)
    exact = step(detector, given).loss
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = step(detector, given).loss
        latents = step.diffusion.latents(given.others["source"], SIDE)
    assert kinds == [torch.float32, torch.bfloat16]
    assert (mixed.dtype, latents.dtype) == (torch.float32, torch.float32)
    assert float(mixed.detach()) == pytest.approx(float(exact.detach()), rel=0.05)


def test_a_batch_without_the_two_faces_is_refused() -> None:
    detector = Scored()
    step, given = new_step(detector), batch()
    for name in given.others:
        without = {k: v for k, v in given.others.items() if k != name}
        with pytest.raises(DataError, match=name.replace("_", " ")) as caught:
            step(detector, replace(given, others=without))
        assert "docs/diffusionfake.md" in caught.value.hint


class WithFaces(DiffusionFake):
    """The method on a manifest without frames of source and target: invented from the image."""

    made: list[DiffusionFake] = []  # noqa: RUF012

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        values = torch.full((len(batch.images),), 0.25)
        others = {"source": batch.images.flip(3), "target": 1 - batch.images}
        others |= {"source_similarity": values, "target_similarity": 3 * values}
        return super().forward(detector, replace(batch, others=others))

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        super().start_epoch(detector, epoch)
        self.made.append(self)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A manifest of eight training crops of 64 pixels, and a protocol with two epochs."""
    drawn = load_file("tests/evaluation/conftest.py", "crops_for_diffusionfake")
    base = tmp_path_factory.mktemp("diffusionfake")
    text = drawn.PROTOCOL.format(name="diffusion-test", dataset="folder")
    protocol = base / "diffusion-test.toml"
    protocol.write_text(text.replace("batch_size = 8", "batch_size = 4"), "utf-8")
    return SimpleNamespace(protocol=protocol, manifest=drawn.build(base / "manifest", groups=2))


def test_a_training_on_triples_computes_the_similarities_once(
    tmp_path: Path, data: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dfbench")
    drawn = load_file("tests/evaluation/conftest.py", "crops_for_triples")
    manifest = drawn.build(tmp_path / "manifest", groups=2, add=partners(2))
    seen: list[Batch] = []
    forward = DiffusionFake.forward

    def watched(self: DiffusionFake, detector: nn.Module, given: Batch) -> StepResult:
        seen.append(given)
        return forward(self, detector, given)

    monkeypatch.setattr(DiffusionFake, "forward", watched)

    def run(name: str, **options: Any) -> Path:
        given = {"sd": "tiny", "size": SIDE} | options
        return train(
            Net, data.protocol, manifest, tmp_path / f"{name}.safetensors", method="diffusionfake",
            method_options=given, device="cpu", quiet=True, epochs=1,
        )  # fmt: skip

    card = read_card(run("first"))
    assert card.recipe["method_counts"] == {"Checker fakes": 4}
    (stored,) = manifest.glob("similarities-*.parquet")
    table = {row["sample_id"]: row for row in pq.read_table(stored).to_pylist()}
    crops = {sample: image for batch in seen for sample, image in zip(batch.sample_ids, batch.images, strict=True)}
    vae, checked = tiny_diffusion().vae, 0
    for batch in seen:
        for place, sample in enumerate(batch.sample_ids):
            for face in ("source", "target"):
                image, other = batch.images[place : place + 1], batch.others[face][place : place + 1]
                value = float(batch.others[f"{face}_similarity"][place])
                if "/real/" in sample:
                    assert (value, image.equal(other)) == (1.0, True)
                    continue
                # The crops may be mirrored by the augmentation: stored values are those of the crops as they are.
                pair = [F.interpolate(x, SIDE, mode="bilinear", antialias=True) for x in (image, other)]
                flips = [latent_similarity(vae, *given) for given in (pair, [x.flip(3) for x in pair])]
                assert min(abs(float(flip) - value) for flip in flips) < 1e-5
                assert table[sample][f"{face}_similarity"] == value
                checked += 1
    assert checked == 8
    assert len(crops) == 8
    before = stored.stat().st_mtime_ns
    second = read_card(run("second"))
    assert stored.stat().st_mtime_ns == before, "computed once"
    source, target = (np.mean([row[f"{face}_similarity"] for row in table.values()]) for face in ("source", "target"))
    for told in (card, second):
        assert told.recipe["method_record"]["similarities"] == {
            "Checker": {"fakes": 4, "source": pytest.approx(source), "target": pytest.approx(target)}
        }
    said = f"mean similarity of fakes to source and target: Checker {source:.3f} and {target:.3f} (4 fakes)"
    assert caplog.messages.count(said) == 2, "once for each training"
    run("half", similarity="half")
    assert len(list(manifest.glob("similarities-*.parquet"))) == 2
    run("without", weight=False)
    assert "source_similarity" not in seen[-1].others


def test_similarities_are_those_of_stored_crops_under_a_condition(tmp_path: Path, data: SimpleNamespace) -> None:
    drawn = load_file("tests/evaluation/conftest.py", "crops_for_triples")
    kept = []
    for condition in ("clean", "mean:k=9"):
        folder = drawn.build(tmp_path / condition[:4], groups=2, add=partners(2))
        train(
            Net, data.protocol, folder, tmp_path / f"{condition[:4]}.safetensors", method="diffusionfake",
            method_options={"sd": "tiny", "size": SIDE}, condition=condition, device="cpu", quiet=True, epochs=1,
        )  # fmt: skip
        kept += [pq.read_table(path) for path in folder.glob("similarities-*.parquet")]
    clean, degraded = kept
    assert degraded.replace_schema_metadata(None).equals(clean.replace_schema_metadata(None))


def test_a_manifest_without_sources_is_refused_before_the_training(data: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"4 of 4 fakes \(Checker\) have no source clip") as caught:
        train(
            Net, data.protocol, data.manifest, tmp_path / "w.safetensors", method="diffusionfake",
            method_options={"sd": "tiny", "size": SIDE}, device="cpu", quiet=True,
        )  # fmt: skip
    assert "media.csv" in caught.value.hint


def test_interrupted_equals_undisturbed_and_only_the_detector_is_stored(
    data: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of the detector and of the trained parts are the same bit by bit; the frozen ones are as before."""
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})
    options = {"sd": "tiny", "size": SIDE, "losses": "code"}
    made = TrainingMethod(
        "faces",
        "of a test",
        make=lambda detector, sd: WithFaces(detector, **options),
        options={"sd": ""},
        folders={"sd": ("tiny",)},
    )
    TRAINING_METHODS.register("faces", made)
    step, stops, seen = TrainingModule.training_step, [(0, 1), (1, 1)], []

    def training_step(self: TrainingModule, given: Any, number: int) -> Any:
        place = (self.epoch, self.start.batches + number)
        if broken and stops and place == stops[0]:
            del stops[0]
            raise KeyboardInterrupt
        seen.append(place)
        return step(self, given, number)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    files, parts = [], []
    for broken in (False, True):
        out = tmp_path / str(broken) / "w.safetensors"
        while True:
            try:
                train(
                    Net, data.protocol, data.manifest, out, method="faces",
                    method_options={"sd": str(data.manifest)}, device="cpu", quiet=True, save_every=0.0,
                )  # fmt: skip
                break
            except KeyboardInterrupt:
                continue
        files.append(read_state(out))
        parts.append(WithFaces.made[-1])
    assert not stops
    assert seen == [(epoch, number) for epoch in range(2) for number in range(2)] * 2, "nothing was done twice"
    for one, two in (files, [part.state_dict() for part in parts]):
        assert one.keys() == two.keys()
        for name in one:
            assert one[name] == two[name] if name == "_extra_state" else torch.equal(one[name], two[name]), name
    assert (
        sum(t.numel() for n, t in files[0].items() if "running" not in n and "tracked" not in n) == 3 * 100 + 4 * 3 + 10
    )
    assert parts[0].guide.encoder.controlnet_mid_block.weight.any(), "the guide has been trained"
    fresh = tiny_diffusion()
    assert parts[0].diffusion.hash() == parts[1].diffusion.hash() == fresh.sha256
    card = read_card(tmp_path / "True" / "w.safetensors")
    assert card.recipe["method_record"] == {"diffusion_sha256": fresh.sha256}
    assert card.method_options == {"sd": "manifest"}, "the name of a folder, not its path"


def test_a_training_is_resumed_with_the_same_model_in_another_folder(
    data: SimpleNamespace, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On triples: equal weights, no batch twice; another model in the folder is refused."""
    drawn = load_file("tests/evaluation/conftest.py", "crops_for_triples")
    manifest = drawn.build(tmp_path / "manifest", groups=2, add=partners(2))
    step, stops, seen = TrainingModule.training_step, [], []

    def training_step(self: TrainingModule, given: Any, number: int) -> Any:
        place = (self.epoch, self.start.batches + number)
        if place in stops:
            raise KeyboardInterrupt
        seen.append(place)
        return step(self, given, number)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)

    def run(name: str, sd: Path) -> Path:
        return train(
            Net, data.protocol, manifest, tmp_path / f"{name}.safetensors", method="diffusionfake",
            method_options={"sd": str(sd), "version": "any", "size": SIDE}, device="cpu", quiet=True, save_every=0.0,
        )  # fmt: skip

    undisturbed = run("a", stored)
    first, moved = shutil.copytree(stored, tmp_path / "sd"), tmp_path / "moved"
    for name in "bc":
        stops[:] = [(1, 1)]
        with pytest.raises(KeyboardInterrupt):
            run(name, first)
    stops.clear()
    del seen[4 + 3 :]  # that of c
    first.rename(moved)
    resumed = run("b", moved)
    assert seen == [(epoch, number) for epoch in range(2) for number in range(2)] * 2
    one, two = read_state(undisturbed), read_state(resumed)
    assert one.keys() == two.keys()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert read_card(resumed).method_options["sd"] == "moved"

    file = next((moved / "unet").glob("*.safetensors"))
    weights = {name: tensor.clone() for name, tensor in load_safetensors(file).items()}  # not views of the file
    save_safetensors(weights | {"conv_out.bias": weights["conv_out.bias"] + 1}, file, {"format": "pt"})
    with pytest.raises(ModelError, match="another diffusion model") as caught:
        run("c", moved)
    assert "sd=DIR" in caught.value.hint


@pytest.mark.parametrize(("kind", "expected"), [("cos", lambda c: c), ("half", lambda c: (c + 1) / 2)])
def test_similarity_of_latents(diffusion: FrozenDiffusion, kind: str, expected: Any) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (5, 2, SIDE, SIDE, 3)).astype(np.uint8)
    crops[4, 1] = crops[4, 0]
    found = latent_similarities(diffusion.vae, ((a, b) for a, b in crops), SIDE, kind, batch_size=2)
    vae = diffusion.vae
    wanted = []
    for pair in crops:
        images = torch.from_numpy(pair).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            a, b = vae.quant_conv(vae.encoder(images))[:, :4].double().flatten(1).numpy()  # means, then log-variances
        wanted.append(expected(a @ b / np.sqrt((a @ a) * (b @ b))))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found[4] == pytest.approx(1.0, abs=1e-6)
    assert latent_similarities(vae, [], SIDE, kind).shape == (0,)
    images = torch.from_numpy(crops[:, 0]).permute(0, 3, 1, 2).float() / 255
    assert posterior_mean(vae, images).shape == (5, 4, SIDE // 8, SIDE // 8)
    with pytest.raises(UsageError, match="kind of similarity"):
        latent_similarity(vae, images, images, "cosine")


def test_reconstructions_do_not_depend_on_the_batch_and_follow_the_sampler() -> None:
    detector = Scored()
    step, images = new_step(detector), torch.rand(3, 3, SIDE, SIDE)
    open_zero_convolutions(step)
    detector(images)  # running statistics that are not those of the start
    together = reconstruct(step, detector, images, steps=4, seed=7)
    assert together.source.shape == together.target.shape == images.shape
    assert (together.sampler, together.steps, together.seed) == ("ddim", 4, 7)
    assert detector.training
    assert step.training
    distances = face_distance(together)
    alone = torch.cat([face_distance(reconstruct(step, detector, one[None], steps=4, seed=7)) for one in images])
    torch.testing.assert_close(alone, distances, rtol=1e-3, atol=1e-5)
    other = reconstruct(step, detector, images, steps=4, seed=8)
    assert not torch.allclose(other.source, together.source)

    detector.eval()
    with torch.no_grad():  # the deterministic update of Song et al. (2021), equation 12 with sigma 0
        kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
        guidance = step.guidance(detector.maps(images), (4, 4))
        latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(7)).repeat(6, 1, 1, 1)
        for time in (750, 500, 250, 0):
            noise = step.predict(latents, torch.full((6,), time), guidance)
            clean = (latents - (1 - kept[time]).sqrt() * noise) / kept[time].sqrt()
            before = kept[time - 250] if time else torch.tensor(1.0)
            latents = before.sqrt() * clean + (1 - before).sqrt() * noise
        expected = step.diffusion.vae.decode(latents / 0.18215).sample / 2 + 0.5
    torch.testing.assert_close(
        torch.cat([together.source, together.target]), expected.clamp(0, 1), rtol=1e-3, atol=1e-4
    )


def test_distance_and_its_auc() -> None:
    source = torch.rand(40, 3, 4, 4)
    target = source + 0.1 * torch.randn(40, 1, 1, 1)
    distances = face_distance(Reconstruction(source, target, "ddim", 1, 0))
    np.testing.assert_allclose(distances, ((source - target).double() ** 2).mean((1, 2, 3)).sqrt(), rtol=1e-5)
    labels = torch.arange(40) % 2
    fakes, reals = distances[labels == 1], distances[labels == 0]
    pairs = (fakes[:, None] > reals[None]).double().mean()
    assert distance_auc(distances, labels) == pytest.approx(float(pairs))
    assert distance_auc(distances.tolist(), labels.tolist()) == pytest.approx(roc_auc_score(labels, distances))
    with pytest.raises(UndefinedMetric, match="real and fake"):
        distance_auc([0.1, 0.2], [1, 1])


@pytest.mark.parametrize("options", [{"sampler": "euler"}, {"steps": 0}, {"steps": 1000}])
def test_sampling_that_cannot_be_done_is_refused(options: dict[str, Any]) -> None:
    detector = Scored()
    with pytest.raises(UsageError) as caught:
        reconstruct(new_step(detector), detector, torch.rand(1, 3, SIDE, SIDE), **options)
    assert caught.value.hint


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, diffusion: FrozenDiffusion) -> Path:
    """A folder as diffusers writes it: the tiny model with a text encoder of the same width."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    base = tmp_path_factory.mktemp("sd")
    for name, part in (("unet", diffusion.unet), ("vae", diffusion.vae), ("scheduler", diffusion.scheduler)):
        part.save_pretrained(base / name)
    words = base / "words"
    words.mkdir()
    (words / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(words, model_max_length=5).save_pretrained(base / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=3, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=5, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        CLIPTextModel(text).save_pretrained(base / "text_encoder")
    return base


def test_a_folder_is_loaded_without_a_network(
    stored: Path, diffusion: FrozenDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import CLIPTextModel

    def closed(*_: Any, **__: Any) -> Any:
        raise OSError("no network here")

    monkeypatch.setattr("socket.socket.connect", closed)
    found = load_diffusion(str(stored), "any")
    for ours, theirs in ((found.unet, diffusion.unet), (found.vae, diffusion.vae)):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
        assert not any(p.requires_grad for p in ours.parameters())
    encoder = CLIPTextModel.from_pretrained(stored / "text_encoder")
    with torch.no_grad():
        expected = encoder(torch.tensor([[0, 1, 1, 1, 1]])).last_hidden_state  # start, end, padding by the end
    torch.testing.assert_close(found.prompt, expected)
    assert found.sha256 != diffusion.sha256
    assert load_diffusion(str(stored), "any").sha256 == found.sha256
    assert folder.check_folder(str(stored), "any").multiple == found.multiple == folder.TINY_MULTIPLE


def changed(stored: Path, to: Path, place: str, **values: Any) -> Path:
    """A copy of the configurations with other values, and empty files in place of weights."""
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        (to / part).mkdir(parents=True)
        for file in (stored / part).iterdir():
            (to / part / file.name).write_bytes(file.read_bytes() if file.suffix == ".json" else b"")
    path = to / place
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to


SD15 = {"cross_attention_dim": 768, "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2}


@pytest.mark.parametrize(
    ("version", "place", "values", "told"),
    [
        ("1.5", "unet/config.json", {}, "cross_attention_dim 8, not 768"),
        ("1.5", "unet/config.json", SD15 | {"cross_attention_dim": 1024}, "not Stable Diffusion 1.5 but .* 2:"),
        ("1.5", "unet/config.json", SD15 | {"cross_attention_dim": 2048}, "Stable Diffusion XL"),
        ("1.5", "unet/config.json", SD15 | {"in_channels": 9}, "in_channels 9, not 4"),
        ("1.5", "unet/config.json", SD15, "text encoder differ: 768 and 8"),
        ("any", "unet/config.json", {"in_channels": 9}, "in and out of the UNet differ: 9 and 4"),
        ("any", "vae/config.json", {"latent_channels": 16}, "UNet and of the autoencoder differ: 4 and 16"),
        ("any", "scheduler/scheduler_config.json", {"prediction_type": "v_prediction"}, "v_prediction and epsilon"),
        ("any", "vae/config.json", {"block_out_channels": None}, "vae has no block_out_channels"),
    ],
)  # fmt: skip
def test_another_model_is_refused_by_what_it_has(
    version: str, place: str, values: dict[str, Any], told: str, stored: Path, tmp_path: Path
) -> None:
    path = changed(stored, tmp_path / "sd", place, **values)
    with pytest.raises(ModelError, match=told) as caught:
        folder.check_folder(str(path), version)
    assert "sd=DIR" in caught.value.hint
    if version == "1.5" and "text encoder" not in told:
        assert "version=any" in caught.value.hint


def test_incomplete_folders_are_refused(stored: Path, tmp_path: Path) -> None:
    path = changed(stored, tmp_path / "sd", "unet/config.json")
    (path / "vae" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"vae.config\.json cannot be read"):
        folder.check_folder(str(path), "any")
    next((path / "vae").glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"vae has no weights"):
        folder.check_folder(str(path), "any")
    broken = changed(stored, tmp_path / "broken", "unet/config.json")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_diffusion(str(broken), "any")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((), "no tokenizer_config.json and no vocab.json and no merges.txt"),
        (("tokenizer.json",), "no tokenizer_config.json"),
        (("tokenizer_config.json", "vocab.json"), "no merges.txt"),
        (("tokenizer_config.json", "vocab.json", "merges.txt"), ""),
        (("tokenizer_config.json", "tokenizer.json"), ""),
    ],
)
def test_a_folder_without_its_tokenizer_is_refused(
    files: tuple[str, ...], told: str, stored: Path, tmp_path: Path
) -> None:
    path = changed(stored, tmp_path / "sd", "unet/config.json")
    shutil.rmtree(path / "tokenizer")
    (path / "tokenizer").mkdir()
    for name in files:
        (path / "tokenizer" / name).write_text("{}")
    if not told:
        folder.check_folder(str(path), "any")
        return
    with pytest.raises(ModelError, match=f"tokenizer has {told}$") as caught:
        folder.check_folder(str(path), "any")
    assert "sd=DIR" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "none was given"),
        ({"sd": "nowhere"}, "does not exist: nowhere"),
        ({"sd": __file__}, "is a file"),
        ({"sd": "tiny", "size": 100}, "invalid value 100"),
        ({"sd": "tiny", "size": 0}, "invalid value 0"),
        ({"sd": "tiny", "losses": "mine"}, "option losses"),
        ({"sd": "tiny", "guide": "none"}, "option guide"),
        ({"sd": "tiny", "version": "2"}, "option version"),
    ],
)
def test_invalid_requests_are_refused_before_anything_is_made(
    options: dict[str, Any], told: str, data: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        resolve_training(
            "resnet18", data.protocol, data.manifest, tmp_path / "w.safetensors",
            method="diffusionfake", method_options=options,
        )  # fmt: skip
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_detector_without_a_last_map_is_refused_before_the_first_step(data: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="last feature map") as caught:
        train(
            "meso4", data.protocol, data.manifest, tmp_path / "w.safetensors", method="diffusionfake",
            method_options={"sd": "tiny"}, device="cpu", quiet=True,
        )  # fmt: skip
    assert "vit-b16" in caught.value.hint


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="diffusers and transformers") as caught:
        folder.require_diffusers()
    assert "deepfake-dfbench[diffusion]" in caught.value.hint
    assert METHOD.options["sd"] == ""


def test_a_vision_transformer_is_trained_through_its_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of the reconstruction reaches the first layer of the encoder."""
    import timm

    from dfbench.models.build import build_model

    create = timm.create_model
    monkeypatch.setattr("timm.create_model", lambda *a, **k: create(*a, **k, depth=1, embed_dim=16, num_heads=2))
    detector = build_model("vit-s16", 2, 64)
    step = new_step(detector)
    open_zero_convolutions(step)
    given = replace(batch(2), images=torch.rand(2, 3, 64, 64))
    with torch.no_grad():
        detector.backbone.head.weight.zero_()  # no gradient from the detector's own loss
    step(detector, given).loss.backward()
    slope = detector.backbone.patch_embed.proj.weight.grad
    assert slope is not None
    assert float(slope.abs().max()) > 0
