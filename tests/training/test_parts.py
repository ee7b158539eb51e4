"""Recipe, order and augmentation: pure functions of ids, epoch and seed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dfbench.errors import DataError, ModelError, UsageError
from dfbench.models.build import build_model
from dfbench.models.registry import get_spec
from dfbench.protocols.training_recipe import Augmentation, TrainingRecipe
from dfbench.training.augment import augment, draw, homography
from dfbench.training.optimization import balanced_weights, make_optimizer, set_rate, weighted_loss
from dfbench.training.recipe import fill_recipe
from dfbench.training.sampler import epoch_order
from dfbench.training.samples import batches, device_part

PAIRED = [6, 10, 1, 4, 13, 17, 12, 15, 0, 3, 7, 8, 0, 5, 6, 9, 12, 16]
"""The order of three clips with two real and four fake frames each, seed 1."""

PLAIN = fill_recipe(TrainingRecipe(), get_spec("grnet").recipe)


def with_(**changes: float) -> Augmentation:
    return Augmentation(**{"flip": 0.0} | changes)


def test_published_recipe_fills_the_gaps() -> None:
    assert (PLAIN.lr, PLAIN.lr_decay, PLAIN.epochs, PLAIN.batch_size, PLAIN.seed) == (5e-4, 0.9, 20, 64, 7)
    protocol = TrainingRecipe(lr=1e-2, epochs=3)
    mixed = fill_recipe(protocol, get_spec("grnet").recipe, epochs=5)
    assert (mixed.lr, mixed.epochs, mixed.batch_size) == (1e-2, 5, 64)
    assert mixed.rate(0, 0, 50) == 1e-2
    assert mixed.rate(2, 17, 50) == pytest.approx(1e-2 * 0.81)


def test_decay_by_steps_and_its_floor() -> None:
    meso = fill_recipe(TrainingRecipe(), get_spec("meso4").recipe)  # a tenth every 1000 steps, not below 1e-6
    assert [meso.rate(9, step, 99999) for step in (0, 999, 1000, 2999)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    assert meso.rate(0, 10_000, 99999) == 1e-6
    small = fill_recipe(TrainingRecipe(), get_spec("meso4").recipe, batch_size=15, accumulate=1)
    assert small.lr_decay_steps == 5000, "after as many samples as with the published batch of 75"
    mislnet = fill_recipe(TrainingRecipe(), get_spec("mislnet").recipe)
    assert [mislnet.rate(epoch, 0, 99) for epoch in (0, 2, 3, 6)] == [1e-3, 1e-3, 5e-4, 2.5e-4]


def test_a_protocols_decay_replaces_the_detectors_whole() -> None:
    recipe = fill_recipe(TrainingRecipe(lr_decay=0.8), get_spec("meso4").recipe)
    assert (recipe.lr_decay_steps, recipe.lr_min) == (None, 0.0)
    assert recipe.rate(2, 5000, 9999) == pytest.approx(1e-3 * 0.64)
    stepped = fill_recipe(TrainingRecipe(lr_decay=0.1, lr_decay_steps=10, lr_min=1e-5), get_spec("grnet").recipe)
    assert stepped.rate(0, 10, 9999) == pytest.approx(5e-5)
    assert stepped.rate(0, 1000, 9999) == 1e-5


@pytest.mark.parametrize(
    "bad", [{"lr_decay_steps": 10}, {"lr_min": 1e-6}, {"lr_decay": 0.5, "lr_decay_steps": 10, "lr_decay_epochs": 2}]
)
def test_decay_without_a_factor_or_twice(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lr_decay"):
        TrainingRecipe.model_validate(bad)


def test_biases_at_a_rate_of_their_own() -> None:
    recipe = fill_recipe(TrainingRecipe(), get_spec("mislnet").recipe)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = make_optimizer(model, recipe)
    set_rate(optimizer, 0.01)
    rest, biases = optimizer.param_groups
    assert [p.shape for p in biases["params"]] == [(4,), (2,)], "of the convolution and the dense layer alone"
    assert len(rest["params"]) == 4
    assert (rest["lr"], rest["weight_decay"], rest["momentum"]) == (0.01, 5e-4, 0.95)
    assert (biases["lr"], biases["weight_decay"], biases["momentum"]) == (0.02, 0.0, 0.95)
    (all_alike,) = make_optimizer(model, PLAIN).param_groups
    assert len(all_alike["params"]) == 6


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_fused_kernels_make_the_same_steps(name: str) -> None:
    weights = []
    recipe = fill_recipe(TrainingRecipe(optimizer=name, lr=0.1, weight_decay=0.01), get_spec("mislnet").recipe)
    for fused in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 9, 2))
        optimizer = make_optimizer(model, recipe, fused=fused)
        assert optimizer.defaults["fused"] is fused
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.rand(4, 3, 5, 5)).square().mean().backward()
            optimizer.step()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)


def test_complex_parameters_are_trained_without_fused_kernels() -> None:
    model = nn.ParameterList([torch.ones(2, dtype=torch.complex64)])
    optimizer = make_optimizer(model, PLAIN)
    model[0].abs().sum().backward()
    optimizer.step()
    assert bool((model[0].real < 1).all())


@pytest.mark.parametrize("name", ["meso4", "grnet"])
def test_class_weights_are_those_of_a_weighted_mean(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, 3, 64).eval()
    output, targets = model(torch.rand(5, 3, 64, 64)), torch.tensor([0, 2, 2, 0, 2])
    weights = balanced_weights(torch.tensor([0, 1, 2, 2, 2, 0, 1, 1, 1, 1]), 3)
    expected = F.cross_entropy(output.logits, targets, weight=weights)
    if name == "grnet":
        for logits in (output.rgb_logits, output.residual_logits):
            expected = expected + F.cross_entropy(logits, targets, weight=weights)
    torch.testing.assert_close(weighted_loss(model, output, targets, weights), expected)
    assert not torch.isclose(weighted_loss(model, output, targets, None), expected)


def test_class_weights_need_an_output_that_can_be_divided() -> None:
    output = SimpleNamespace(logits=torch.rand(2, 2))
    with pytest.raises(ModelError, match="class weights need"):
        weighted_loss(nn.Identity(), output, torch.tensor([0, 1]), torch.ones(2))


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"lr": -1.0}, {"batch_size": 0}])
def test_values_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        fill_recipe(TrainingRecipe(), get_spec("grnet").recipe, **bad)  # type: ignore[arg-type]


@given(n=st.integers(1, 40), epoch=st.integers(0, 5), seed=st.integers(0, 9))
def test_natural_order_shows_every_sample_once(n: int, epoch: int, seed: int) -> None:
    order = epoch_order([0] * n, epoch, seed, "natural")
    assert sorted(order) == list(range(n))


@given(
    real=st.integers(1, 12),
    fake=st.integers(1, 30),
    count=st.one_of(st.none(), st.integers(2, 50)),
    seed=st.integers(0, 5),
)
def test_balanced_order(real: int, fake: int, count: int | None, seed: int) -> None:
    labels = [0] * real + [1] * fake
    orders = [epoch_order(labels, epoch, seed, "balanced", count) for epoch in range(4)]
    shown = np.concatenate(orders)
    y = np.asarray(labels)
    for order in orders:
        assert int((y[order] == 0).sum()) == int((y[order] == 1).sum()) == max(1, (count or real + fake) // 2)
    for label in (0, 1):  # over epochs, no sample is two rounds ahead of another
        times = np.bincount(shown[y[shown] == label], minlength=len(y))[y == label]
        assert times.max() - times.min() <= 1


def test_paired_order_puts_a_fake_beside_its_base() -> None:
    labels = [0, 0, 0, 1, 1, 1, 1]
    bases = ["a", "a", "b", "a", "b", "b", "c"]
    order = epoch_order(labels, 0, 3, "paired", 8, bases).tolist()
    assert sorted(order[1::2]) == [3, 4, 5, 6]
    for real, fake in zip(order[::2], order[1::2], strict=True):
        assert labels[real] == 0
        assert bases[fake] in (bases[real], "c"), "only the fake without a base takes any real"


def clips(count: int, frames: int, manipulations: int) -> tuple[list[int], list[str]]:
    """Labels and bases of clips with a real and some fakes, each of the same number of frames."""
    labels = ([0] * frames + [1] * frames * manipulations) * count
    return labels, [f"clip {number}" for number in range(count) for _ in range(frames * (manipulations + 1))]


@given(count=st.integers(1, 6), frames=st.integers(1, 5), manipulations=st.integers(1, 4), seed=st.integers(0, 9))
def test_paired_order_uses_the_reals_of_a_clip_evenly(count: int, frames: int, manipulations: int, seed: int) -> None:
    labels, bases = clips(count, frames, manipulations)
    y, names = np.asarray(labels), np.asarray(bases)
    shown = np.concatenate([epoch_order(labels, epoch, seed, "paired", None, bases) for epoch in range(4)])
    reals, fakes = shown[::2], shown[1::2]
    assert (y[reals] == 0).all()
    assert (names[reals] == names[fakes]).all()
    times = np.bincount(fakes, minlength=len(y))[y == 1]
    assert times.max() - times.min() <= 1, "no fake is two rounds ahead of another"
    for base in set(bases):  # every clip has used whole rounds of its reals, and a part of the next
        uses = np.bincount(reals, minlength=len(y))[(y == 0) & (names == base)]
        assert uses.max() - uses.min() <= 1


def test_paired_order_shows_every_real_and_spreads_the_fakes() -> None:
    labels, bases = clips(40, 8, 4)
    y = np.asarray(labels)
    clip = np.arange(len(y)) // 40
    for epoch in range(3):
        order = epoch_order(labels, epoch, 1, "paired", None, bases)
        assert set(np.flatnonzero(y == 0)) == set(order[::2])
        per_clip = np.bincount(clip[order[1::2]], minlength=40)
        assert per_clip.min() >= 16, "20 of 32 fakes on average: random draws leave some clips with 12"
    neighbours = np.mean(clip[order[1:-2:2]] == clip[order[3::2]])
    assert neighbours < 0.1, "the fakes of one clip do not follow each other"


def test_paired_order_of_fakes_without_a_real_of_their_clip() -> None:
    labels, bases = [0, 0, 0, 1, 1, 1], ["a", "b", "c", "a", "none", "none"]
    for epoch in range(4):
        order = epoch_order(labels, epoch, 0, "paired", 6, bases).tolist()
        partners = dict(zip(order[1::2], order[::2], strict=True))
        assert partners[3] == 0
        assert {partners[4], partners[5]} == {1, 2}, "the reals that no fake needs, in turns"


def test_paired_order_is_a_function_of_seed_and_epoch() -> None:
    labels, bases = clips(3, 2, 2)
    first = epoch_order(labels, 0, 1, "paired", None, bases).tolist()
    assert first == PAIRED, "another order of the same seed changes results: name it in the changelog"
    assert first == epoch_order(np.array(labels), 0, 1, "paired", None, bases).tolist()
    assert first != epoch_order(labels, 1, 1, "paired", None, bases).tolist()
    assert first != epoch_order(labels, 0, 2, "paired", None, bases).tolist()


def test_order_depends_on_seed_and_epoch() -> None:
    labels = [0, 1] * 20
    first = epoch_order(labels, 0, 1, "balanced").tolist()
    assert first == epoch_order(labels, 0, 1, "balanced").tolist()
    assert first != epoch_order(labels, 1, 1, "balanced").tolist()
    assert first != epoch_order(labels, 0, 2, "balanced").tolist()


@pytest.mark.parametrize(("labels", "sampling"), [([], "natural"), ([1, 1], "balanced"), ([0], "balanced")])
def test_no_samples(labels: list[int], sampling: str) -> None:
    with pytest.raises(DataError):
        epoch_order(labels, 0, 0, sampling)


def test_batches_never_hold_one_sample_alone() -> None:
    assert [len(b) for b in batches(np.arange(9), 4)] == [4, 5]
    assert [len(b) for b in batches(np.arange(10), 4)] == [4, 4, 2]
    assert [len(b) for b in batches(np.arange(1), 4)] == [1]
    assert [len(b) for b in batches(np.arange(11), 4, smallest=4)] == [4, 7]


@given(size=st.integers(2, 40), devices=st.integers(1, 6))
def test_devices_share_a_batch(size: int, devices: int) -> None:
    parts = [device_part(list(range(size)), rank, devices) for rank in range(devices)]
    assert [row for part in parts for row in part] == list(range(size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


IMAGES = torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))
IDS = [f"a/b/c/{i}#000000.0" for i in range(6)]


def test_nothing_asked_nothing_changed() -> None:
    assert torch.equal(augment(IMAGES, IDS, with_(), 0, 7), IMAGES)


def test_flip_is_exact() -> None:
    assert torch.equal(augment(IMAGES, IDS, with_(flip=1.0), 0, 7), IMAGES.flip(3))
    some = augment(IMAGES, IDS, with_(flip=0.5), 0, 7)
    for image, found in zip(IMAGES, some, strict=True):
        assert torch.equal(found, image) or torch.equal(found, image.flip(2))


def test_draws_depend_on_id_and_epoch_not_on_place() -> None:
    recipe = with_(flip=0.5, rotation=20.0, perspective=0.4, perspective_p=1.0)
    whole = augment(IMAGES, IDS, recipe, 3, 7)
    turned = augment(IMAGES.flip(0), IDS[::-1], recipe, 3, 7).flip(0)
    torch.testing.assert_close(whole, turned)
    alone = torch.cat([augment(IMAGES[i : i + 1], IDS[i : i + 1], recipe, 3, 7) for i in range(6)])
    torch.testing.assert_close(whole, alone)
    assert not torch.equal(whole, augment(IMAGES, IDS, recipe, 4, 7))
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 1


def test_rotation_keeps_the_centre_and_turns_about_it() -> None:
    disc = torch.zeros(1, 1, 65, 65)
    y, x = torch.meshgrid(torch.arange(65) - 32.0, torch.arange(65) - 32.0, indexing="ij")
    disc[0, 0] = (x.square() + y.square() < 20**2).float()
    turned = augment(disc, IDS[:1], with_(rotation=45.0), 0, 7)
    assert float((turned - disc).abs().mean()) < 0.02
    ramps = (x / 64 + 0.5).expand(6, 1, 65, 65)
    assert float((augment(ramps, IDS, with_(rotation=45.0), 0, 7) - ramps).abs().max()) > 0.2


@pytest.mark.parametrize("change", [{"shear": 20.0}, {"zoom": 0.3}, {"shift": 0.2}, {"brightness": 0.3}, {"hue": 0.2}])
def test_every_change_changes_and_is_drawn_from_the_id(change: dict[str, float]) -> None:
    rules = with_(**change)
    whole = augment(IMAGES, IDS, rules, 0, 7)
    assert all(not torch.equal(one, before) for one, before in zip(whole, IMAGES, strict=True))
    torch.testing.assert_close(whole[2:3], augment(IMAGES[2:3], IDS[2:3], rules, 0, 7))
    assert not torch.equal(whole, augment(IMAGES, IDS, rules, 0, 8))
    assert 0 <= float(whole.min()) <= float(whole.max()) <= 1


def test_zoom_and_shift_move_as_far_as_they_say() -> None:
    generator = np.random.default_rng(0)
    places = [draw(with_(zoom=0.2, shift=0.1), generator).warp for _ in range(300)]
    scales = np.array([1 / place[0, 0] for place in places if place is not None])
    shifts = np.array([place[:2, 2] / 2 for place in places if place is not None])
    assert len(scales) == 300
    assert [scales.min(), scales.max()] == pytest.approx([0.8, 1.2], abs=0.01)
    assert float(np.abs(shifts).max()) == pytest.approx(0.1, abs=0.01)


def test_hue_keeps_greys_and_brightness_scales() -> None:
    grey = torch.full((6, 3, 8, 8), 0.4)
    torch.testing.assert_close(augment(grey, IDS, with_(hue=0.5), 0, 7), grey, atol=2e-3, rtol=0)
    epochs = [augment(grey, IDS, with_(brightness=0.5), epoch, 7)[:, 0, 0, 0] / 0.4 for epoch in range(20)]
    factors = torch.cat(epochs)
    assert 0.5 <= float(factors.min()) < 0.6 < 1.4 < float(factors.max()) <= 1.5


def test_further_planes_move_along_and_keep_their_values() -> None:
    rules = with_(rotation=20.0, zoom=0.2, hue=0.3, brightness=0.3)
    six = augment(torch.cat((IMAGES, IMAGES), dim=1), IDS, rules, 0, 7)
    torch.testing.assert_close(six[:, :3], augment(IMAGES, IDS, rules, 0, 7))
    torch.testing.assert_close(six[:, 3:], augment(IMAGES, IDS, with_(rotation=20.0, zoom=0.2), 0, 7))


def test_homography_maps_the_four_points() -> None:
    source = np.array([[-1.0, -1.0], [0.7, -0.9], [0.8, 1.0], [-0.6, 0.5]])
    target = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    mapped = np.c_[source, np.ones(4)] @ homography(source, target).T
    np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:], target, atol=1e-9)
