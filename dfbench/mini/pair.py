"""The unit of work: one pair with its two originals and all fakes made from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.media.encode import write_clips
from dfbench.mini import tree
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.forge import forge
from dfbench.mini.forge.common import Job
from dfbench.mini.motion import FPS
from dfbench.mini.original import Original, make_original
from dfbench.mini.plan import MiniPair
from dfbench.mini.publication import SplitPosition, draw_publication, plain_publication
from dfbench.mini.settings import CRF, PRESET, MiniSettings
from dfbench.mini.shape import Placed


def pair_is_complete(root: Path, pair: MiniPair, settings: MiniSettings) -> bool:
    """Whether every file of the pair exists (files appear only when complete)."""
    return all((root / file).is_file() for file in tree.pair_files(pair, settings))


def make_pair(root: Path, pair: MiniPair, settings: MiniSettings) -> str:
    """Make the missing files of a pair and return its name."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        model = load_face_model()
        a, b = make_original(model, pair.a, settings), make_original(model, pair.b, settings)
        for number, (target, source) in enumerate(((a, b), (b, a)), start=2 * pair.number):
            position = SplitPosition(pair.split, number, 2 * settings.pairs()[pair.split])
            _write_original(root, target, position, settings)
            for method in settings.manipulations:
                _write_fake(root, method, Job(model, target, source, settings.seed), position, settings)
    finally:
        cv2.setNumThreads(threads)
    return pair.name


def _write_original(root: Path, original: Original, position: SplitPosition, settings: MiniSettings) -> None:
    clip = original.plan.clip
    people = [original.points] if original.plan.second is None else [original.points, original.second]
    files = [root / tree.original_path(subset, clip) for subset in settings.subsets]
    truth = root / tree.truth_path("real", clip)
    publish(f"real/{clip}", position, original.frames, people, files, truth, settings)


def _write_fake(root: Path, method: str, job: Job, position: SplitPosition, settings: MiniSettings) -> None:
    name = f"{job.target.plan.clip}_{job.source.plan.clip}"
    files = [
        root / tree.fake_path(method, subset, job.target.plan.clip, job.source.plan.clip) for subset in settings.subsets
    ]
    truth = root / tree.truth_path(method, name)
    if truth.is_file() and all(file.is_file() for file in files):
        return
    forged = list(forge(method, job))
    frames = [old if new is None else new.image for old, new in zip(job.target.frames, forged, strict=True)]
    people = [[None if new is None else new.points for new in forged]]
    if job.target.plan.second is not None:
        people.append(list(job.target.second))
    publish(f"{method}/{name}", position, frames, people, files, truth, settings)


def publish(
    name: str,
    position: SplitPosition,
    frames: Sequence[NDArray[np.uint8]],
    people: Sequence[Sequence[Placed | None]],
    files: Sequence[Path],
    truth: Path,
    settings: MiniSettings,
) -> None:
    """Write a clip at every compression level and its ground truth; reals and fakes are written in the same way.

    Args:
        name: kind and name of the file.
        position: position of the clip in its split; framing, exposure, grain and keyframes depend on name and position.
        frames: uint8 RGB, as large as the master.
        people: points of each person in each frame, in pixels of the master; ``None`` if absent.
        files: one file per subset of the settings.
        truth: the file of the ground truth.
        settings: the data set's settings.
    """
    public = (
        draw_publication(name, position, settings.size, settings.seed)
        if settings.republished
        else plain_publication(name, settings.size, settings.seed)
    )
    images = [public.image(frame) for frame in frames]
    tree.write_truth(truth, [[None if at is None else public.points(at) for at in points] for points in people])
    levels = {file: CRF[subset] for subset, file in zip(settings.subsets, files, strict=True)}
    write_clips(levels, images, FPS, preset=PRESET, keyframe_interval=public.keyframes)
