"""A training method that makes its images: each real crop, and as its fake a copy whose upper half is blurred."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from dfbench.training import (
    Batch,
    EpochDataset,
    ImagesRequest,
    LoadedImages,
    MethodImages,
    StepResult,
    TrainingMethod,
    read_crops,
    supervised_step,
)


class BlurredCopies(EpochDataset):
    """Crops and their copies, reals first."""

    def __init__(self, request: ImagesRequest) -> None:
        super().__init__(len(request.data.sample_ids))
        self.crops = request.crops
        self.side = request.options["side"]

    def __getitems__(self, items: Sequence[int]) -> LoadedImages:
        """Make the pairs of some training rows, which the sampling takes from the real ones."""
        places = [self.row_and_epoch(item) for item in items]
        rows = [row for row, _ in places]
        real = torch.cat([read_crops(self.crops, [row], epoch) for row, epoch in places])
        blurred = functional.avg_pool2d(real.float(), self.side, 1, self.side // 2, count_include_pad=False)
        fake, half = real.clone(), real.shape[2] // 2
        fake[:, :, :half] = blurred[:, :, :half].round().to(torch.uint8)
        targets = torch.tensor([0] * len(rows) + [1] * len(rows))
        return LoadedImages(torch.cat((real, fake)), rows + rows, targets, {"original": torch.cat((real, real))})


def step(model: torch.nn.Module, batch: Batch, *, side: int) -> StepResult:
    """Train as usual; ``batch.others["original"]`` is there, with the augmentation of the images."""
    del side
    return supervised_step(model, batch)


BLURRED = TrainingMethod(
    "example-blurred",
    "real crops and blurred copies",
    step,
    options={"side": 5},
    sampling="reals",
    images=lambda request: MethodImages(BlurredCopies(request)),
)
