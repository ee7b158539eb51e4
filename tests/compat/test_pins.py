"""Values that a change of the code must not move by accident; measured and pinned anew by ``pins.py`` beside this file.

Hashes of protocols are pinned in ``tests/protocols/pinned.csv``, degradations in ``tests/degrade/golden.json``, forward
passes in ``tests/reference_models``.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loading import load_file

PINNED: dict[str, Any] = json.loads(Path(__file__).with_name("pins.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_file("tests/compat/pins.py", "pins_tool")


@pytest.fixture(scope="module")
def manifests(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pins")
    return {name: tool.prepared(name, folder) for name in tool.REQUESTS}


@pytest.fixture(scope="module")
def result(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    names = dict.fromkeys(key.partition(" ")[0] for key in PINNED["metrics"])
    found: dict[str, Any] = tool.imported(list(names), tmp_path_factory.mktemp("imported"))
    return found


def test_every_request_and_metric_is_pinned(tool: ModuleType) -> None:
    assert list(PINNED["recipes"]) == list(tool.REQUESTS)
    assert all(list(pinned["manifests"]) == list(tool.REQUESTS) for pinned in PINNED["contents"])
    missing = set(tool.metric_names()) - {key.partition(" ")[0] for key in PINNED["metrics"]}
    assert not missing, "pin new metrics: python tests/compat/pins.py"
    assert tool.SCORES.read_text("utf-8") == tool.example_scores()


def test_recipe_hashes(tool: ModuleType, manifests: dict[str, Path]) -> None:
    assert {name: tool.recipe_hash(manifest) for name, manifest in manifests.items()} == PINNED["recipes"]


def test_contents_of_manifests(tool: ModuleType, manifests: dict[str, Path]) -> None:
    found = {name: tool.content(manifest) for name, manifest in manifests.items()}
    for pinned in PINNED["contents"]:  # whatever the libraries: these columns do not come from pixels
        for name, columns in found.items():
            for column in tool.PLANNED:
                assert columns[column] == pinned["manifests"][name][column], (name, column)
    here = tool.environment()
    if here | PINNED["libraries"] != here:
        pytest.skip("boxes and pixels were pinned with other versions of the libraries")
    if found in [pinned["manifests"] for pinned in PINNED["contents"]]:
        return
    here_too = [p["manifests"] for p in PINNED["contents"] if tool.matches(p["environment"], here)]
    if not here_too:
        pytest.skip(f"boxes and pixels are not pinned on this kind of CPU: {here}")
    assert found == here_too[0]


def test_metrics_and_intervals(result: dict[str, Any], tool: ModuleType) -> None:
    found = tool.numbers(result)
    assert list(found) == list(PINNED["metrics"])
    same_draws = tool.version("numpy") == PINNED["libraries"]["numpy"]
    for key, (value, low, high) in PINNED["metrics"].items():
        assert found[key][0] == pytest.approx(value, abs=1e-9), key
        digits = 1e-9 if same_draws else 0.02  # numpy does not promise the same draws in every version
        assert found[key][1:] == pytest.approx([low, high], abs=digits), key


def test_run_ids(result: dict[str, Any], tool: ModuleType, tmp_path: Path) -> None:
    found = {"imported": result["run_id"], "evaluated": tool.evaluated(tmp_path / "run")["run_id"]}
    assert found == PINNED["run_ids"]


def test_seeds_from_ids(tool: ModuleType) -> None:
    assert tool.seeds() == PINNED["seeds"]
