"""Representative forgery mining: the law of its blocks, its passes, its loss, and the official program's weights."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from formula_weights import formula_images, formula_state, key_digest
from scipy.stats import chisquare, norm
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, UsageError
from dfbench.explain import FinalFeatures, forgery_attention_map
from dfbench.models.build import build_model
from dfbench.models.convert.import_weights import import_weights
from dfbench.models.registry import get_spec
from dfbench.models.weights import load_weights
from dfbench.protocols.training_recipe import TrainingRecipe
from dfbench.training import Batch, TrainingStep
from dfbench.training.methods import chosen_method
from dfbench.training.recipe import fill_recipe
from reference_models.common import make_normalization
from reference_models.rfm.erasing import (
    active_pixels,
    filled,
    largest_side,
    random_blocks,
    sensitive_blocks,
)
from reference_models.rfm.steps import RepresentativeForgeryMining, flooded

ALPHA = 1e-4  # level of a statistical test; seeds are fixed, so a test that passes always does


def program(sensitivity: np.ndarray, blocks: int, largest: int, draw: Any) -> np.ndarray:
    """The erasing of one image as the authors' program does it: it visits a sorted list of pixels once."""
    height, width = sensitivity.shape
    erased = np.zeros((height, width), bool)
    left = blocks
    for place in np.argsort(-sensitivity.reshape(-1), kind="stable"):
        if not left:
            break
        r, c = divmod(int(place), width)
        if erased[r, c]:
            continue
        h, w, s, t = draw(largest)
        for row in range(max(r - s, 0), min(r + h - s, height)):
            for column in range(max(c - t, 0), min(c + w - t, width)):
                erased[row, column] = True
        left -= 1
    return erased


def program_draw(generator: random.Random) -> Any:
    def draw(largest: int) -> tuple[int, int, int, int]:
        h, w = generator.randint(1, largest), generator.randint(1, largest)
        return h, w, generator.randint(1, h), generator.randint(1, w)

    return draw


def distinct(count: int, size: int) -> Tensor:
    """Maps without equal values: where pixels are as sensitive, any of them may come first."""
    order = torch.stack([torch.randperm(size * size) for _ in range(count)])
    smooth = F.interpolate(torch.rand(count, 1, 4, 4), (size, size), mode="bicubic")[:, 0]
    return smooth.double() + order.view(count, size, size) * 1e-9


def z_of(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Two-sample z of the share of erased images, per pixel."""
    n = len(ours)
    p = (ours.mean(0) + theirs.mean(0)) / 2
    return (ours.mean(0) - theirs.mean(0)) / np.sqrt(np.maximum(p * (1 - p), 1e-9) * 2 / n)


@pytest.mark.parametrize(("blocks", "size"), [(1, 20), (3, 20), (6, 24)])
def test_blocks_follow_the_programs_law(blocks: int, size: int) -> None:
    """Shares of erased pixels, and the area, against the program's loop with Python's random numbers."""
    torch.manual_seed(blocks)
    count, largest = 800, largest_side(120, size)
    one = distinct(1, size)
    ours = sensitive_blocks(one.expand(count, -1, -1), blocks, largest).numpy()
    draw = program_draw(random.Random(blocks))
    theirs = np.stack([program(one[0].numpy(), blocks, largest, draw) for _ in range(count)])
    z = z_of(ours, theirs)
    assert np.abs(z).max() < norm.isf(ALPHA / size**2)
    areas = [part.reshape(count, -1).sum(1) for part in (ours, theirs)]
    error = np.sqrt(sum(area.var() / count for area in areas))
    assert abs(areas[0].mean() - areas[1].mean()) < norm.isf(ALPHA) * error
    assert ours.any()
    assert not ours.all()


def test_anchors_come_in_descending_order_and_never_inside_a_block() -> None:
    """The same numbers drawn for both: the masks are equal, pixel by pixel."""
    count, size, blocks, largest = 40, 24, 5, 9
    torch.manual_seed(5)
    maps = distinct(count, size)
    state = torch.get_rng_state()
    ours = sensitive_blocks(maps, blocks, largest)
    torch.set_rng_state(state)
    draws = []
    for _ in range(blocks):
        sides = torch.randint(1, largest + 1, (2, count))
        draws.append((sides, (torch.rand(2, count, dtype=torch.float64) * sides).long() + 1))
    for number in range(count):
        rounds = iter([(*s[:, number].tolist(), *t[:, number].tolist()) for s, t in draws])
        theirs = program(maps[number].numpy(), blocks, largest, lambda _, rounds=rounds: next(rounds))
        assert np.array_equal(ours[number].numpy(), theirs)


def test_sides_and_shifts_are_uniform_and_ends_excluded() -> None:
    count, size, largest, centre = 20_000, 10, 4, 5
    torch.manual_seed(1)
    sensitivity = torch.zeros(1, size, size)
    sensitivity[0, centre, centre] = 1
    masks = sensitive_blocks(sensitivity.expand(count, -1, -1), 1, largest)
    for axis in (1, 2):
        lines = masks.any(3 - axis)
        sides, starts = lines.sum(1), lines.long().argmax(1)
        assert torch.equal(masks.flatten(1).sum(1), masks.any(1).sum(1) * masks.any(2).sum(1)), "rectangles"
        seen = Counter(zip(sides.tolist(), (centre - starts).tolist(), strict=True))
        cells = [(h, s) for h in range(1, largest + 1) for s in range(1, h + 1)]
        assert set(seen) == set(cells)
        expected = [count / largest / h for h, _ in cells]
        assert chisquare([seen[cell] for cell in cells], expected).pvalue > ALPHA
    heights, widths = masks.any(2).sum(1).double(), masks.any(1).sum(1).double()
    assert abs(float(torch.corrcoef(torch.stack((heights, widths)))[0, 1])) < 4 / count**0.5


@pytest.mark.parametrize(("size", "largest"), [(224, 120), (128, 69), (96, 51), (380, 204), (32, 17)])
def test_blocks_are_scaled_with_the_crop(size: int, largest: int) -> None:
    assert largest_side(120, size) == largest == round(120 * size / 224)


def test_a_shift_of_the_whole_side_leaves_the_anchor() -> None:
    sensitivity = torch.zeros(1, 8, 8)
    for value, place in ((3, (5, 5)), (2, (5, 6)), (1, (2, 2))):
        sensitivity[0, *place] = value
    erased = sensitive_blocks(sensitivity, 3, 1)  # blocks of one pixel, above and left of it
    assert erased[0].nonzero().tolist() == [[1, 1], [4, 4], [4, 5]]


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_constant_maps_and_more_blocks_than_pixels(value: float) -> None:
    torch.manual_seed(2)
    erased = sensitive_blocks(torch.full((3, 5, 5), value), 200, 4)
    assert erased.any((1, 2)).all()


def test_random_blocks_have_uniform_anchors() -> None:
    count, size, largest = 20_000, 6, 3
    torch.manual_seed(3)
    found = random_blocks(torch.zeros(count, 3, size, size), 1, largest).double().mean(0)
    weights = {(h, s): 1 / largest / h for h in range(1, largest + 1) for s in range(1, h + 1)}
    line = np.zeros((size, size))  # probability that an anchor at row r erases row x
    for (h, s), weight in weights.items():
        for r in range(size):
            line[r, max(r - s, 0) : min(r + h - s, size)] += weight
    expected = np.outer(line.mean(0), line.mean(0))
    z = (found.numpy() - expected) / np.sqrt(expected * (1 - expected) / count)
    assert np.abs(z).max() < norm.isf(ALPHA / size**2)


def bilinear(values: np.ndarray, size: int) -> np.ndarray:
    """Enlarged bilinearly, pixel centres at halves."""
    n = len(values)
    places = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    low = np.minimum(places.astype(int), n - 2)
    share = places - low
    weights = np.zeros((size, n))
    weights[np.arange(size), low] = 1 - share
    weights[np.arange(size), low + 1] += share
    return weights @ values @ weights.T


def test_active_pixels_exceed_the_threshold_of_the_enlarged_map() -> None:
    maps = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(4))
    maps[3] = 2.5
    found = active_pixels(maps, (10, 10), 0.6)
    for values, erased in zip(maps[:3].double().numpy(), found, strict=False):
        large = bilinear(values, 10)
        assert np.array_equal(erased.numpy(), (large - large.min()) / (large.max() - large.min()) > 0.6)
    assert not found[3].any(), "a constant map says nothing"


def test_the_fill_is_noise_of_every_pixel_and_channel() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 40, 40).contiguous(memory_format=torch.channels_last)
    erased = torch.zeros(2, 40, 40, dtype=torch.bool)
    erased[0, :, 10:] = True
    result = filled(images, erased)
    assert torch.equal(result[1], images[1])
    assert torch.equal(result[0, :, :, :10], images[0, :, :, :10])
    noise = result[0, :, :, 10:].double()
    assert 0.25 <= float(noise.min()) < 0.26
    assert 0.74 < float(noise.max()) < 0.75 + 1e-9
    assert abs(float(noise.mean()) - 0.5) < 4 * (0.5 / 12**0.5) / noise.numel() ** 0.5
    assert not torch.equal(noise[0], noise[1])
    normalised = make_normalization("quarter")(result)[0, :, :, 10:]
    assert -1 <= float(normalised.min()) < float(normalised.max()) <= 1


def test_flooding() -> None:
    losses = torch.tensor([0.5, 0.04, 0.01, 0.0], requires_grad=True)
    kept = flooded(losses, 0.04)
    torch.testing.assert_close(kept, torch.tensor([0.5, 0.04, 0.07, 0.08]))
    assert torch.autograd.grad(kept.sum(), losses)[0].tolist()[::2] == [1.0, -1.0], "it climbs below the level"
    assert torch.equal(flooded(losses, 0.0), losses)


class Tiny(nn.Module):
    """A final map and its mean; it notes what it sees and how."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Tanh())
        self.head = nn.Linear(4, classes)
        self.seen: list[tuple[bool, Tensor]] = []

    def forward(self, images: Tensor) -> SimpleNamespace:
        self.seen.append((self.training, images.detach().clone()))
        return SimpleNamespace(logits=self.head(self.body(images).mean((2, 3))))


def batch_of(count: int = 4, size: int = 32) -> Batch:
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(9))
    return Batch(images, torch.arange(count) % 2, tuple("abcdefgh"[:count]))


def cross_entropy(network: Tiny, images: Tensor, targets: Tensor) -> float:
    return float(F.cross_entropy(network(images).logits, targets).detach())


@pytest.mark.parametrize("erase", ["sfe", "re", "ae"])
def test_a_step_erases_by_a_pass_in_evaluation_mode_and_trains_on_the_rest(erase: str) -> None:
    torch.manual_seed(0)
    network, batch = Tiny().train(), batch_of()
    steps = RepresentativeForgeryMining(network, erase=erase, flood=0.0)
    assert isinstance(steps, TrainingStep)
    network.seen.clear()
    result = steps(network, batch)
    modes = [mode for mode, _ in network.seen]
    assert modes[-1]
    assert not any(modes[:-1])
    assert (len(modes) == 1) == (erase == "re")
    assert int(network.body[1].num_batches_tracked) == 1, "running statistics follow the training pass alone"
    assert all(parameter.grad is None for parameter in network.parameters())
    images = network.seen[-1][1]
    changed = (images != batch.images).any(1)
    assert changed.any((1, 2)).all()
    assert not changed.all()
    assert float(result.loss.detach()) == pytest.approx(cross_entropy(network, images, batch.targets))
    result.loss.backward()
    assert network.head.weight.grad is not None


def test_what_is_erased_is_where_the_map_says() -> None:
    network, batch = Tiny().train(), batch_of()
    steps = RepresentativeForgeryMining(network, blocks=2)
    torch.manual_seed(4)
    found = steps.erased(network, batch.images, (0,))
    assert int(found.any(2).sum(1).max()) <= 2 * 17
    sensitivity = forgery_attention_map(network, batch.images)
    torch.manual_seed(4)
    torch.rand(len(batch.images))  # which images are erased
    assert torch.equal(found, sensitive_blocks(sensitivity, 2, largest_side(120, 32)))


def test_activation_erasing_by_the_difference_or_by_both() -> None:
    network, images = Tiny().train(), batch_of().images
    fake, real = FinalFeatures.find(network, 32).maps(network, images)
    steps = {c: RepresentativeForgeryMining(network, erase="ae", cam=c, threshold=0.7) for c in ("difference", "both")}
    found = {name: step.erased(network, images, (0,)) for name, step in steps.items()}
    fakes, reals = (active_pixels(maps, (32, 32), 0.7) for maps in (fake, real))
    assert torch.equal(found["both"], fakes | reals)
    assert torch.equal(found["difference"], active_pixels(fake - real, (32, 32), 0.7))
    assert not torch.equal(found["both"], found["difference"])


class OfOneSize(Tiny):
    """Images of another size are refused."""

    def forward(self, images: Tensor) -> SimpleNamespace:
        if images.shape[2] != 112:
            raise ValueError("112 pixels only")
        return super().forward(images)


def test_the_final_map_is_found_when_the_steps_are_made() -> None:
    network, images = OfOneSize().train(), batch_of(size=112).images
    torch.manual_seed(1)
    steps = RepresentativeForgeryMining(network, erase="ae")
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3)), "the random state is left as it was"
    assert all(module.training for module in network.modules())
    assert steps.erased(network, images, (0,)).any()
    with pytest.raises(ModelError, match="no final feature map") as caught:
        RepresentativeForgeryMining(build_model("meso4", 2, 64), erase="ae")
    assert "erase=sfe" in caught.value.hint
    odd = OfOneSize()
    odd.register_forward_pre_hook(lambda _, given: (given[0][:, :, 1:],))
    with pytest.raises(ModelError, match=r"takes no images of 224, .* pixels: .* 112 pixels only"):
        RepresentativeForgeryMining(odd, erase="ae")
    RepresentativeForgeryMining(odd, erase="sfe")


def test_probability() -> None:
    network = Tiny().train()
    images = torch.rand(400, 3, 16, 16)
    torch.manual_seed(0)
    share = RepresentativeForgeryMining(network, probability=0.3).erased(network, images, (0,)).any((1, 2))
    assert abs(float(share.double().mean()) - 0.3) < 4 * (0.21 / 400) ** 0.5
    network.seen.clear()
    assert not RepresentativeForgeryMining(network, probability=0.0).erased(network, images, (0,)).any()
    assert not network.seen, "no pass where nothing is erased"


@pytest.mark.parametrize(("classes", "reals"), [(1, (0,)), (4, (1, 2))])
def test_one_logit_and_several_classes(classes: int, reals: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, plain = Tiny(classes).train(), batch_of()
    batch = Batch(plain.images, plain.targets, plain.sample_ids, real_classes=reals)
    loss = RepresentativeForgeryMining(network)(network, batch).loss
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("erase", ["sfe", "ae"])
def test_mixed_precision(erase: str) -> None:
    torch.manual_seed(0)
    network, batch = Tiny().train(), batch_of()
    with torch.autocast("cpu", torch.bfloat16):
        result = RepresentativeForgeryMining(network, erase=erase)(network, batch)
    assert network.seen[-1][1].dtype == torch.float32
    result.loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_planes_beside_rgb_are_refused() -> None:
    with pytest.raises(ModelError, match="adds 3 planes") as caught:
        RepresentativeForgeryMining(build_model("grnet", 2, 64, residual_at="before"))
    assert "residual_at=after" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [{"erase": "sf"}, {"cam": "fake"}, {"blocks": 0}, {"side": 0}, {"probability": 1.5}, {"threshold": 1.0},
     {"flood": -0.1}, {"blocks": 2.5}, {"nothing": 1}],
)  # fmt: skip
def test_bad_options_are_refused_with_a_hint(options: dict[str, Any], tmp_path: Path) -> None:
    from dfbench.workflow import resolve_training

    with pytest.raises(UsageError) as caught:
        resolve_training("meso4", "mini", out=tmp_path / "w.safetensors", method="rfm", method_options=options)
    assert caught.value.hint
    assert next(iter(options)) in caught.value.message


def test_the_pairing_is_xception_by_the_method() -> None:
    spec = get_spec("rfm")
    assert chosen_method(spec).name == "rfm"
    assert chosen_method(spec).options == get_defaults()
    assert spec.target == get_spec("xception").target
    with torch.device("meta"):
        network = build_model("rfm")
    assert sum(p.numel() for p in network.parameters()) == 20_811_050
    with pytest.raises(UsageError, match="excludes 'supervised'") as caught:
        chosen_method(spec, "supervised")
    assert "--model xception --method supervised" in caught.value.hint


def test_the_published_pairing_has_the_published_recipe() -> None:
    spec = get_spec("rfm")
    method = chosen_method(spec)
    assert method.sampling == "balanced", "8 reals and 8 fakes in a batch"
    recipe = fill_recipe(TrainingRecipe(), spec.recipe, sampling=method.sampling, augments=method.augments)
    assert (recipe.optimizer, recipe.lr, recipe.betas, recipe.weight_decay) == ("adam", 2e-4, (0.9, 0.999), 0.0)
    assert (recipe.batch_size, recipe.sampling, recipe.samples_per_epoch) == (16, "balanced", 3000 * 16)
    assert recipe.epochs == math.ceil(500_000 / 3000) == 167
    assert {recipe.rate(epoch, 3000 * epoch, 501_000) for epoch in range(167)} == {2e-4}
    assert (recipe.augmentation.flip, recipe.augmentation.rotation) == (0.5, 0.0)


def get_defaults() -> dict[str, Any]:
    """The published values."""
    return {
        "erase": "sfe",
        "blocks": 3,
        "side": 120,
        "probability": 1.0,
        "cam": "difference",
        "threshold": 0.6,
        "flood": 0.04,
    }


# The official program (crywang/RFM, pretrainedmodels' Xception) with formula weights and the formula image, 224 pixels.
OFFICIAL = {
    1.0: ([[-0.06291153, 0.1337799], [-0.06291153, 0.1337799]], 7.5e-9),
    2.5: ([[-0.05718023, 0.2995414], [-0.05587578, 0.2984748]], 6.2e-6),
}
OFFICIAL_KEYS = "9ac1f1c6edd76af3"


def official_state(gain: float = 1.0) -> dict[str, Tensor]:
    """A state dict as the official program stores it: names of pretrainedmodels, no prefix."""
    import timm

    with torch.device("meta"):
        shapes = {
            k: tuple(t.shape) for k, t in timm.create_model("legacy_xception", num_classes=2).state_dict().items()
        }
    named = {k.replace("fc.", "last_linear."): s for k, s in shapes.items()}
    assert key_digest(named) == OFFICIAL_KEYS
    return formula_state(named, gain)


@pytest.mark.slow
@pytest.mark.parametrize("gain", OFFICIAL)
def test_parity_with_the_official_program(gain: float, tmp_path: Path) -> None:
    torch.save(official_state(gain), tmp_path / "rfm.pth")
    done = import_weights(tmp_path / "rfm.pth", "rfm", tmp_path / "w.safetensors", profile="box")
    network, card = load_weights(done.path)
    with torch.inference_mode():
        logits = network(formula_images(224)).logits.double()
    expected, noise = OFFICIAL[gain]
    tolerance = max(10 * noise, 1e-5 * float(np.abs(expected).max()))
    assert float((logits - torch.tensor(expected, dtype=torch.float64)).abs().max()) <= tolerance
    assert (card.training_method, card.size, card.options["normalization"]) == ("rfm", 224, "quarter")
    assert card.origin is not None
    assert card.origin.source == "rfm"


@pytest.mark.slow
def test_a_file_with_one_wrong_key_is_refused_by_its_name(tmp_path: Path) -> None:
    state = official_state()
    state["block5.rep.1.conv1.weights"] = state.pop("block5.rep.1.conv1.weight")
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "rfm.pth")
    with pytest.raises(ModelError, match=r"1 unused \(module\.block5\.rep\.1\.conv1\.weights\)"):
        import_weights(tmp_path / "rfm.pth", "rfm", tmp_path / "w.safetensors", profile="box")
    assert not (tmp_path / "w.safetensors").exists()
