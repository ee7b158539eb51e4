"""Example crops and residuals stored with a run, so that the report needs neither models nor manifests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import to_input
from dfbench.media.images import encode_png
from dfbench.schema.columns import Column
from dfbench.schema.scores import EXAMPLES

RESIDUAL_FACTOR = 8.0
WORST = 3  # samples per data set, subset and manipulation, each of another video

# In addition to the contract's columns: origin and condition of a sample, and amplification of its residual.
EXTRA = (
    Column("dataset", pa.string(), "command-line name of the data set"),
    Column("subset", pa.string(), "compression, or 'all'"),
    Column("condition", pa.string(), "'clean' or a degradation spec"),
    Column("residual_factor", pa.float64(), "amplification of the residual for display", nullable=True),
)


def choose_examples(scores: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Yield the indices of a few samples of every data set, subset and manipulation, each with its kind.

    ``typical``: the sample with the score nearest to the median; ``worst``: the :data:`WORST` samples farthest from
    their label, each of another clip or image.

    Args:
        scores: rows with ``dataset, subset, manipulation, media_id, label, score, sample_id``, all of them scored.
    """
    for _, part in scores.groupby(["dataset", "subset", "manipulation"], sort=True):
        ordered = part.sort_values("sample_id", kind="stable")
        score = ordered["score"].to_numpy(np.float64)
        yield int(ordered.index[np.abs(score - np.median(score)).argmin()]), "typical"
        farthest = np.argsort(-np.abs(score - ordered["label"].to_numpy()), kind="stable")
        for index in ordered.iloc[farthest].drop_duplicates("media_id").index[:WORST]:
            yield int(index), "worst"


def examples_table(
    model: nn.Module, data: RoleData, scores: pa.Table, device: torch.device, images: Dataset[tuple[Tensor, int]]
) -> pa.Table:
    """Return the examples of a run, see :func:`choose_examples`.

    Args:
        model: the detector; the ``residual`` of its output (N,3,H,W, at least 0), if any, is stored amplified.
        data: the samples.
        scores: their scores table under one condition.
        device: where the detector is.
        images: the crops under that condition.
    """
    names = ["sample_id", "media_id", "dataset", "subset", "condition", "manipulation", "label", "score"]
    frame: pd.DataFrame = scores.select(names).take(data.ok).to_pandas()
    rows = []
    for index, kind in choose_examples(frame):
        image = images[index][0]
        residual = residual_png(model, image, device)
        rows.append(
            {name: frame[name].iloc[index] for name in names}
            | {
                "kind": kind,
                "crop": encode_png(to_hwc(image)),
                "residual": residual,
                "residual_factor": RESIDUAL_FACTOR if residual is not None else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=EXAMPLES.schema(EXTRA))


def residual_png(model: nn.Module, image: Tensor, device: torch.device) -> bytes | None:
    """Return :func:`residual_image` as a PNG; None if there is none."""
    shown = residual_image(model, image, device)
    return None if shown is None else encode_png(shown)


def residual_image(model: nn.Module, image: Tensor, device: torch.device) -> NDArray[np.uint8] | None:
    """Return the ``residual`` of a detector's output, amplified.

    Args:
        model: the detector, in evaluation mode.
        image: uint8 (3, S, S), RGB.
        device: where the detector is.

    Returns:
        uint8 (S, S, 3): the residual of [0,1] values times :data:`RESIDUAL_FACTOR`, clipped; None if there is none.
    """
    with torch.inference_mode():
        output = model(to_input(image[None], device))
    residual = getattr(output, "residual", None)
    if not isinstance(residual, Tensor) or residual.ndim != 4:
        return None
    shown = (residual[0].float() * RESIDUAL_FACTOR).clamp(0, 1) * 255
    return to_hwc(shown.round().to(torch.uint8).cpu())


def to_hwc(image: Tensor) -> NDArray[np.uint8]:
    """Return an image (3, H, W), uint8, as an array (H, W, 3)."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
