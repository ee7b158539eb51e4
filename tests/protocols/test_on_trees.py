"""Every shipped protocol on small trees in the layouts of its data sets: plans, samples, scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trees

from dfbench.manifest.manifest import Manifest
from dfbench.protocols.files import load_protocol, protocol_names
from dfbench.protocols.protocol import Protocol
from dfbench.schema.random_media import RandomSubset
from dfbench.workflow import evaluate, train

NAMES = [name for name in protocol_names() if "mini" not in load_protocol(name).datasets()]
# Crops by dlib's landmarks need a file of the user's own.
OF_DLIB = {"deepfakebench/v1@exact"}
# Its clips are encoded anew, so it needs some that decode: test_robustness_suite.py.
OF_CLIPS = {"robustness/v1"}
RUN = [n for n in NAMES if n not in OF_DLIB | OF_CLIPS]


def ids(manifest: Manifest, protocol: Protocol, role: str, column: str = "scene_group") -> set[str]:
    return set(manifest.samples(protocol, role).table[column].to_pylist())


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_plans_on_the_trees_of_its_data_sets(name: str, tree_of: Callable[[str], Path]) -> None:
    protocol = load_protocol(name)
    for dataset in protocol.datasets():
        plan = trees.plan_of(protocol, dataset, tree_of(dataset))
        found = {(m.split, m.label) for m in plan.scan.media}
        for part in (p for p in protocol.data if p.dataset == dataset):
            labels = {0} if part.manipulations == ("real",) else {0, 1}
            assert {label for split, label in found if split == part.split} == labels


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_every_protocol_runs_end_to_end_with_a_tiny_detector(
    name: str,
    manifests_of: Callable[[Protocol], list[Manifest]],
    tree_of: Callable[[str], Path],
    detector: str,
    tmp_path: Path,
) -> None:
    protocol = load_protocol(name)
    manifests = manifests_of(protocol)
    for manifest in manifests:
        assert manifest.verify() == []
        groups = {
            r: ids(manifest, protocol, r)
            for r in ("train", "val", "test")
            if manifest.info.dataset in protocol.datasets(r)
        }
        if not any(p.share and p.share.by == "frame" for p in protocol.data):
            assert sum(map(len, groups.values())) == len(set().union(*groups.values())), "a scene is in two roles"
    roots = {dataset: tree_of(dataset) for dataset in protocol.datasets("test")}
    run = evaluate(detector, protocol, [m.path for m in manifests], out=tmp_path / "run", roots=roots, quiet=True)
    assert run.result.protocol is not None
    assert (run.result.protocol.name, run.result.protocol.hash) == (name, protocol.hash)
    assert run.result.caution == protocol.caution
    assert {v.dataset for v in run.result.metrics} == set(protocol.datasets("test"))
    assert {v.name for v in run.result.metrics} == set(protocol.metrics.names)
    rare = ("tpr@fpr=",)  # rates that a handful of reals cannot resolve
    assert all(
        v.value is not None for v in run.result.metrics if v.manipulation == "all" and not v.name.startswith(rare)
    )
    assert all((v.profile, v.size) == (protocol.crops.profile, protocol.crops.size) for v in run.result.metrics)
    assert set(run.scores_table["split"].unique().to_pylist()) == {p.split for p in protocol.data if p.role == "test"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grnet/ffpp-binary", "grnet/dfdc", "grnet/hff-multi@six"])
def test_training_selection_and_test_by_a_paper_protocol(
    name: str, manifests_of: Callable[[Protocol], list[Manifest]], detector: str, tmp_path: Path
) -> None:
    protocol = load_protocol(name)
    places = [m.path for m in manifests_of(protocol)]
    weights = train(detector, protocol, places, tmp_path / "w.safetensors", epochs=1, quiet=True)
    run = evaluate(detector, protocol, places, weights, tmp_path / "run", quiet=True)
    assert run.result.selection["split"] == "val"
    assert run.result.weights is not None
    assert run.result.weights.card["protocol"]["hash"] == protocol.hash
    assert set(run.scores_table["class"].unique().to_pylist()) <= set(
        protocol.classes or ("real", "fake", *trees.FFPP_METHODS)
    )


def test_the_two_dfdc_cuts_differ_in_what_they_keep_whole(
    manifests_of: Callable[[Protocol], list[Manifest]],
) -> None:
    whole, torn = load_protocol("grnet/dfdc"), load_protocol("grnet/dfdc@frame-random")
    (manifest,) = manifests_of(whole)
    assert not ids(manifest, whole, "train") & ids(manifest, whole, "test")
    assert ids(manifest, torn, "train", "media_id") & ids(manifest, torn, "test", "media_id")
    assert not ids(manifest, torn, "train", "sample_id") & ids(manifest, torn, "test", "sample_id")
    for protocol in (whole, torn):
        rows = [len(manifest.samples(protocol, role)) for role in ("train", "val", "test")]
        assert sum(rows) == sum(shard.rows for shard in manifest.info.shards) == 80 * 3


def test_validation_is_carved_out_of_train_by_scene_group(manifests_of: Callable[[Protocol], list[Manifest]]) -> None:
    protocol = load_protocol("grnet/hff-binary")
    (manifest,) = manifests_of(protocol)
    train_groups, val_groups = ids(manifest, protocol, "train"), ids(manifest, protocol, "val")
    assert train_groups
    assert val_groups
    assert not train_groups & val_groups
    assert len(train_groups | val_groups) == 80


def test_a_number_of_clips_is_drawn_before_they_are_read(tree_of: Callable[[str], Path]) -> None:
    protocol = load_protocol("grnet/dfdc")
    few = protocol.model_copy(
        update={"data": tuple(p.model_copy(update={"take": RandomSubset(real=7, fake=5)}) for p in protocol.data)}
    )
    plan = trees.plan_of(few, "dfdc", tree_of("dfdc"))
    assert sorted(m.label for m in plan.scan.media) == [0] * 7 + [1] * 5
    assert plan.scan.expected == {}
    assert plan.recipe.to_json()["parts"][0]["take"] == {"real": 7, "fake": 5, "seed": 0}
    whole = trees.plan_of(protocol, "dfdc", tree_of("dfdc"))
    assert {m.media_id for m in plan.scan.media} < {m.media_id for m in whole.scan.media}
    assert "3399 real media were to be sampled at random, but only 40 were found" in whole.scan.warnings


def test_a_manifest_of_fewer_drawn_clips_does_not_serve(tree_of: Callable[[str], Path], tmp_path: Path) -> None:
    protocol = load_protocol("grnet/dfdc")
    plan = trees.plan_of(protocol, "dfdc", tree_of("dfdc"))
    part = replace(plan.recipe.selections[0], take=RandomSubset(real=7, fake=5))
    small = trees.plan_shards(replace(plan.recipe, selections=(part,)), tree_of("dfdc"))
    manifest = trees.manifest_of(small, tmp_path / "few")
    with pytest.raises(Exception, match="random subset of media"):
        manifest.samples(protocol, "test")


def test_celeb_df_is_tested_on_thirty_thousand_frames_of_each_class() -> None:
    for name in ("grnet/celeb-df", "grnet/celeb-df@c40"):
        parts = [p for p in load_protocol(name).data if p.role == "test"]
        assert {p.split for p in parts} == {"train", "test"}
        assert sum(p.sampling.total_real or 0 for p in parts if p.sampling) == 30_000
        assert sum(p.sampling.total_per_method or 0 for p in parts if p.sampling) == 30_000
