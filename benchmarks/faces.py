"""Speed and agreement of the face detectors on clips: milliseconds of one core a frame, faces found, landmark distance.

Usage: python benchmarks/faces.py [CLIP_OR_FOLDER ...] [--frames 32] [--repeats 3] [--arm NAME ...] [--json FILE]

Without clips, a public-domain portrait (inside matplotlib) drifts over frames of three sizes. The first arm is the one
that the others are compared with: frames with another number of faces, and the mean distance of the largest face's five
landmarks in percent of the distance between its eyes. Arms take turns; times are medians of process time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfbench.errors import DfbenchError
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.detectors import build_face_detector
from dfbench.media.images import decode_image
from dfbench.media.reader import read

SUFFIXES = (".mp4", ".mkv", ".mpg", ".avi", ".mov", ".webm")
ARMS = ("centerface-full", "centerface")
DRAWN = {
    "1280x720, face 200": (1280, 720, 200),
    "640x480, face 120": (640, 480, 120),
    "1920x1080, face 90": (1920, 1080, 90),
}

Frames = list[np.ndarray]


def drawn(width: int, height: int, face: int, count: int) -> Frames:
    """A portrait whose face is about ``face`` pixels wide, drifting over a plain background."""
    import matplotlib

    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    photo = decode_image(file.read_bytes())
    scale = face / 200
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 110, np.uint8)
        left = min(4 * number, max(0, width - photo.shape[1]))
        part = photo[:height, : width - left]
        frame[: part.shape[0], left : left + part.shape[1]] = part
        frames.append(frame)
    return frames


def load(paths: Sequence[Path], count: int) -> dict[str, Frames]:
    """The frames of clips, evenly spread; without paths, the drawn ones."""
    if not paths:
        return {name: drawn(*size, count) for name, size in DRAWN.items()}
    files = [
        file
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES) if path.is_dir() else [path])
    ]
    clips = {}
    for file in files:
        try:
            reading = read(file, lambda n: np.linspace(0, n - 1, min(n, count)).round().astype(int).tolist())
        except DfbenchError as error:
            sys.stdout.write(f"left out: {error.message}\n")
            continue
        clips[str(file)] = [frame.image for frame in reading.frames.values()]
    return clips


def compare(clips: dict[str, Frames], detectors: dict[str, FaceDetector], repeats: int) -> list[dict[str, Any]]:
    """One line of figures an arm."""
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    found: dict[str, list[list[Face]]] = {}
    frames = sum(map(len, clips.values()))
    for repeat in range(repeats + 1):
        for name, detector in detectors.items():
            start = time.process_time()
            faces = [seen for clip in clips.values() for seen in detector.detect_clip(clip)]
            if repeat:  # the first turn warms the caches
                seconds[name].append(time.process_time() - start)
            found[name] = faces
    first = next(iter(detectors))
    return [figures(name, found[first], found[name], seconds[name], frames) for name in detectors]


def figures(
    name: str, reference: list[list[Face]], faces: list[list[Face]], seconds: list[float], frames: int
) -> dict[str, Any]:
    """What is printed of an arm."""
    distances = [
        100 * distance(ours[0], theirs[0]) for theirs, ours in zip(reference, faces, strict=True) if theirs and ours
    ]
    shown = [bool(seen) for seen in reference]
    kept = [bool(ours) for theirs, ours in zip(reference, faces, strict=True) if theirs]
    return {
        "detector": name,
        "ms_a_frame": 1e3 * statistics.median(seconds) / frames,
        "frames": frames,
        "frames_with_face": sum(map(bool, faces)),
        "recall_of_first": sum(kept) / max(1, sum(shown)),
        "other_number_of_faces": sum(len(a) != len(b) for a, b in zip(reference, faces, strict=True)),
        "landmarks_percent_of_eyes": {
            "median": float(np.median(distances)) if distances else None,
            "p95": float(np.quantile(distances, 0.95)) if distances else None,
        },
    }


def distance(one: Face, other: Face) -> float:
    eyes = np.linalg.norm(other.landmarks[1] - other.landmarks[0])
    return float(np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean() / eyes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--arm", action="append", help="face detector; the first is the one compared with")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    detectors = {name: build_face_detector(name) for name in arguments.arm or ARMS}
    clips = load(arguments.clips, arguments.frames)
    groups = {name: {name: frames} for name, frames in clips.items()} if not arguments.clips else {"all clips": clips}
    results = {}
    for title, group in groups.items():
        results[title] = compare(group, detectors, arguments.repeats)
        for line in results[title]:
            apart = line["landmarks_percent_of_eyes"]
            ratio = results[title][0]["ms_a_frame"] / line["ms_a_frame"]
            sys.stdout.write(
                f"{title}; {line['detector']}: {line['ms_a_frame']:.1f} ms a frame ({ratio:.2f} times), "
                f"faces in {line['frames_with_face']} of {line['frames']} frames, "
                f"recall {line['recall_of_first']:.4f}, other number in {line['other_number_of_faces']}, "
                f"landmarks {apart['median'] or 0:.2f} % apart (p95 {apart['p95'] or 0:.2f})\n"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
