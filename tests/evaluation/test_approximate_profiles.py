"""Approximate crops, made without the face detector of their profile, are usable and keep their name everywhere."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfbench.errors import DataError, ModelError
from dfbench.evaluation.dataset import crop_profile, find_manifests
from dfbench.manifest.manifest import open_manifest
from dfbench.models.card import read_card
from dfbench.protocols.files import load_protocol
from dfbench.workflow import evaluate, train

NUMBERS = itertools.count()
QUIET = {"device": "cpu", "quiet": True}


def relabel(manifest: Path, profile: str) -> None:
    file = manifest / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"profile": profile}), "utf-8")


@pytest.fixture
def approximate(tiny: SimpleNamespace) -> SimpleNamespace:
    """A protocol of dfb256 and a manifest of dfb256~."""
    name = f"approximate{next(NUMBERS)}"
    made = tiny.make(name, "folder", groups=4)
    made.protocol.write_text(made.protocol.read_text("utf-8").replace('"native"', '"dfb256"'), "utf-8")
    relabel(made.manifest, "dfb256~")
    return made


def test_it_serves_and_says_so(approximate: SimpleNamespace, tmp_path: Path) -> None:
    assert open_manifest(approximate.manifest).samples(approximate.protocol, "test").ok().profile == "dfb256~"
    weights = train("meso4", approximate.protocol, [approximate.manifest], tmp_path / "w.safetensors", **QUIET)
    assert read_card(weights).profile == "dfb256~"
    run = evaluate("meso4", approximate.protocol, [approximate.manifest], weights, tmp_path / "run", **QUIET)
    assert {metric.profile for metric in run.result.metrics} == {"dfb256~"}
    # Exact crops are not what these weights know.
    relabel(approximate.manifest, "dfb256")
    with pytest.raises(ModelError, match=r"'dfb256~' crops .* the data are 'dfb256' crops"):
        evaluate("meso4", approximate.protocol, [approximate.manifest], weights, tmp_path / "exact", **QUIET)


def test_the_exact_one_does_not_pass_for_the_approximate(approximate: SimpleNamespace) -> None:
    approximate.protocol.write_text(approximate.protocol.read_text("utf-8").replace('"dfb256"', '"dfb256~"'), "utf-8")
    relabel(approximate.manifest, "dfb256")
    with pytest.raises(DataError, match="crop profile dfb256, the protocol needs dfb256~"):
        open_manifest(approximate.manifest).samples(approximate.protocol, "test")


def test_exact_and_approximate_do_not_mix(approximate: SimpleNamespace, tiny: SimpleNamespace) -> None:
    other = tiny.make(f"other{next(NUMBERS)}", "hff", groups=4)
    relabel(other.manifest, "dfb256")
    rules = load_protocol(approximate.protocol)
    opened = find_manifests(rules, [approximate.manifest], ("test",))["folder"]
    assert crop_profile(rules, [opened]) == "dfb256~"
    with pytest.raises(DataError, match="different crop profiles") as error:
        crop_profile(rules, [opened, open_manifest(other.manifest)])
    assert "dlib" in error.value.hint
