"""Speed of the frame reader against plain sequential decoding with PyAV, as a ratio within one run.

Usage: python benchmarks/reader.py [--repeats 5] [--clip FILE ...]

Without ``--clip``, clips are encoded first: moving texture with grain, at two sizes and two rates of keyframes.
Both ways decode with one thread and convert the wanted frames alone; they take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from dfbench.media.encode import write_clip
from dfbench.media.reader import read

CLIPS = {
    "1280x720, 300 frames, crf 23, keyframe every 250": (1280, 720, 300, 23, 250),
    "1280x720, 300 frames, crf 23, keyframe every 30": (1280, 720, 300, 23, 30),
    "640x480, 300 frames, crf 23, keyframe every 250": (640, 480, 300, 23, 250),
}


def spread(frames: int) -> Callable[[int], list[int]]:
    return lambda count: np.linspace(0, count - 1, frames).round().astype(int).tolist()


JOBS: dict[str, Callable[[int], Sequence[int]]] = {
    "8 frames": spread(8),
    "32 frames": spread(32),
    "every 30th, at most 10": lambda count: list(range(0, count, 30))[:10],
}


def grainy(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """An image that pans under grain that changes with every frame."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 12, width // 12, 3), np.uint8)
    canvas = cv2.resize(small, (width + 2 * count, height + count), interpolation=cv2.INTER_CUBIC)
    for i in range(count):
        view = canvas[i : i + height, 2 * i : 2 * i + width]
        grain = rng.normal(0, 3, (height // 2, width // 2, 1)).repeat(2, 0).repeat(2, 1)
        yield np.clip(view + grain, 0, 255).astype(np.uint8)


def sequential(path: Path, choose: Callable[[int], Sequence[int]], count: int) -> dict[int, np.ndarray]:
    """Decode from the start to the last wanted frame, and convert the wanted ones."""
    numbers = set(choose(count))
    frames: dict[int, np.ndarray] = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        for number, frame in enumerate(container.decode(stream)):
            if number in numbers:
                frames[number] = frame.to_ndarray(format="rgb24")
                if len(frames) == len(numbers):
                    break
    return frames


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(path: Path, title: str, repeats: int) -> list[float]:
    """Print one line a job and return the ratios."""
    ratios = []
    for job, choose in JOBS.items():
        reading = read(path, choose)
        plain = sequential(path, choose, reading.frame_count)
        same = plain.keys() == reading.frames.keys() and all(
            np.array_equal(plain[i], f.image) for i, f in reading.frames.items()
        )
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(seconds(lambda choose=choose: read(path, choose)))
            theirs.append(seconds(lambda choose=choose, n=reading.frame_count: sequential(path, choose, n)))
        ratio = statistics.median(theirs) / statistics.median(ours)
        ratios.append(ratio)
        sys.stdout.write(
            f"{title}; {job}: {reading.mode}, {statistics.median(ours) * 1e3:.0f} ms against "
            f"{statistics.median(theirs) * 1e3:.0f} ms, {ratio:.2f} times as fast, "
            f"frames {'identical' if same else 'DIFFERENT'}\n"
        )
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clip", type=Path, action="append", default=[], help="measure on this clip instead")
    arguments = parser.parse_args()
    ratios: list[float] = []
    if arguments.clip:
        for path in arguments.clip:
            ratios += compare(path, path.name, arguments.repeats)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            for title, (width, height, count, crf, interval) in CLIPS.items():
                write_clip(path, grainy(width, height, count), 25, crf, keyframe_interval=interval)
                ratios += compare(path, title, arguments.repeats)
    low, high = min(ratios), max(ratios)
    sys.stdout.write(f"median {statistics.median(ratios):.2f} times as fast ({low:.2f} to {high:.2f})\n")


if __name__ == "__main__":
    main()
