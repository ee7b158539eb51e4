"""The images of a training on self-blended images: pairs of the real training samples, made when they are read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import get_worker_info

from dfbench.errors import DataError
from dfbench.training.images import EpochDataset, ImagesRequest, LoadedImages, MethodImages
from dfbench.training.sbi.pairs import pair_generator, self_blended_batch
from dfbench.training.sbi.stored import FaceImage, StoredFaces

logger = logging.getLogger("dfbench")


class SelfBlendedImages(EpochDataset):
    """Batches of real faces and their fakes, reals first; each pair is drawn from sample id, epoch and seed.

    A face that gives no pair is replaced by another one of its batch.

    Args:
        faces: the faces of some training rows, in parts.
        rows: of each part, the training rows of its faces.
        sample_ids: of all training rows.
        size: side of the images in pixels.
        seed: of the training.
    """

    def __init__(
        self,
        faces: Sequence[StoredFaces],
        rows: Sequence[np.ndarray],
        sample_ids: Sequence[str],
        size: int,
        seed: int,
    ) -> None:
        super().__init__(len(sample_ids))
        self.faces = tuple(faces)
        self.places = {int(row): (p, n) for p, part in enumerate(rows) for n, row in enumerate(part)}
        self.ids = {row: sample_ids[row] for row in self.places}
        self.size, self.seed = size, seed

    def face(self, row: int) -> FaceImage:
        """Return the face of a training row.

        Raises:
            DataError: its shard cannot be read, or its patch is damaged.
        """
        part, number = self.places[row]
        return self.faces[part][number]

    def __getitems__(self, items: Sequence[int]) -> LoadedImages:
        """Return the pairs of some rows in an epoch.

        Raises:
            DataError: a face cannot be read, or no face of the batch gives a pair.
        """
        if get_worker_info() is not None:
            cv2.setNumThreads(0)  # the worker processes share the cores; 0 leaves the pool of a forked process alone
        rows, epochs = zip(*map(self.row_and_epoch, items), strict=True)
        generators = [pair_generator(self.ids[r], epoch, self.seed) for r, epoch in zip(rows, epochs, strict=True)]
        batch = self_blended_batch([self.face(row) for row in rows], self.size, generators)
        images, targets = batch.images_and_targets()
        shown = [rows[number] for number in batch.faces]
        return LoadedImages(torch.from_numpy(images).permute(0, 3, 1, 2), shown + shown, torch.from_numpy(targets))


def self_blended_images(request: ImagesRequest, *, skip: bool = True) -> MethodImages:
    """Return the self-blended images of a training; see :class:`dfbench.training.TrainingMethod`.

    The sampling of its batches must be ``reals``, and its task real or fake. Every real training sample is checked.

    Args:
        request: the training samples, of manifests with patches and dense landmarks; the size is the protocol's.
        skip: leave out samples whose face cannot be used, and count them; otherwise they are errors.

    Raises:
        DataError: the manifests have no patches or dense landmarks, no face can be used, or, unless ``skip`` is set,
            one of them cannot.
    """
    data = request.data
    faces: list[StoredFaces] = []
    rows: list[np.ndarray] = []
    counts: Counter[str] = Counter()
    reals = 0
    for _, usable, numbers in data.ok_parts:
        real = np.flatnonzero(usable.labels == 0)
        if len(real):
            part = StoredFaces(usable.take(real), skip=skip)
            faces.append(part)
            rows.append(numbers[real[part.indices]])
            counts.update(part.skipped)
        reals += len(real)
    if not faces:
        raise DataError("there are no real training samples", "see: dfbench inspect")
    if counts:
        told = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
        logger.warning("%d of %d real training samples are skipped (%s)", counts.total(), reals, told)
    recipe, size = request.recipe, data.protocol.crops.size
    images = SelfBlendedImages(faces, rows, data.sample_ids, size, recipe.seed)
    return MethodImages(images, np.concatenate(rows), {f"skipped: {reason}": n for reason, n in counts.items()})
