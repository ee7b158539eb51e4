"""The search of GRnet's options: its recipe, its rule, which outcomes it takes, and its page."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from loading import load_file

from dfbench.manifest.manifest import open_manifest


@pytest.fixture(scope="module")
def made() -> ModuleType:
    return load_file("benchmarks/grnet_search_page.py", "grnet_search_page")


@pytest.fixture(scope="module")
def script(made: ModuleType) -> ModuleType:
    return load_file("benchmarks/grnet_search.py", "grnet_search")


def outcomes(made: ModuleType, values: dict[str, tuple[float, ...]]) -> dict[object, object]:
    """Outcomes of variants of the residual's normalisation, one value for each seed and budget."""
    found = {}
    for norm, aucs in values.items():
        for place, auc in enumerate(aucs):
            job = made.Job(made.Variant(norm=norm), seed=7 + place // 2, steps=(100, 300)[place % 2])
            found[job] = made.Outcome({"fused": auc, "rgb": 0.5, "residual": 0.25}, 0.7, 1.5, 0.5)
    return found


def test_the_recipe_is_that_of_the_search(script: ModuleType) -> None:
    rules = script.search_protocol(8, 4)
    recipe = rules.training
    assert (recipe.epochs, recipe.batch_size, recipe.sampling) == (1, 16, "paired")
    assert (recipe.lr_schedule, recipe.warmup, recipe.lr, recipe.optimizer) == ("cosine", 0.1, None, None)
    assert recipe.augmentation is not None
    assert (recipe.augmentation.flip, recipe.augmentation.rotation, recipe.augmentation.perspective) == (0.5, 0.0, 0.0)
    assert {part.subsets for part in rules.data} == {("c23",)}
    assert [rules.sampling_of(part).frames for part in rules.data] == [8, 4, 8]
    assert rules.selection.split == "none"


def test_a_clear_winner_is_chosen(made: ModuleType) -> None:
    found = outcomes(
        made, {"imagenet": (0.5, 0.6, 0.5, 0.6), "none": (0.6, 0.6, 0.6, 0.6), "batch": (0.7, 0.8, 0.7, 0.8)}
    )
    chosen, compared = made.choose(found, [made.Variant(norm=norm) for norm in ("imagenet", "none", "batch")])
    assert chosen.norm == "batch"
    assert [c.tied for c in compared] == [False, False, True]
    assert compared[0].below == pytest.approx(0.2)


def test_a_tie_goes_to_the_literal_reading(made: ModuleType) -> None:
    # Paired differences of batch from imagenet: 0.3 and -0.2, mean 0.05, standard error 0.25.
    found = outcomes(made, {"imagenet": (0.5, 0.8), "none": (0.1, 0.1), "batch": (0.8, 0.6)})
    variants = [made.Variant(norm=norm) for norm in ("imagenet", "none", "batch")]
    chosen, compared = made.choose(found, variants)
    assert compared[2].below == 0
    assert compared[0].error == pytest.approx(0.25)
    assert chosen.norm == "imagenet"
    assert made.choose(found, variants[::-1])[0].norm == "batch", "the order decides between tied ones"


def test_the_page_has_every_training_and_the_choice(made: ModuleType, script: ModuleType) -> None:
    found = outcomes(made, {"imagenet": (0.5, 0.6), "batch": (0.7, 0.8)})
    stages = [("Normalisation", [made.Variant(norm="imagenet"), made.Variant(norm="batch")])]
    text = made.page(found, stages, script.search_protocol(8, 8).training, "fp32", "Data.")
    assert "Chosen: **grnet-batch**." in text
    assert "| grnet-imagenet | 100 | 7 | 0.500 | 0.500 | 0.250 | 0.700 | 1.5 | 0.5 |" in text
    assert "0.200 ± 0.000" in text
    assert "4 trainings, 8 CPU minutes" in text


def test_only_outcomes_of_the_same_parts_are_taken(
    script: ModuleType, made: ModuleType, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    manifest, job = open_manifest(tiny.manifest), made.Job(made.Variant(norm="batch"), 7, 2)
    parts = (tmp_path, script.search_protocol(8, 8), manifest)
    search = script.Search(*parts, "fp32", (7,), (2,))
    outcome = made.Outcome({"fused": 0.75}, 0.5, 1.0, 0.5)
    search.store(job, outcome)
    assert search.outcome(job) == outcome
    assert script.Search(*parts, "bf16", (7,), (2,)).outcome(job) is None
    other = (tmp_path, script.search_protocol(4, 4), manifest)
    assert script.Search(*other, "fp32", (7,), (2,)).outcome(job) is None
