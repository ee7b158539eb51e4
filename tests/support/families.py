"""Scores of detectors under several conditions on the same clips, for tests of families of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from dfbench.schema.scores import SCORES

FAKES = 4
CONDITIONS = ("clean", "jpeg:q=60", "jpeg:q=30", "mean:k=5", "gaussian-noise:sigma=8", "resize:scale=0.5")


def scores_table(
    scores: NDArray[np.float64],
    model: str,
    seed: int = 0,
    conditions: Sequence[str] = CONDITIONS,
    people: Mapping[str, list[str | None]] | None = None,
) -> pa.Table:
    """The table of single-frame clips: in every scene group a real and four fakes.

    Args:
        scores: (conditions, groups, 1 + FAKES) P(fake), the real first.
        model: name of the detector.
        seed: training seed, part of the run id.
        conditions: names of the conditions.
        people: columns with the people of each row, in the order of ``scores``.
    """
    under, _, clips = scores.shape
    condition, group, clip = (index.ravel() for index in np.indices(scores.shape))
    rows = len(condition)
    names = np.where(clip == 0, "real", np.char.add("M", clip.astype(str)))
    media = np.char.add(np.char.add(np.char.add("mini/c23/", names), "/"), np.char.mod("%04d", group))
    assert under == len(conditions)
    assert clips == 1 + FAKES
    columns = {
        "sample_id": np.char.add(media, "#000000.0"),
        "media_id": media,
        "dataset": ["mini"] * rows,
        "subset": ["c23"] * rows,
        "manipulation": names,
        "split": ["test"] * rows,
        "scene_group": np.char.mod("mini/%04d", group),
        "label": (clip > 0).astype(np.int8),
        "class": names,
        "condition": np.array(conditions)[condition],
        "model": [model] * rows,
        "run_id": [f"{model}-{seed}"] * rows,
        "status": ["ok"] * rows,
        "score": scores.ravel(),
    } | dict(people or {})
    schema = SCORES.schema()
    absent = pa.nulls(rows)
    cast = [pa.array(columns.get(name, absent)).cast(schema.field(name).type) for name in schema.names]
    return pa.table(cast, schema=schema)


def equal_detectors(rng: np.random.Generator, groups: int, gap: float = 1.5) -> tuple[pa.Table, pa.Table]:
    """Two detectors of the same quality under every condition, with noise of groups, clips and conditions in common."""
    label = (np.arange(1 + FAKES) > 0).astype(float)
    common = 0.5 * rng.normal(size=(1, groups, 1)) + 0.6 * rng.normal(size=(1, groups, 1 + FAKES)) + gap * label
    common = common + 0.4 * rng.normal(size=(len(CONDITIONS), groups, 1 + FAKES))
    own = [0.5 * rng.normal(size=(1, groups, 1 + FAKES)) for _ in range(2)]
    own = [noise + rng.normal(size=common.shape) for noise in own]
    first, second = (scores_table(expit(common + noise - gap / 2), name) for noise, name in zip(own, "ab", strict=True))
    return first, second


def trained_detectors(
    rng: np.random.Generator, groups: int, seeds: int, spread: float
) -> tuple[list[pa.Table], list[pa.Table]]:
    """Two detectors of the same quality on average; that of a training varies with a standard deviation ``spread``."""
    label = (np.arange(1 + FAKES) > 0).astype(float)
    common = 0.5 * rng.normal(size=(1, groups, 1)) + rng.normal(size=(1, groups, 1 + FAKES))
    runs: list[list[pa.Table]] = []
    for model in "ab":
        gaps = 1.5 + spread * rng.normal(size=seeds)
        noisy = [common + gap * label + 0.6 * rng.normal(size=common.shape) for gap in gaps]
        runs.append([scores_table(expit(x - 0.75), model, n, CONDITIONS[:1]) for n, x in enumerate(noisy)])
    return runs[0], runs[1]
