"""What chooses the weights: a metric on validation data, never on test data."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import score_images
from dfbench.evaluation.scores_table import scores_table
from dfbench.metrics import compute_metrics, parse_metric
from dfbench.protocols.protocol import Protocol
from dfbench.training.store import EpochRecord


def validate(model: nn.Module, data: RoleData, device: torch.device, *, batch_size: int, workers: int) -> float | None:
    """The protocol's selection metric on validation samples: the mean over their data sets and subsets.

    None where it is undefined everywhere (one class only).
    """
    protocol = data.protocol
    logits = score_images(model, data.images, device, batch_size=batch_size, workers=workers)
    values = compute_metrics(
        scores_table(data, logits, "validation", "validation"),
        [protocol.selection.metric],
        threshold=protocol.metrics.threshold,
        resamples=0,
        per_manipulation=False,
        failure_policy=protocol.failure_policy,
        face_aggregation=protocol.metrics.faces,
        classes=protocol.classes,
    )
    known = [v.value for v in values if v.value is not None]
    return float(np.mean(known)) if known else None


def best_epoch(curve: list[EpochRecord], protocol: Protocol) -> int:
    """Place of the chosen record: the best value, of equals the later; the last where nothing is known.

    >>> from dfbench.protocols.files import load_protocol
    >>> records = [EpochRecord(e, 0.1, 1.0, "auc.video.mean", v, 1.0) for e, v in enumerate([0.6, 0.8, 0.7], 1)]
    >>> best_epoch(records, load_protocol("mini"))
    1
    """
    known = [(r.value, place) for place, r in enumerate(curve) if r.value is not None]
    if protocol.selection.split == "none" or not known:
        return len(curve) - 1
    sign = 1.0 if parse_metric(protocol.selection.metric).definition.higher_is_better else -1.0
    return max(known, key=lambda pair: (sign * pair[0], pair[1]))[1]
