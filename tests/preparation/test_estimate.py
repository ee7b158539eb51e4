"""A plan tells what a run takes before it starts, for the largest data sets in seconds and little memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dfbench.cli.main import run_command
from dfbench.cli.plan import inventory
from dfbench.datasets.adapter import Scan
from dfbench.preparation.planning.estimate import (
    DECODE_SECONDS_PER_CLIP,
    TRIAL_SECONDS,
    detected_rows,
    detector_seconds,
    estimate,
    planned_rows,
    row_bytes,
)
from dfbench.preparation.planning.request import Request, resolve
from dfbench.preparation.planning.sharding import Shard
from dfbench.preparation.prepare import prepare
from dfbench.schema.media import Media

MANY = """
import sys, time
from pathlib import Path
from dfbench.datasets.adapter import Scan
from dfbench.preparation import prepare as room
from dfbench.preparation.planning.estimate import estimate, planned_rows
from dfbench.preparation.planning.job_array import plan_hash
from dfbench.preparation.planning.request import Request, resolve
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

recipe = resolve(Request("dfdc"))
type(room.get_adapter("dfdc")).scan = scan
begun = time.perf_counter()
plan = room.make_plan(recipe, Path(sys.argv[1]))
rows = sum(planned_rows(recipe, shard) for shard in plan.shards)
found = estimate(recipe, len(plan.scan.media), rows, 8, 0.05)
assert len({shard.hash for shard in plan.shards}) == len(plan.shards) and plan_hash(plan.shards)
print(len(plan.scan.media), rows, round(found.seconds), time.perf_counter() - begun,
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


def test_the_estimate_grows_with_the_work_and_shrinks_with_the_workers():
    recipe = resolve(Request("ff++", sizes=(128, 224)))
    one = estimate(recipe, 100, 3200, 1, TRIAL_SECONDS)
    assert estimate(recipe, 100, 3200, 4, TRIAL_SECONDS).seconds == pytest.approx(one.seconds / 4)
    assert estimate(recipe, 200, 6400, 1, TRIAL_SECONDS).bytes == 2 * one.bytes
    full = estimate(replace(recipe, face_detector="centerface-full"), 100, 3200, 1, TRIAL_SECONDS)
    assert full.seconds > 100 * DECODE_SECONDS_PER_CLIP + 3200 * TRIAL_SECONDS
    assert 100 * DECODE_SECONDS_PER_CLIP < one.seconds < full.seconds  # it looks less closely within a clip
    assert estimate(recipe, 100, 3200, 1, 2 * TRIAL_SECONDS).seconds == pytest.approx(2 * one.seconds)
    assert estimate(recipe, 0, 0, 4, TRIAL_SECONDS).seconds == 0
    assert estimate(resolve(Request("ff++", sizes=(64,))), 100, 3200, 1, TRIAL_SECONDS).bytes < one.bytes / 4
    assert planned_rows(recipe, Shard(0, (media("000"), media("001")))) == 64
    assert 0.001 < detector_seconds(recipe) < 5


def test_with_shared_geometry_only_bases_are_looked_at():
    pair = (media("000"), replace(media("003"), scene_group="ff++/000"), fake("000_003", "000"), fake("003_000", "003"))
    lone = (replace(fake("010_011", "010"), scene_group="ff++/010"), replace(media("011"), scene_group="ff++/010"))
    own, shared = (resolve(Request("ff++", geometry=g, frames=10)) for g in ("own", "shared"))
    assert detected_rows(own, [Shard(0, pair), Shard(1, lone)]) == 60
    assert detected_rows(shared, [Shard(0, pair)]) == 20
    assert detected_rows(shared, [Shard(0, pair), Shard(1, lone)]) == 40  # without its base a fake finds its own
    assert detected_rows(own, [Shard(0, (replace(media("000"), cropped=True),))]) == 0
    full, less = (estimate(own, 4, 40, 1, TRIAL_SECONDS, n).seconds for n in (40, 20))
    assert 0 < less < full == estimate(own, 4, 40, 1, TRIAL_SECONDS).seconds


def test_dry_run_of_a_part_counts_the_part(tree, tmp_path, capsys):
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(tmp_path / "m"), "--frames", "4", "--size", "64"]
    clips, shards = [], []
    for part in ("1/2", "2/2"):
        assert run_command([*words, "--dry-run", "--jobs", "1", "--shards", part]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.endswith(f"shards (part {part[0]} of 2)")
        clips.append(int(last.split()[2]))
        shards.append(int(last.split()[-6]))
    assert sum(clips) == 18
    assert min(clips) > 0
    assert shards == [1, 1]


def test_the_estimated_disk_is_about_what_is_used(tree, tmp_path):
    made = prepare("ff++", tree, tmp_path / "m", frames=4, sizes=[64, 128], jobs=1, quiet=True)
    used = sum((made.path / shard.file).stat().st_size for shard in made.info.shards)
    rows = sum(shard.rows for shard in made.info.shards)
    assert 0.6 < rows * row_bytes((64, 128)) / used < 1.7


def test_dry_run_counts_what_is_finished(tree, tmp_path, capsys):
    out = tmp_path / "m"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "4", "--size", "64"]
    made = prepare("ff++", tree, out, frames=4, sizes=[64], jobs=1, quiet=True)
    (out / made.info.shards[0].file).unlink()
    assert run_command([*words, "--dry-run", "--jobs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["subset", "split", "label", "manipulation", "have", "missing", "extra", "expected"] in map(str.split, lines)
    assert ["c23", "val", "fake", "FaceSwap", "2", "138", "0", "140"] in map(str.split, lines)
    assert any(line.startswith("finished already: ") and line.endswith(" of 18 clips") for line in lines)
    assert any(line.startswith("estimate: ") and "with 2 workers" in line and "of disk" in line for line in lines)
    assert "would prepare 18 clips" in lines[-1]
    assert "at most 72 rows" in lines[-1]
