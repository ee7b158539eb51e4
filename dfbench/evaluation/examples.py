"""Crops (and residuals) kept with a run, so that the report can show them without models or manifests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import to_input
from dfbench.media.images import encode_png
from dfbench.schema.columns import Column
from dfbench.schema.scores import EXAMPLES

RESIDUAL_FACTOR = 8.0
WORST = 3  # samples of each data set, subset and manipulation, each of another video

# Beside the contract's columns: where a sample is from, what was done to it, and how its residual is amplified.
EXTRA = (
    Column("dataset", pa.string(), "command-line name of the data set"),
    Column("subset", pa.string(), "compression, or 'all'"),
    Column("condition", pa.string(), "'clean' or a degradation spec"),
    Column("residual_factor", pa.float64(), "amplification of the residual for display", nullable=True),
)


def choose_examples(scores: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Places of a few samples of every data set, subset and manipulation, each with its kind.

    ``typical``: the one with the score nearest the median; ``worst``: the :data:`WORST` farthest from their label,
    each of another clip or image.

    Args:
        scores: rows with ``dataset, subset, manipulation, media_id, label, score, sample_id``, all of them scored.
    """
    for _, part in scores.groupby(["dataset", "subset", "manipulation"], sort=True):
        ordered = part.sort_values("sample_id", kind="stable")
        score = ordered["score"].to_numpy(np.float64)
        yield int(ordered.index[np.abs(score - np.median(score)).argmin()]), "typical"
        farthest = np.argsort(-np.abs(score - ordered["label"].to_numpy()), kind="stable")
        for place in ordered.iloc[farthest].drop_duplicates("media_id").index[:WORST]:
            yield int(place), "worst"


def examples_table(
    model: nn.Module, data: RoleData, scores: pa.Table, device: torch.device, images: Dataset[tuple[Tensor, int]]
) -> pa.Table:
    """The examples of a run, see :func:`choose_examples`.

    Args:
        model: the detector; the ``residual`` of its output (N,3,H,W, at least 0), if any, is drawn amplified.
        data: the samples.
        scores: their scores table under one condition.
        device: where the detector is.
        images: the crops under that condition.
    """
    names = ["sample_id", "media_id", "dataset", "subset", "condition", "manipulation", "label", "score"]
    frame: pd.DataFrame = scores.select(names).take(data.ok).to_pandas()
    rows = []
    for place, kind in choose_examples(frame):
        image = images[place][0]
        residual = residual_png(model, image, device)
        rows.append(
            {name: frame[name].iloc[place] for name in names}
            | {
                "kind": kind,
                "crop": encode_png(_to_picture(image)),
                "residual": residual,
                "residual_factor": RESIDUAL_FACTOR if residual is not None else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=EXAMPLES.schema(EXTRA))


def residual_png(model: nn.Module, image: Tensor, device: torch.device) -> bytes | None:
    """What the detector subtracts, times :data:`RESIDUAL_FACTOR`, as a PNG; None if its output has no residual."""
    with torch.inference_mode():
        output = model(to_input(image[None], device))
    residual = getattr(output, "residual", None)
    if not isinstance(residual, Tensor) or residual.ndim != 4:
        return None
    shown = (residual[0].float() * RESIDUAL_FACTOR).clamp(0, 1) * 255
    return encode_png(_to_picture(shown.round().to(torch.uint8).cpu()))


def _to_picture(image: Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
