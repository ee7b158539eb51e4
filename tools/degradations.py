"""Measure, document and pin the degradations.

    python tools/degradations.py measure     # mean PSNR at every severity on mini faces -> docs/degradations/psnr.json
    python tools/degradations.py images      # an invented face under each of them       -> docs/degradations/*.webp
    python tools/degradations.py page        # the tables of docs/degradations.md; --check fails if they are out of date
    python tools/degradations.py golden      # tests/degrade/face.png and golden.json

Run ``golden`` only if a change of pixels is intended: it rewrites the values that tests compare with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.degrade import (
    SEVERITIES,
    Condition,
    Degradation,
    apply,
    apply_clip,
    degradation_names,
    get_degradation,
    parse,
    psnr,
    severity_condition,
    suite,
)
from dfbench.faces.base import Face
from dfbench.faces.crops import crop
from dfbench.faces.profiles import get_profile
from dfbench.media.images import decode_image, encode_png, pixel_hash
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.original import make_original
from dfbench.mini.settings import MiniSettings
from dfbench.mini.shape import face_box, five_points

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "degradations.md"
ASSETS = TOP / "docs" / "degradations"
TESTS = TOP / "tests" / "degrade"
PINNED = ("av", "numpy", "opencv-python", "pillow", "scipy")
MARK = "<!-- below: written by tools/degradations.py page -->\n"
FPS = 25.0
PERSON = "071"
"""The invented person of the images and the golden file."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip of an invented person: frames, and the matrix that cuts the face out of each."""

    name: str
    frames: list[Image]
    matrices: list[NDArray[np.float64]]

    def faces(self, frames: list[Image], size: int) -> list[Image]:
        """Return the faces of frames of the clip, cut with its geometry."""
        return [crop(frame, matrix, size) for frame, matrix in zip(frames, self.matrices, strict=True)]


def mini_clips(names: tuple[str, ...], size: int = 128, frames: int = 8) -> Iterator[Clip]:
    """Yield clips of invented people as the forging methods receive them: rendered and encoded once at high quality."""
    settings = MiniSettings(frames=(frames, frames))
    for name in names:
        original = make_original(load_face_model(), name, settings)
        height, width = original.frames[0].shape[:2]
        matrices = []
        for index in original.present:
            points = original.points[index]
            assert points is not None
            face = Face(face_box(points.xy), 1.0, five_points(points.xy))
            matrices.append(get_profile("native").matrix(face, size, width, height))
        yield Clip(name, [original.frames[i] for i in original.present], matrices)


def mean_psnr(clips: list[Clip], condition: Condition, size: int = 128) -> float:
    """Return the mean PSNR of the face crops of all clips under a condition relative to the clean crops."""
    values = []
    for clip in clips:
        clean = clip.faces(clip.frames, size)
        if condition.where == "clip":
            faces = clip.faces(apply_clip(condition, clip.frames, clip.name, FPS), size)
        else:
            faces = [apply(condition, face, f"{clip.name}#{i:06d}.0") for i, face in enumerate(clean)]
        values += [psnr(*pair) for pair in zip(faces, clean, strict=True)]
    return statistics.fmean(values)


def measure(names: tuple[str, ...]) -> dict[str, list[float]]:
    """Return the mean PSNR of every degradation at its severities."""
    clips = list(mini_clips(names))
    return {
        name: [round(mean_psnr(clips, severity_condition(name, level)), 2) for level in SEVERITIES]
        for name in degradation_names()
    }


def images(folder: Path) -> None:
    """Write one strip per degradation: the clean face, then severity 1 to 5; for codecs, cut from the encoded clip."""
    folder.mkdir(parents=True, exist_ok=True)
    (clip,) = mini_clips((PERSON,))
    shown = len(clip.frames) // 2
    face = clip.faces(clip.frames, 128)[shown]
    for name in degradation_names():
        strip = [face]
        for condition in (severity_condition(name, level) for level in SEVERITIES):
            if condition.where == "clip":
                strip.append(clip.faces(apply_clip(condition, clip.frames, clip.name, FPS), 128)[shown])
            else:
                strip.append(apply(condition, face, f"{clip.name}#000000.0"))
        bgr = cv2.cvtColor(np.hstack(strip), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{name}.webp"), bgr, [cv2.IMWRITE_WEBP_QUALITY, 88])


def section(degradation: Degradation, measured: list[float]) -> str:
    """Return the page's section about a degradation."""
    values = [parse(f"{degradation.name}:{degradation.parameters[0].name}={v}") for v in degradation.levels]
    lines = [
        f"### {degradation.name}",
        "",
        f"{degradation.summary[0].upper()}{degradation.summary[1:]}. Group: {degradation.group}. "
        f"Acts {', '.join('@' + stage for stage in degradation.stages)}. Reproducibility: {degradation.deterministic}.",
        "",
        f"![{degradation.name}: clean, then severity 1 to 5](degradations/{degradation.name}.webp)",
        "",
        *(f"- `{p.name}`: {p.meaning}; {p.range}, default {p.default}." for p in degradation.parameters),
        f"- Severities: {degradation.rule}.",
        f"- Source: {degradation.source}.",
        *([f"- {degradation.note}"] if degradation.note else []),
        "",
        "| severity | " + " | ".join(map(str, SEVERITIES)) + " |",
        "|---|" + "---|" * len(SEVERITIES),
        "| condition | " + " | ".join(f"`{condition}`" for condition in values) + " |",
        "| mean PSNR on mini faces, dB | " + " | ".join(f"{value:.1f}" for value in measured) + " |",
        "",
    ]
    return "\n".join(lines)


def page(check: bool) -> int:
    """Write the generated part of the page, or check whether it is up to date."""
    measured = json.loads((ASSETS / "psnr.json").read_text("utf-8"))
    written, _, _ = PAGE.read_text("utf-8").partition(MARK)
    sections = [section(get_degradation(name), measured[name]) for name in degradation_names()]
    text = written + MARK + "\n" + "\n".join(sections)
    if not check:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.read_text("utf-8") == text:
        return 0
    sys.stderr.write("docs/degradations.md is out of date: python tools/degradations.py page\n")
    return 1


def golden_clip(face: Image) -> list[Image]:
    """Return a clip of six frames made from one face: a moving window of odd width."""
    return [np.ascontiguousarray(face[i : i + 100, 2 * i : 2 * i + 99]) for i in range(6)]


def golden_conditions() -> list[Condition]:
    """Return every degradation at every severity; social also on clips."""
    on_clips = [parse(f"social:platform={v}@clip") for v in get_degradation("social").levels]
    return [*suite(), *on_clips, parse("JP60+ME5"), parse("resize:scale=0.5+h264:crf=35")]


def golden(face: Image) -> dict[str, object]:
    """Return for every condition PSNR and mean of the result, and its pixel hash if the bytes are deterministic."""
    values: dict[str, dict[str, object]] = {}
    clip = golden_clip(face)
    for condition in golden_conditions():
        if condition.where == "clip":
            result, reference = np.vstack(apply_clip(condition, clip, "a/b/c/d", FPS)), np.vstack(clip)
        else:
            result, reference = apply(condition, face, "a/b/c/d#000001.0"), face
        values[condition.name] = {"psnr": round(psnr(result, reference), 3), "mean": round(float(result.mean()), 3)}
        if condition.where != "clip":
            values[condition.name]["sha256"] = pixel_hash(result)
    return {"versions": {name: version(name) for name in PINNED}, "conditions": values}


def golden_face() -> Image:
    """Return the face that the golden file is made from."""
    (clip,) = mini_clips((PERSON,))
    return clip.faces(clip.frames, 128)[0]


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("measure", "images", "page", "golden"))
    parser.add_argument("--clips", type=int, default=12, help="mini clips that measure uses")
    parser.add_argument("--check", action="store_true", help="page: write nothing, fail if it is out of date")
    arguments = parser.parse_args()
    if arguments.command == "page":
        return page(arguments.check)
    if arguments.command == "measure":
        values = measure(tuple(f"{37 * i % 1000:03d}" for i in range(arguments.clips)))
        ASSETS.mkdir(parents=True, exist_ok=True)
        (ASSETS / "psnr.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    elif arguments.command == "images":
        images(ASSETS)
    else:
        file = TESTS / "face.png"
        if not file.is_file():  # does not change with the mini data set
            file.write_bytes(encode_png(golden_face()))
        face = decode_image(file.read_bytes())
        (TESTS / "golden.json").write_text(json.dumps(golden(face), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
