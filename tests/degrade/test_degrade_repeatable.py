"""The same pixels in any order, worker and process; and the same as ever."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from joblib import Parallel, delayed

from dfbench.degrade import Condition, apply, apply_clip, apply_stream, degradation_names, parse, psnr, suite
from dfbench.media.images import pixel_hash

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
GOLDEN = json.loads((HERE / "golden.json").read_text("utf-8"))
ON_IMAGES = [c for c in suite() if c.where == "crop"]
DRAWN = ("gaussian-noise", "shot-noise", "salt-pepper", "color-shift", "occlude", "shift")
ID = "a/b/c/d#000001.0"


def digest(condition: Condition, image: np.ndarray, identity: str) -> str:
    return pixel_hash(apply(condition, image, identity))


def jobs(image: np.ndarray) -> list[tuple[Condition, np.ndarray, str]]:
    return [(c, image, f"a/b/c/d#{i:06d}.0") for c in ON_IMAGES if c.severity in (2, 4) for i in range(3)]


def test_any_order_and_any_subset_gives_the_same(face: np.ndarray) -> None:
    todo = jobs(face)
    first = [digest(*job) for job in todo]
    mixed = random.Random(0).sample(range(len(todo)), len(todo) // 2)
    assert [digest(*todo[i]) for i in mixed] == [first[i] for i in mixed]


def test_two_workers_give_the_same_as_one(face: np.ndarray) -> None:
    todo = jobs(face)
    alone = [digest(*job) for job in todo]
    assert Parallel(n_jobs=2)(delayed(digest)(*job) for job in todo) == alone


def test_a_second_process_gives_the_same(face: np.ndarray) -> None:
    conditions = [c.name for c in ON_IMAGES if c.severity == 3] + ["h264:crf=35", "h265:crf=33", "av1:crf=55"]
    program = (
        "import hashlib, sys, json; from pathlib import Path; from dfbench.degrade import apply;"
        "from dfbench.media.images import decode_image;"
        "face = decode_image(Path(sys.argv[1]).read_bytes());"
        f"print(hashlib.sha256(b''.join(apply(c, face, {ID!r}).tobytes() for c in sys.argv[2:])).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(HERE / "face.png"), *conditions],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    here = hashlib.sha256(b"".join(apply(c, face, ID).tobytes() for c in conditions)).hexdigest()
    assert done.stdout.strip() == here
    assert not done.stderr, "an encoder talks"


@pytest.mark.parametrize("name", degradation_names())
def test_only_what_draws_depends_on_the_id(face: np.ndarray, name: str) -> None:
    condition = next(c for c in suite() if (c.family, c.severity) == (name, 3))
    one, other = (apply(condition, face, f"a/b/c/d#{i:06d}.0") for i in (1, 2))
    assert (one != other).any() == (name in DRAWN)


def test_all_faces_of_a_frame_see_one_frame(face: np.ndarray) -> None:
    for where, same in (("crop", False), ("source", True), ("clip", True)):
        condition = parse(f"gaussian-noise:sigma=8@{where}")
        first, second = (apply(condition, face, f"a/b/c/d#000001.{i}") for i in (0, 1))
        assert (first == second).all() == same, where


def test_a_frame_is_the_same_alone_and_in_its_clip(face: np.ndarray) -> None:
    clip = [np.roll(face, i, 1) for i in range(3)]
    together = apply_clip("gaussian-noise:sigma=8@clip", clip, "a/b/c/d", 25.0)
    for index, frame in enumerate(clip):
        alone = apply("gaussian-noise:sigma=8@source", frame, f"a/b/c/d#{index:06d}.0")
        assert (together[index] == alone).all()


def test_a_stream_gives_frames_before_the_clip_has_ended(face: np.ndarray) -> None:
    taken = 0

    def frames() -> object:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield face

    next(apply_stream("JP60@clip", frames(), "a/b/c/d", 25.0))
    assert taken == 1
    next(apply_stream("h264:crf=35", frames(), "a/b/c/d", 25.0))
    assert taken < 200


def same_versions() -> bool:
    return all(version(name) == known for name, known in GOLDEN["versions"].items())


def test_the_golden_file_holds_every_degradation_at_every_severity(tool: ModuleType) -> None:
    assert list(GOLDEN["conditions"]) == [c.name for c in tool.golden_conditions()]
    assert {c.name for c in suite()} <= set(GOLDEN["conditions"])


@pytest.mark.parametrize("name", GOLDEN["conditions"])
def test_golden(tool: ModuleType, face: np.ndarray, name: str) -> None:
    known, condition = GOLDEN["conditions"][name], parse(name)
    if condition.where == "clip":
        clip = tool.golden_clip(face)
        result, reference = np.vstack(apply_clip(condition, clip, "a/b/c/d", tool.FPS)), np.vstack(clip)
    else:
        result, reference = apply(condition, face, ID), face
    assert psnr(result, reference) == pytest.approx(known["psnr"], abs=0.3)
    assert result.mean() == pytest.approx(known["mean"], abs=0.5)
    if "sha256" in known and same_versions():
        assert pixel_hash(result) == known["sha256"]
