"""Budgets in multiply-adds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from dfbench.models.build import build_model
from dfbench.models.registry import get_spec
from dfbench.protocols.training_recipe import TrainingRecipe
from dfbench.training.cost import multiply_adds, within_budget
from dfbench.training.recipe import fill_recipe, overridden

DETECTOR = get_spec("meso4").recipe


class Small(nn.Module):
    """One convolution of 3 x 3 and one dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dense = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """N,3,H,W -> N,2."""
        noise = torch.rand(1)
        return self.dense((self.norm(self.conv(images)) + 0 * noise).mean(dim=(2, 3)))


def test_counted_by_hand() -> None:
    assert multiply_adds(Small(), 32) == 16 * 16 * 4 * 3 * 9 + 4 * 2


def test_resnet18_has_the_published_cost() -> None:
    """He et al. (CVPR 2016), Table 1: 1.8 billion multiply-adds at 224 pixels."""
    assert 1.80e9 < multiply_adds(build_model("resnet18", 2, 224), 224) < 1.83e9


def test_counting_changes_nothing() -> None:
    network = Small()
    network.norm.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    multiply_adds(network, 16)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert network.conv.training
    assert not network.norm.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("epochs", "accumulate"), [(1, 1), (4, 1), (4, 3)])
def test_epochs_are_as_long_as_the_budget_pays_for(epochs: int, accumulate: int) -> None:
    network = Small()
    cost = multiply_adds(network, 32)
    rules = TrainingRecipe(epochs=epochs, batch_size=8, compute=cost * 1000.0)
    recipe = within_budget(fill_recipe(rules, DETECTOR, accumulate=accumulate), network, 32)
    step = 8 * accumulate
    assert recipe.samples_per_epoch == 1000 // epochs // step * step
    assert recipe.samples_per_epoch * epochs <= 1000 < (recipe.samples_per_epoch + step) * epochs


def test_a_recipe_may_state_the_most_samples() -> None:
    network = Small()
    rules = TrainingRecipe(epochs=2, batch_size=8, compute=1e12, samples_per_epoch=100)
    assert within_budget(fill_recipe(rules, DETECTOR), network, 32).samples_per_epoch == 100


def test_at_least_one_step() -> None:
    rules = TrainingRecipe(epochs=2, batch_size=8, compute=1.0)
    assert within_budget(fill_recipe(rules, DETECTOR), Small(), 32).samples_per_epoch == 8


def test_samples_of_the_call_replace_the_budget() -> None:
    rules = TrainingRecipe(epochs=2, batch_size=8, compute=1.0)
    recipe = within_budget(fill_recipe(rules, DETECTOR, samples_per_epoch=48), Small(), 32)
    assert (recipe.samples_per_epoch, recipe.compute) == (48, None)
    assert overridden(recipe, rules, DETECTOR)["samples_per_epoch"] == 48


def test_samples_that_follow_from_the_budget_are_no_change_of_the_recipe() -> None:
    rules = TrainingRecipe(epochs=2, batch_size=8, compute=1e9)
    filled = fill_recipe(rules, DETECTOR)
    assert overridden(within_budget(filled, Small(), 32), rules, DETECTOR) == {}
    assert overridden(replace(filled, lr=0.5), rules, DETECTOR) == {"lr": 0.5}


def test_without_a_budget_the_recipe_stays() -> None:
    recipe = fill_recipe(TrainingRecipe(epochs=2), DETECTOR)
    assert within_budget(recipe, Small(), 32) is recipe
