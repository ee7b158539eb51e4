"""Recipe, order and augmentation: pure functions of ids, epoch and seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.models.registry import get_spec
from dfbench.protocols.protocol import Augmentation, Recipe
from dfbench.training.augment import augment, homography
from dfbench.training.recipe import fill_recipe
from dfbench.training.sampler import batches, epoch_order

PLAIN = fill_recipe(Recipe(), get_spec("grnet").recipe)


def with_(**changes: float) -> Augmentation:
    return Augmentation(**{"flip": 0.0} | changes)


def test_published_recipe_fills_the_gaps() -> None:
    assert (PLAIN.lr, PLAIN.lr_decay, PLAIN.epochs, PLAIN.batch_size, PLAIN.seed) == (5e-4, 0.9, 20, 64, 7)
    protocol = Recipe(lr=1e-2, epochs=3)
    mixed = fill_recipe(protocol, get_spec("grnet").recipe, epochs=5)
    assert (mixed.lr, mixed.epochs, mixed.batch_size) == (1e-2, 5, 64)
    assert mixed.rate(0, 0) == 1e-2
    assert mixed.rate(2, 17) == pytest.approx(1e-2 * 0.81)


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"lr": -1.0}, {"batch_size": 0}])
def test_values_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        fill_recipe(Recipe(), get_spec("grnet").recipe, **bad)  # type: ignore[arg-type]


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


def test_homography_maps_the_four_points() -> None:
    source = np.array([[-1.0, -1.0], [0.7, -0.9], [0.8, 1.0], [-0.6, 0.5]])
    target = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    mapped = np.c_[source, np.ones(4)] @ homography(source, target).T
    np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:], target, atol=1e-9)
