"""How far the masks from two sets of dense landmarks agree on portraits, and what their patches cover.

Usage: python benchmarks/hulls.py FOLDER [--arm NAME[=MODEL] ...] [--every N] [--json FILE]

An arm is a landmark provider and, where it needs one, its model file. The masks of the first arm are compared with
those of the others, from 68 parts each: intersection over union, as Markdown tables. docs/sbi.md has those of mediapipe
and dlib-68 on 207 official portraits in the public domain (github.com/unitedstates/images, congress/450x550). Arms
whose file or package is missing are left out, and named.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfbench.errors import DfbenchError, SetupError
from dfbench.faces.base import Face
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.hulls import HULLS, face_mask
from dfbench.faces.landmark_sets import PARTS, common_landmarks
from dfbench.faces.landmarks import LandmarkProvider, build_landmark_provider, checked_landmarks
from dfbench.faces.regions import covers, face_region, landmark_region
from dfbench.media.images import decode_image
from dfbench.preparation.extraction.patches import patch_box

ARMS = ("dlib-68", "mediapipe", "average-face")
SUFFIXES = (".jpg", ".jpeg", ".png")
WHOLE = "hull"
FOREHEAD = "hull with the forehead line"

Masks = dict[str, np.ndarray]


@dataclass
class Arm:
    """What is known of a provider.

    Attributes:
        masks: number of a portrait -> its masks by kind, from 68 parts, and :data:`FOREHEAD` where there is that line.
        covered: number of portraits whose patch covers the regions of the crops.
    """

    masks: dict[int, Masks] = field(default_factory=dict)
    covered: int = 0

    def add(self, number: int, image: np.ndarray, face: Face, provider: LandmarkProvider) -> None:
        """Make the masks of a portrait."""
        found = checked_landmarks(provider, image, face)
        if found is None:
            return
        height, width = image.shape[:2]
        points = common_landmarks(found)
        masks = {kind: face_mask(points[:PARTS], height, width, kind) for kind in HULLS}
        if len(points) > PARTS:
            masks[FOREHEAD] = face_mask(points, height, width, WHOLE)
        regions = landmark_region(points, height, width), face_region(face.box, height, width)
        self.covered += all(covers(patch_box(face, width, height), region) for region in regions)
        self.masks[number] = masks

    def sizes(self) -> dict[str, float]:
        """Mean size of each kind of mask, in sizes of the hull of the 68 parts of the same face."""
        kinds = next(iter(self.masks.values()), {})
        return {
            kind: float(np.mean([masks[kind].sum() / masks[WHOLE].sum() for masks in self.masks.values()]))
            for kind in kinds
            if kind != WHOLE
        }


def measure(files: list[Path], providers: dict[str, LandmarkProvider]) -> tuple[dict[str, Arm], int]:
    """The masks of every arm, and the number of portraits in which a face was found."""
    detector = build_face_detector()
    arms = {name: Arm() for name in providers}
    shown = 0
    for number, file in enumerate(files):
        image = decode_image(file.read_bytes())
        faces = detector.detect([image])[0]
        if not faces:
            continue
        shown += 1
        for name, provider in providers.items():
            arms[name].add(number, image, faces[0], provider)
    return arms, shown


def overlaps(first: Arm, other: Arm) -> dict[str, np.ndarray]:
    """Intersection over union of each kind of mask, of the portraits where both arms have one.

    The hull with the forehead line is compared with the first arm's hull of 68 parts.
    """
    both = [(first.masks[number], masks) for number, masks in other.masks.items() if number in first.masks]
    kinds = both[0][1] if both else {}
    return {
        kind: np.array([_overlap(one[WHOLE if kind == FOREHEAD else kind], masks[kind]) for one, masks in both])
        for kind in kinds
    }


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def table(values: dict[str, np.ndarray]) -> str:
    """The overlaps as Markdown."""
    lines = ["| kind | mean | median | 5th percentile | least |", "|---|---|---|---|---|"]
    for kind, found in values.items():
        numbers = (found.mean(), np.median(found), np.quantile(found, 0.05), found.min())
        lines.append(f"| {kind} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    return "\n".join(lines)


def built(words: list[str]) -> dict[str, LandmarkProvider]:
    """The providers of the arms whose files and packages are there; the others are named."""
    providers: dict[str, LandmarkProvider] = {}
    for word in words:
        name, _, model = word.partition("=")
        try:
            providers[name] = build_landmark_provider(name, model or None)
        except SetupError as error:
            sys.stdout.write(f"left out: {name}: {error.message}; {error.hint}; here: --arm {name}=MODEL\n")
    return providers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="portraits, one face each")
    parser.add_argument("--arm", action="append", help="NAME or NAME=MODEL; the first is the one compared with")
    parser.add_argument("--every", type=int, default=1, help="take every n-th portrait")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    files = sorted(file for file in arguments.folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = files[:: arguments.every]
    if not files:
        sys.exit(f"error: {arguments.folder} has no portraits ({', '.join(SUFFIXES)})")
    try:
        providers = built(arguments.arm or list(ARMS))
        arms, shown = measure(files, providers)
    except DfbenchError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
    sys.stdout.write(f"{len(files)} portraits, {shown} with a face\n")
    report: dict[str, Any] = {"portraits": len(files), "faces": shown, "arms": {}}
    first = next(iter(arms), "")
    for name, arm in arms.items():
        found, sizes = len(arm.masks), arm.sizes()
        told = ", ".join(f"{kind} {size:.2f}" for kind, size in sizes.items())
        sys.stdout.write(f"\n{name}: landmarks of {found} faces, patch covers the regions of {arm.covered}\n")
        sys.stdout.write(f"masks, in sizes of the hull of 68 parts: {told}\n")
        report["arms"][name] = {"landmarks": found, "covered": arm.covered, "sizes": sizes}
        values = overlaps(arms[first], arm) if name != first else {}
        if values:
            sys.stdout.write(f"\nOverlap with {first}:\n\n{table(values)}\n")
            report["arms"][name]["overlap"] = {kind: shares.tolist() for kind, shares in values.items()}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
