"""From logits to the scores table: one row per requested sample, with or without a score."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from dfbench.degrade import Condition
from dfbench.errors import DataError
from dfbench.evaluation.dataset import RoleData
from dfbench.evaluation.inference import tempered
from dfbench.models.interface import fake_probability
from dfbench.schema.scores import FROM_MANIFEST, SCORES


def scores_table(
    data: RoleData,
    logits: NDArray[np.float32],
    model: str,
    run_id: str,
    condition: Condition | None = None,
    *,
    temperature: float = 1.0,
) -> pa.Table:
    """Return the scores of a run.

    Args:
        data: the samples.
        logits: (N, C), row i for row i of ``data.ok_table``.
        model: name of the detector.
        run_id: the run.
        condition: test condition; default: that of ``data``.
        temperature: logits are divided by it; the table holds the divided ones.

    Returns:
        A table of :data:`dfbench.schema.scores.SCORES` with every row of ``data``; those whose status is not ok
        have neither score nor logits.

    Raises:
        DataError: the ids are not exactly the protocol's.
    """
    if len(logits) != len(data.ok):
        raise DataError(
            f"{len(logits)} scores for {len(data.ok)} samples", "this is a bug of dfbench; please report it"
        )
    logits = tempered(logits, temperature)
    probability = fake_probability(torch.from_numpy(logits), data.protocol.real_numbers).numpy()
    rows = len(data.table)
    score = np.zeros(rows, np.float64)
    score[data.ok] = probability
    absent = np.ones(rows, bool)
    absent[data.ok] = False
    all_logits: list[list[float] | None] = [None] * rows
    for index, values in zip(data.ok, logits, strict=True):
        all_logits[index] = values.tolist()
    columns = {name: data.table[name] for name in FROM_MANIFEST} | {
        "condition": pa.array(data.conditions(condition or data.condition), pa.string()),
        "model": pa.array([model] * rows, pa.string()),
        "run_id": pa.array([run_id] * rows, pa.string()),
        "score": pa.array(score, pa.float64(), mask=absent),
        "logits": pa.array(all_logits, pa.list_(pa.float32())),
    }
    schema = SCORES.schema()
    table = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
    check_ids(table, data)
    return table


def check_ids(scores: pa.Table, data: RoleData) -> None:
    """Raise :class:`DataError` unless the scores have exactly the ids of the protocol's samples, each once."""
    SCORES.check(scores, "the run")
    found, wanted = set(scores["sample_id"].to_pylist()), set(data.table["sample_id"].to_pylist())
    if found != wanted or len(scores) != len(wanted):
        different = ", ".join(sorted(found ^ wanted)[:3]) or "some twice"
        raise DataError(
            f"the scored samples are not those of protocol {data.protocol.name!r}: {different}",
            "check the manifest: dfbench verify",
        )
