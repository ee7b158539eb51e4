"""CPU time of generating the mini data set, and its ratio to another version of dfbench in the same run.

    python benchmarks/mini_generation.py                               # CPU seconds a pair, for this machine only
    git worktree add /tmp/before COMMIT
    python benchmarks/mini_generation.py --against /tmp/before         # the ratio, for any machine

Each version runs in a process of its own, with one thread; they take turns, pair by pair, so that other load of the
machine affects both alike. Clips are equally long in both: 13 frames, the mean of the default, at c23 and c40. The CPU
time of the process counts; loading the face model and the first pair do not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]

WORKER = """
import sys, time
from pathlib import Path
from dfbench.mini import MiniSettings, tree
from dfbench.mini.pair import make_pair
from dfbench.mini.plan import official_pairs

root, frames = Path(sys.argv[1]), int(sys.argv[2])
settings = MiniSettings(train_pairs=70, val_pairs=0, test_pairs=0, frames=(frames, frames), seed=5)
tree.make_folders(root, settings)
pairs = official_pairs(settings)
for line in sys.stdin:
    start = time.process_time()
    make_pair(root, pairs[int(line)], settings)
    print(time.process_time() - start, flush=True)
"""


class Version:
    """A process that generates pairs with the dfbench of a folder."""

    def __init__(self, source: Path, out: Path, frames: int) -> None:
        env = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        words = [sys.executable, "-c", WORKER, str(out), str(frames)]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=source
        )
        self.seconds: list[float] = []

    def make(self, pair: int) -> None:
        """Generate a pair of the training split; the first one is not counted."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{pair}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a version of dfbench failed; its error is above")
        if pair > 0:
            self.seconds.append(float(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="folder of another version of dfbench")
    parser.add_argument("--pairs", type=int, default=8, help="pairs to measure, at most 69")
    parser.add_argument("--frames", type=int, default=13, help="length of every clip")
    options = parser.parse_args()
    sources = [HERE, *([options.against.resolve()] if options.against else [])]
    with tempfile.TemporaryDirectory() as scratch:
        versions = [Version(source, Path(scratch) / str(n), options.frames) for n, source in enumerate(sources)]
        for pair in range(options.pairs + 1):
            for version in versions:
                version.make(pair)
        for version in versions:
            version.process.communicate()
    for version, source in zip(versions, sources, strict=True):
        print(f"{statistics.mean(version.seconds):.2f} CPU seconds a pair: {source}")
    if options.against:
        here, other = versions
        ratios = [a / b for a, b in zip(other.seconds, here.seconds, strict=True)]
        print(
            f"this version is {sum(other.seconds) / sum(here.seconds):.2f} times as fast "
            f"({min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} pairs)"
        )


if __name__ == "__main__":
    main()
