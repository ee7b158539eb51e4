"""What ``[sampling]`` and the sampling of data parts may say."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.sampling import FrameSampling, TotalSampling

HEAD = 'name = "p"\nversion = 1\nsource = "s"\nsummary = "s"\n'
TRAIN = '[[data]]\nrole = "train"\ndataset = "ff++"\nsplit = "train"\nsubsets = ["c23"]\n'
TEST = '[[data]]\nrole = "test"\ndataset = "ff++"\nsplit = "test"\n'


def protocol(text: str) -> Protocol:
    return Protocol.model_validate(tomllib.loads(HEAD + text))


def test_another_number_of_frames_for_the_test() -> None:
    loaded = protocol(TRAIN + TEST + "sampling = { frames = 100 }\n[sampling]\nframes = 270\n")
    assert [loaded.sampling_of(part).rule for part in loaded.data] == [
        FrameSampling(frames=270),
        FrameSampling(frames=100),
    ]
    recipe = make_recipe(PreparationRequest("ff++", protocol=loaded))
    assert recipe.rule_of("c23", "train", "real") == FrameSampling(frames=270)
    assert recipe.rule_of("c40", "test", "FaceSwap") == FrameSampling(frames=100)
    assert "sampling" not in recipe.to_json()["parts"][1] or "sampling" not in recipe.to_json()["parts"][0]


def test_totals_and_faces() -> None:
    text = TRAIN + "sampling = { total_real = 50000, total_per_method = 12500, seed = 2 }\n" + TEST
    text += 'sampling = { total_real = 10000, total_per_method = 2500, pick = "random" }\n'
    loaded = protocol(text)
    assert loaded.sampling_of(loaded.data[0]).rule == TotalSampling(50000, 12500, seed=2)
    assert loaded.sampling_of(loaded.data[1]).rule == TotalSampling(10000, 2500, "random")
    followed = protocol(TEST + '[sampling]\nframes = 32\nfaces = "manipulated"\n')
    assert make_recipe(PreparationRequest("ff++", protocol=followed)).face_rule == "manipulated"


@pytest.mark.parametrize(
    "rule",
    [
        *("all = true", "random = 20\nseed = 1", "clips = 4\nlength = 16", "first = 32", "every = 30\nmax = 10"),
        "aligned = 32",
    ],
)
def test_every_rule_can_be_stated_and_changes_the_hash(rule: str) -> None:
    loaded = protocol(TEST + f"[sampling]\n{rule}\n")
    assert loaded.sampling.rule.to_json()["rule"] == rule.split(" ", 1)[0]
    assert loaded.hash != protocol(TEST).hash


def test_protocols_that_use_nothing_new_keep_their_hash() -> None:
    dumped = load_protocol("mini").model_dump(mode="json")
    assert dumped["sampling"] == {"frames": 8, "every": None, "max": None}
    assert all("sampling" not in part for part in dumped["data"])
    assert protocol(TEST + "[sampling]\nframes = 32\n").hash == protocol(TEST).hash


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEST + "[sampling]\nall = true\nframes = 3\n", "either"),
        (TEST + "[sampling]\nclips = 3\n", "must be given together"),
        (TEST + "[sampling]\ntotal_real = 3\n", "must be given together"),
        (TEST + "[sampling]\nframes = 3\nseed = 4\n", "seed requires random"),
        (TEST + '[sampling]\nframes = 3\npick = "random"\n', "exactly one sampling rule"),
        (TEST + '[sampling]\nframes = 3\nfaces = "smallest"\n', "faces"),
        (TEST + TEST + "sampling = { frames = 3 }\n", "same test media by different rules"),
        (TEST + TRAIN + 'sampling = { frames = 32, faces = "all" }\n', "one face rule"),
    ],
)
def test_samplings_that_do_not_load(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        protocol(text)


def test_parts_of_other_subsets_may_differ() -> None:
    parts: dict[str, Any] = tomllib.loads(
        HEAD + TEST + 'subsets = ["c23"]\n' + TEST + 'subsets = ["c40"]\nsampling = { every = 10 }\n'
    )
    assert Protocol.model_validate(parts).sampling_of(Protocol.model_validate(parts).data[1]).every == 10
