"""A plan tells what a run takes before it starts, for the largest data sets in seconds and little memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dfbench.cli.main import run_command
from dfbench.cli.preparation_summary import inventory
from dfbench.datasets.adapter import Scan
from dfbench.preparation.planning.estimate import (
    READ_SECONDS_PER_CLIP,
    TRIAL_SECONDS,
    ClipCosts,
    assumed_costs,
    detected_rows,
    detector_seconds,
    estimate,
    planned_rows,
    row_bytes,
)
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.preparation.prepare import prepare, resolve_preparation
from dfbench.preparation.probe import probe_clip
from dfbench.schema.media import Media

pytestmark = pytest.mark.slow

MANY = """
import sys, time
from pathlib import Path
from dfbench.datasets.adapter import Scan
from dfbench.datasets.registry import get_adapter
from dfbench.preparation.planning.estimate import ClipCosts, estimate, planned_rows
from dfbench.preparation.planning.job_array import plan_hash
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.shard_plan import plan_shards
from dfbench.schema.media import Media

def scan(self, root, *filters):
    media = []
    for part in range(50):
        for n in range(2600):
            fake = n % 5 != 0
            name, base = f"dfdc_train_part_{part}/{n:010x}", f"{part:02d}{n // 5:08x}"
            media.append(Media("dfdc", "all", "fake" if fake else "real", name, int(fake), "train", f"dfdc/{base}",
                               f"{name}.mp4", base_media_id=f"dfdc/all/real/{base}" if fake else None))
    return Scan(root, tuple(media), {}, {}, {})

recipe = make_recipe(PreparationRequest("dfdc"))
type(get_adapter("dfdc")).scan = scan
begun = time.process_time()
plan = plan_shards(recipe, Path(sys.argv[1]))
rows = sum(planned_rows(recipe, shard) for shard in plan.shards)
found = estimate(recipe, len(plan.scan.media), rows, 8, ClipCosts(0.7, 0.02, None))
assert len({shard.hash for shard in plan.shards}) == len(plan.shards) and plan_hash(plan.shards)
print(len(plan.scan.media), rows, round(found.seconds), time.process_time() - begun,
      # Not ru_maxrss, which a child inherits from the process that started it.
      next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_plan_for_130_000_media(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    media, rows, seconds, taken, megabytes = (float(word) for word in done.stdout.split())
    assert (media, rows) == (130_000, 130_000 * 32)
    assert 3600 < seconds < 10 * 86_400
    assert taken < 30
    assert megabytes < 500


def media(name: str, manipulation: str = "real") -> Media:
    label = int(manipulation != "real")
    return Media("ff++", "c23", manipulation, name, label, "test", f"ff++/{name}", f"{manipulation}/{name}.mp4")


def fake(name: str, base: str) -> Media:
    group = "ff++/000"
    return replace(media(name, "FaceSwap"), base_media_id=f"ff++/c23/real/{base}", scene_group=group)


def test_have_missing_extra_expected():
    found = (media("000"), media("001"), media("002"), media("000_003", "FaceSwap"), media("x", "Unknown"))
    expected = {"c23": {"test": {"real": {"real": 2}, "fake": {"FaceSwap": 3, "Deepfakes": 4}}}}
    missing = {"c23": {"test": {"real": {"real": 1}, "fake": {"FaceSwap": 2, "Deepfakes": 4}}}}
    rows = inventory(Scan(Path(), found, expected, missing, {}))
    assert rows == [
        ("c23", "test", "fake", "Deepfakes", 0, 4, 0, 4),
        ("c23", "test", "fake", "FaceSwap", 1, 2, 0, 3),
        ("c23", "test", "fake", "Unknown", 1, 0, 1, 0),
        ("c23", "test", "real", "real", 3, 1, 2, 2),
    ]
    assert inventory(Scan(Path(), found[:1], {}, {}, {})) == [("c23", "test", "real", "real", 1, "-", "-", "-")]


COSTS = ClipCosts(read=0.7, detect=0.02, crop=0.006)


def test_the_estimate_grows_with_the_work_and_shrinks_with_the_workers():
    recipe = make_recipe(PreparationRequest("ff++", sizes=(128, 224)))
    one = estimate(recipe, 100, 3200, 1, COSTS)
    assert one.seconds == pytest.approx(100 * 0.7 + 3200 * (0.02 + 0.006))
    assert one.clips_per_second == pytest.approx(100 / one.seconds)
    assert estimate(recipe, 100, 3200, 4, COSTS).seconds == pytest.approx(one.seconds / 4)
    assert estimate(recipe, 200, 6400, 1, COSTS).bytes == 2 * one.bytes
    assert estimate(recipe, 0, 0, 4, COSTS).seconds == 0
    small = make_recipe(PreparationRequest("ff++", sizes=(64,)))
    assert estimate(small, 100, 3200, 1, COSTS).bytes < one.bytes / 4
    unknown = replace(COSTS, crop=None)  # no face was found in the clip that was measured
    assert estimate(small, 100, 3200, 1, unknown).seconds < estimate(recipe, 100, 3200, 1, unknown).seconds
    assert planned_rows(recipe, Shard(0, (media("000"), media("001")))) == 64
    every = make_recipe(PreparationRequest("ff++", every=10))
    assert planned_rows(every, Shard(0, (media("000"),)), frames=95) == 10
    assert planned_rows(recipe, Shard(0, (media("000"),)), frames=95) == 32


def test_costs_are_assumed_from_a_trial_of_the_face_detector(monkeypatch):
    recipe = make_recipe(PreparationRequest("ff++", sizes=(128, 224)))
    assert 0.001 < detector_seconds(recipe) < 5
    monkeypatch.setattr("dfbench.preparation.planning.estimate.detector_seconds", lambda _: TRIAL_SECONDS)
    usual = assumed_costs(recipe)
    assert usual.read == pytest.approx(READ_SECONDS_PER_CLIP)
    # One search of a frame, which is all that a frame with a face needs, took 0.045 s.
    assert usual.detect < 0.045 < assumed_costs(replace(recipe, face_detector="centerface-full")).detect
    monkeypatch.setattr("dfbench.preparation.planning.estimate.detector_seconds", lambda _: 2 * TRIAL_SECONDS)
    slow = assumed_costs(recipe)  # a machine of half the speed
    assert (slow.read, slow.detect, slow.crop) == pytest.approx((2 * usual.read, 2 * usual.detect, 2 * usual.crop))


def test_with_shared_geometry_only_bases_are_looked_at():
    pair = (media("000"), replace(media("003"), scene_group="ff++/000"), fake("000_003", "000"), fake("003_000", "003"))
    lone = (replace(fake("010_011", "010"), scene_group="ff++/010"), replace(media("011"), scene_group="ff++/010"))
    own, shared = (make_recipe(PreparationRequest("ff++", geometry=g, frames=10)) for g in ("own", "shared"))
    assert detected_rows(own, [Shard(0, pair), Shard(1, lone)]) == 60
    assert detected_rows(shared, [Shard(0, pair)]) == 20
    assert detected_rows(shared, [Shard(0, pair), Shard(1, lone)]) == 40  # without its base a fake finds its own
    assert detected_rows(own, [Shard(0, (replace(media("000"), cropped=True),))]) == 0
    full, less = (estimate(own, 4, 40, 1, COSTS, n).seconds for n in (40, 20))
    assert 0 < less < full == estimate(own, 4, 40, 1, COSTS).seconds


def test_dry_run_of_a_part_counts_the_part(tree, tmp_path, capsys):
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(tmp_path / "m"), "--frames", "4", "--size", "64"]
    clips, shards = [], []
    for part in ("1/2", "2/2"):
        assert run_command([*words, "--dry-run", "--workers", "1", "--array", part]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.endswith(f"shards (part {part[0]} of 2)")
        clips.append(int(last.split()[2]))
        shards.append(int(last.split()[-6]))
    assert sum(clips) == 18
    assert min(clips) > 0
    assert shards == [1, 1]


def test_the_estimated_disk_is_about_what_is_used(tree, tmp_path):
    made = prepare("ff++", tree, tmp_path / "m", frames=4, sizes=[64, 128], workers=1, quiet=True)
    used = sum((made.path / shard.file).stat().st_size for shard in made.info.shards)
    rows = sum(shard.rows for shard in made.info.shards)
    assert 0.6 < rows * row_bytes((64, 128)) / used < 1.7


def test_dry_run_counts_what_is_finished(tree, tmp_path, capsys):
    out = tmp_path / "m"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "4", "--size", "64"]
    made = prepare("ff++", tree, out, frames=4, sizes=[64], workers=1, quiet=True)
    (out / made.info.shards[0].file).unlink()
    assert run_command([*words, "--dry-run", "--workers", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["subset", "split", "label", "manipulation", "have", "missing", "extra", "expected"] in map(str.split, lines)
    assert ["c23", "val", "fake", "FaceSwap", "2", "138", "0", "140"] in map(str.split, lines)
    assert any(line.startswith("already finished: ") and line.endswith(" of 18 clips") for line in lines)
    (told,) = (line for line in lines if line.startswith("estimate: "))
    assert "with 2 workers" in told
    assert "of disk space, measured on ff++/c23/" in told
    assert "(320x240 pixels, 1" in told
    assert "would prepare 18 clips" in lines[-1]
    assert "at most 72 rows" in lines[-1]


def test_one_clip_is_measured(tree):
    plan = resolve_preparation("ff++", tree, frames=4, sizes=[64], manipulations=["FaceSwap"]).shards
    probe = probe_clip(plan, plan.shards)
    assert probe.problem == ""
    assert probe.media_id in {m.media_id for m in plan.scan.media}
    assert (probe.width, probe.height) == (320, 240)
    assert probe.frame_count in (12, 13)
    assert probe.faces == 1
    assert probe.costs is not None
    assert all(0 < seconds < 30 for seconds in (probe.costs.read, probe.costs.detect, probe.costs.crop))


def test_a_dry_run_without_a_clip_that_opens_says_so(pair_tree, tmp_path, capsys):
    root = pair_tree()
    for clip in root.rglob("*.mp4"):
        clip.write_bytes(b"not a clip")
    words = ["prepare", "ff++", "--root", str(root), "--out", str(tmp_path / "m"), "--dry-run", "--workers", "1"]
    assert run_command(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("warning: ff++/c23/") and "could not be opened for the estimate" in line for line in lines
    )
    (told,) = (line for line in lines if line.startswith("estimate: "))
    assert told.endswith("for clips of 1280x720 pixels and 300 frames (none was measured)")
    assert not (tmp_path / "m").exists()
