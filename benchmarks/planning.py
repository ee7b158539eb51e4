"""Time and memory to plan a million media: a tree of empty files in DFDC's layout is listed and cut into shards.

    python benchmarks/planning.py [--media 1000000] [--work DIR] [--json FILE]

No medium is opened. The plan runs in a process of its own: CPU seconds, wall seconds and peak memory of importing
dfbench, listing the tree, selecting, cutting and hashing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CLIPS_PER_PART = 2500
FAKES_PER_REAL = 4

PROGRAM = """
import json, resource, sys, time
from dfbench.preparation.prepare import resolve_preparation
cpu, wall = time.process_time(), time.perf_counter()
plan = resolve_preparation("dfdc", root=sys.argv[1], out=sys.argv[2], workers=1, **json.loads(sys.argv[3]))
shards = plan.shards.shards
from dfbench.preparation.planning.job_array import plan_hash
digest = plan_hash(shards)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "media": sum(len(shard.media) for shard in shards), "shards": len(shards), "plan": digest,
    "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
}))
"""


def make_tree(root: Path, media: int) -> Path:
    """Write empty clips and their label files; parts that are there are kept."""
    for part in range(-(-media // CLIPS_PER_PART)):
        folder = root / f"dfdc_train_part_{part}"
        if (folder / "metadata.json").is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        labels = {}
        for number in range(min(CLIPS_PER_PART, media - part * CLIPS_PER_PART)):
            name = f"clip{part:04d}x{number:04d}.mp4"
            original = f"clip{part:04d}x{number - number % (FAKES_PER_REAL + 1):04d}.mp4"
            fake = name != original
            labels[name] = {"label": "FAKE", "split": "train", "original": original} if fake else {"label": "REAL"}
            (folder / name).touch()
        (folder / "metadata.json").write_text(json.dumps(labels), encoding="utf-8")
    return root


def planned(root: Path, out: Path, **options: object) -> dict[str, object]:
    """The figures of one plan in a process of its own."""
    words = [sys.executable, "-c", PROGRAM, str(root), str(out), json.dumps(options)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, help="keeps the tree; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = make_tree((given.work or Path(folder)) / f"tree-{given.media}", given.media)
        figures = planned(root, Path(folder) / "m")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
