"""The unit of work: one pair, its two originals and all fakes made from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.media.encode import write_clip
from dfbench.mini import tree
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.forge.common import Job
from dfbench.mini.forge.families import forge
from dfbench.mini.original import Original, make_original
from dfbench.mini.plan import Pair
from dfbench.mini.settings import CRF, PRESET, MiniSettings
from dfbench.mini.streams import stream
from dfbench.mini.tracks import FPS

KEYFRAMES = (5, 25)
"""Shortest keyframe interval of a clip, and one more than the longest, in frames."""


def pair_is_complete(root: Path, pair: Pair, settings: MiniSettings) -> bool:
    """Whether every file of the pair is there (files appear only when complete)."""
    return all((root / file).is_file() for file in tree.pair_files(pair, settings))


def make_pair(root: Path, pair: Pair, settings: MiniSettings) -> str:
    """Make what is missing of a pair and return its name."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        model = load_face_model()
        a, b = make_original(model, pair.a, settings), make_original(model, pair.b, settings)
        for target, source in ((a, b), (b, a)):
            _write_original(root, target, settings)
            for method in settings.manipulations:
                _write_fake(root, method, Job(model, target, source, settings.seed), settings)
    finally:
        cv2.setNumThreads(threads)
    return pair.name


def _write_original(root: Path, original: Original, settings: MiniSettings) -> None:
    clip = original.plan.clip
    people = [original.points] if original.plan.second is None else [original.points, original.second]
    tree.write_truth(root / tree.truth_path("real", clip), people)
    for subset in settings.subsets:
        encode(root / tree.original_path(subset, clip), original.frames, subset, f"real/{clip}", settings.seed)


def _write_fake(root: Path, method: str, job: Job, settings: MiniSettings) -> None:
    target, source = job.target.plan.clip, job.source.plan.clip
    files = [root / tree.fake_path(method, subset, target, source) for subset in settings.subsets]
    truth = root / tree.truth_path(method, f"{target}_{source}")
    if truth.is_file() and all(file.is_file() for file in files):
        return
    forged = list(forge(method, job))
    frames = [old if new is None else new.image for old, new in zip(job.target.frames, forged, strict=True)]
    people = [[None if new is None else new.points for new in forged]]
    if job.target.plan.second is not None:
        people.append(list(job.target.second))
    tree.write_truth(truth, people)
    for subset, file in zip(settings.subsets, files, strict=True):
        encode(file, frames, subset, f"{method}/{target}_{source}", settings.seed)


def encode(path: Path, frames: Sequence[NDArray[np.uint8]], subset: str, clip: str, seed: int) -> None:
    """Write a real or a fake clip; the one place where either is encoded.

    Keyframes are set at an interval drawn for each file, real and fake from the same numbers: what a clip weighs then
    depends on that more than on what was done to the face.
    """
    interval = int(stream(f"file/{clip}", "keyframes", seed).integers(*KEYFRAMES))
    write_clip(path, frames, FPS, CRF[subset], preset=PRESET, keyframe_interval=interval)
