from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfbench.errors import DataError, UsageError
from dfbench.media.reader import read
from dfbench.mini import MiniSettings, generate
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.forge import forge
from dfbench.mini.forge.common import Job
from dfbench.mini.original import make_original
from dfbench.mini.plan import official_pairs, plan_clip
from dfbench.mini.settings import MANIPULATIONS
from dfbench.mini.shape import face_box
from dfbench.mini.tree import fake_path, original_path, truth_path

pytestmark = pytest.mark.slow

SMALL = MiniSettings(train_pairs=1, val_pairs=0, test_pairs=1, frames=(4, 6), size=(192, 144), subsets=("raw", "c40"))


def frames_of(path: Path) -> list[np.ndarray]:
    reading = read(path, range)
    return [reading.frames[i].image for i in range(reading.frame_count)]


def clips(root: Path) -> list[Path]:
    return sorted(p.relative_to(root) for p in root.rglob("*.mp4"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp("mini") / "tree", SMALL, workers=1, quiet=True)


def test_tree_has_the_names_of_faceforensics(tree: Path) -> None:
    assert json.loads((tree / "train.json").read_text()) == [["071", "054"]]
    assert json.loads((tree / "val.json").read_text()) == []
    assert len(clips(tree)) == 2 * 2 * 5 * 2
    for pair in official_pairs(SMALL):
        for a, b in ((pair.a, pair.b), (pair.b, pair.a)):
            assert (tree / f"original_sequences/youtube/c40/videos/{a}.mp4").is_file()
            for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
                assert (tree / f"manipulated_sequences/{method}/raw/videos/{a}_{b}.mp4").is_file()


def test_not_republished_a_fake_is_its_original_outside_the_face(tmp_path: Path) -> None:
    chosen = MiniSettings(1, 0, 0, frames=(4, 6), size=(192, 144), subsets=("raw",), republished=False)
    root = generate(tmp_path / "tree", chosen, workers=1, quiet=True)
    with np.load(root / truth_path("real", "071")) as truth:
        boxes = truth["boxes"][:, 0]
    originals = frames_of(root / original_path("raw", "071"))
    for method in MANIPULATIONS:
        fakes = frames_of(root / fake_path(method, "raw", "071", "054"))
        assert len(fakes) == len(originals)
        inside, outside = [], []
        for fake, original, box in zip(fakes, originals, boxes, strict=True):
            changed = cv2.absdiff(fake, original).mean(axis=2)
            x0, y0, x1, y1 = (int(v) for v in np.clip(box + np.array([-12, -12, 12, 12]), 0, 192))
            inside.append(changed[y0:y1, x0:x1].mean())
            changed[y0:y1, x0:x1] = 0
            outside.append(changed.max())
        assert np.mean(inside) > 1
        assert max(outside) <= 3, "codec noise at most: the raw subset is lossless but for its chroma"


def test_marker_tells_what_it_is(tree: Path) -> None:
    marker = json.loads((tree / "mini.json").read_text())
    assert marker["complete"] is True
    assert marker["faces"] == "invented"
    assert marker["settings"]["train_pairs"] == 1
    assert len(marker["face_model"]["sha256"]) == 64


def test_fakes_differ_in_the_face_alone() -> None:
    model, pair = load_face_model(), official_pairs(SMALL)[0]
    a, b = make_original(model, pair.a, SMALL), make_original(model, pair.b, SMALL)
    assert len(a.frames) == plan_clip(pair.a, SMALL).frames
    for method in MANIPULATIONS:
        fake = list(forge(method, Job(model, a, b, SMALL.seed)))
        assert len(fake) == len(a.frames)
        for before, after, points in zip(a.frames, fake, a.points, strict=True):
            if points is None:
                assert after is None
                continue
            assert after is not None
            changed = (np.abs(before.astype(int) - after.image).max(axis=2) > 0).nonzero()
            x1, y1, x2, y2 = face_box(points.xy)
            margin = 0.25 * (x2 - x1)
            assert len(changed[0]) > 300
            assert changed[1].min() > x1 - margin
            assert changed[1].max() < x2 + margin
            assert changed[0].min() > y1 - margin
            assert changed[0].max() < y2 + margin


def test_real_and_fake_are_framed_each_for_itself(tree: Path) -> None:
    pair = official_pairs(SMALL)[0]
    names = [("real", pair.a), *((method, f"{pair.a}_{pair.b}") for method in MANIPULATIONS)]
    eyes = []
    for manipulation, name in names:
        with np.load(tree / truth_path(manipulation, name)) as truth:
            marks = truth["landmarks"][truth["visible"][:, 0], 0]
        eyes.append(np.hypot(*(marks[0, 1] - marks[0, 0])))
    assert len({round(float(eye), 2) for eye in eyes}) == len(names)
    real = frames_of(tree / original_path("raw", pair.a))[0].astype(int)
    for method in MANIPULATIONS:
        fake = frames_of(tree / fake_path(method, "raw", pair.a, pair.b))[0]
        assert fake.shape == real.shape
        # Not even a corner of the background is the same.
        assert np.abs(real - fake)[:40, :40].mean() > 0.3


def test_ground_truth_lies_in_the_boxes(tree: Path) -> None:
    files = sorted((tree / "ground_truth").rglob("*.npz"))
    assert len(files) == 2 * 2 * 5
    for file in files:
        with np.load(file) as truth:
            marks, boxes, visible = truth["landmarks"], truth["boxes"], truth["visible"]
        assert marks.shape == (*visible.shape, 5, 2)
        assert np.isfinite(marks[visible]).all()
        assert np.isnan(marks[~visible]).all()
        left_eye, right_eye, nose, left_mouth, right_mouth = np.moveaxis(marks[visible], 1, 0)
        assert (left_eye[:, 0] < right_eye[:, 0]).all()
        assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
        assert (nose[:, 1] > left_eye[:, 1]).all()
        assert (left_mouth[:, 1] > nose[:, 1]).all()
        assert (marks[visible] > boxes[visible][:, None, :2]).all()
        assert (marks[visible] < boxes[visible][:, None, 2:]).all()


def test_two_jobs_and_one_job_decode_alike(tree: Path, tmp_path: Path) -> None:
    other = generate(tmp_path / "two", SMALL, workers=2, quiet=True)
    assert clips(other) == clips(tree)
    for clip in clips(tree):
        assert all(
            np.array_equal(a, b) for a, b in zip(frames_of(tree / clip), frames_of(other / clip), strict=True)
        ), clip


def test_a_finished_tree_is_reused(tree: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in tree.rglob("*") if p.is_file()}
    assert generate(tree, SMALL, quiet=True) == tree
    assert {p: p.stat().st_mtime_ns for p in tree.rglob("*") if p.is_file()} == before


def test_only_what_is_missing_is_made_again(tree: Path) -> None:
    lost = tree / fake_path("FaceSwap", "raw", "071", "054")
    content = frames_of(lost)
    kept = tree / fake_path("Deepfakes", "raw", "071", "054")
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    (lost.parent / ".tmp-071_054.mp4-123-0").write_bytes(b"half")
    generate(tree, SMALL, workers=1, quiet=True)
    assert all(np.array_equal(a, b) for a, b in zip(frames_of(lost), content, strict=True))
    assert kept.stat().st_mtime_ns == stamp
    assert not list(tree.rglob(".tmp-*"))


def test_other_settings_in_the_same_folder_are_refused(tree: Path) -> None:
    with pytest.raises(UsageError, match="other settings") as caught:
        generate(tree, MiniSettings(train_pairs=1, val_pairs=0, test_pairs=1), quiet=True)
    assert '"seed": 0' in caught.value.hint


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_text("x")
    with pytest.raises(DataError, match="is not a mini data set"):
        generate(tmp_path, SMALL, quiet=True)
    with pytest.raises(DataError, match="not a folder"):
        generate(tmp_path / "photos.zip", SMALL, quiet=True)
    with pytest.raises(UsageError, match="workers"):
        generate(tmp_path / "new", SMALL, workers=0, quiet=True)


def test_a_broken_marker_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mini.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        generate(tmp_path, SMALL, quiet=True)


def test_another_seed_gives_other_people(tree: Path, tmp_path: Path) -> None:
    other = MiniSettings(
        train_pairs=1,
        val_pairs=0,
        test_pairs=0,
        frames=(4, 6),
        size=(192, 144),
        subsets=("raw",),
        seed=1,
        manipulations=(),
    )
    root = generate(tmp_path / "seed", other, workers=1, quiet=True)
    a, b = frames_of(tree / original_path("raw", "071"))[0], frames_of(root / original_path("raw", "071"))[0]
    assert np.abs(a.astype(int) - b).mean() > 5


def test_killed_and_continued_decodes_alike(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    program = (
        "from pathlib import Path; from dfbench.mini import MiniSettings, generate;"
        f"generate(Path({str(root)!r}), MiniSettings(**{SMALL.to_json()!r}), workers=1, quiet=True)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen([sys.executable, "-c", program], env=env)
    for _ in range(600):
        if len(list(root.rglob("*.mp4"))) >= 3 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 3 <= len(clips(root)) < len(clips(tree))
    assert json.loads((root / "mini.json").read_text())["complete"] is False
    generate(root, SMALL, workers=1, quiet=True)
    for clip in clips(tree):
        assert all(np.array_equal(a, b) for a, b in zip(frames_of(tree / clip), frames_of(root / clip), strict=True)), (
            clip
        )
