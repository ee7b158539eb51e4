"""Metadata-only baselines: the result of one fact about the files, without any pixel.

In some data sets reals and fakes differ in size, format, length or frame rate, and a detector may learn nothing else.
The score of a medium is the fraction of fakes among the *other* scene groups with the same value of a fact, so that no
medium is judged by itself; the best fact is listed in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dfbench.errors import UndefinedMetric
from dfbench.evaluation.dataset import RoleData
from dfbench.metrics import auc, parse_metric
from dfbench.metrics.score_rows import SLICE
from dfbench.schema.ids import seed_from
from dfbench.schema.result import MAJORITY, Baseline, MetricValue
from dfbench.schema.scores import SCORES

FACTS = ("size", "format", "length", "frame rate")
"""Pixels of a frame, suffix of the file, number of frames, frames per second."""

_FOLDS = 5
_BINS = 32  # of a fact with more different values than that
_KEPT = ("sample_id", "media_path", "width", "height", "frame_count", "frame_index", "time_s")

Measure = Callable[[pa.Table, Sequence[str]], list[MetricValue]]


def media_facts(data: RoleData) -> pd.DataFrame:
    """Return facts about the medium of each sample, indexed by sample id; NaN where a fact is not known.

    Sizes are those of the source, before any crop. The bitrate is not among them.
    """
    rows = pd.concat([samples.select(_KEPT).to_pandas() for _, samples in data.parts], ignore_index=True)
    suffix = rows["media_path"].map(lambda path: PurePosixPath(path).suffix.lower())
    later = (rows["frame_index"] > 0) & (rows["time_s"] > 0)
    facts = {
        "size": rows["width"].astype(float) * rows["height"].astype(float),
        "format": pd.Series(pd.factorize(suffix, sort=True)[0], rows.index, float),
        "length": rows["frame_count"].astype(float),
        "frame rate": (rows["frame_index"] / rows["time_s"].where(later)).round(2),
    }
    return pd.DataFrame(facts).set_index(pd.Index(rows["sample_id"], name="sample_id"))


def trivial_baselines(
    scores: pa.Table,
    facts: pd.DataFrame,
    measure: Measure,
    names: Sequence[str],
    classes: Sequence[str] = (),
) -> tuple[Baseline, ...]:
    """Evaluate the best single fact of every data set, subset and condition by the rules and samples of the detector.

    Args:
        scores: of the run, a table of :data:`dfbench.schema.scores.SCORES`.
        facts: of :func:`media_facts`.
        measure: ``(scores, names) -> values`` by the run's rules.
        names: the run's metrics.
        classes: of a multi-class task. The facts are then judged by the metrics of P(fake) alone, and a baseline that
            always predicts the largest class is added (a binary table derives that row from its counts).

    Returns:
        One baseline for each fact that is the best in some slice, in the order of :data:`FACTS`; empty if no fact
        differs between media.
    """
    binary = [n for n in names if not classes or not _among_classes(n)]
    best = _best_scores(scores, facts) if binary else {}
    found = []
    for fact in FACTS:
        slices = [key for key, (name, _) in best.items() if name == fact]
        if slices:
            table = pa.concat_tables([best[key][1] for key in sorted(slices)])
            found.append(Baseline(name=f"{fact} alone", metrics=tuple(measure(table, binary))))
    if classes:
        among = [n for n in names if _among_classes(n)]
        found.append(Baseline(name=MAJORITY, metrics=tuple(measure(majority_scores(scores, classes), among))))
    return tuple(found)


def cross_fitted(values: NDArray[np.float64], labels: NDArray[np.int8], groups: Sequence[str]) -> NDArray[np.float64]:
    """Return P(fake) of each medium from one fact: the fraction of fakes of its value in the other folds.

    Args:
        values: (M,) the fact, one value per medium; NaN is a separate value. More than 32 different values are put
            into bins of equally many media.
        labels: (M,) 0 real, 1 fake.
        groups: (M,) scene group; all media of one are in the same fold of five.

    Returns:
        (M,) in (0,1); 0.5 for a value that the other folds do not have.
    """
    code = _binned(values)
    fold = np.array([seed_from(group, "cheap baseline") % _FOLDS for group in groups])
    count = np.zeros((_FOLDS, int(code.max()) + 1))
    fakes = np.zeros_like(count)
    np.add.at(count, (fold, code), 1)
    np.add.at(fakes, (fold, code), labels)
    others, fake_others = count.sum(axis=0) - count, fakes.sum(axis=0) - fakes
    fraction = (fake_others + 0.5) / (others + 1)
    return np.asarray(fraction[fold, code], np.float64)


def majority_scores(scores: pa.Table, classes: Sequence[str]) -> pa.Table:
    """Return the run's table with the logits of always predicting the most frequent class of its scored samples."""
    ok = pc.equal(scores["status"], "ok")
    names = scores.filter(ok)["class"].to_pandas()
    largest = names.value_counts().sort_index(kind="stable").idxmax() if len(names) else classes[0]
    logits = [0.0 if name == largest else -50.0 for name in classes]
    column = pa.array([logits if scored else None for scored in ok.to_pylist()], pa.list_(pa.float32()))
    return scores.set_column(scores.column_names.index("logits"), SCORES.schema().field("logits"), column)


def _best_scores(scores: pa.Table, facts: pd.DataFrame) -> dict[tuple[str, ...], tuple[str, pa.Table]]:
    columns = ["sample_id", "media_id", "scene_group", "label", "status", *SLICE]
    rows = scores.select(columns).to_pandas().join(facts, on="sample_id")
    best = {}
    for key, part in rows.groupby(SLICE, sort=True):
        media = part.groupby("media_id", sort=True).first()  # skips what a single frame does not know
        ranked = [(_auc(media, fitted), fact, fitted) for fact, fitted in _fitted(media)]
        if ranked:
            _, fact, fitted = max(ranked, key=lambda r: r[0])
            score = part["media_id"].map(pd.Series(fitted, media.index)).to_numpy(np.float64)
            column = pa.array(score, mask=(part["status"] != "ok").to_numpy(bool))
            own = scores.take(part.index.to_numpy())
            best[tuple(key)] = (
                fact,
                own.set_column(own.column_names.index("score"), SCORES.schema().field("score"), column),
            )
    return best


def _fitted(media: pd.DataFrame) -> list[tuple[str, NDArray[np.float64]]]:
    labels, groups = media["label"].to_numpy(np.int8), media["scene_group"].tolist()
    known = [(fact, media[fact].to_numpy(np.float64)) for fact in FACTS]
    return [(fact, cross_fitted(v, labels, groups)) for fact, v in known if len(np.unique(v)) > 1]


def _auc(media: pd.DataFrame, fitted: NDArray[np.float64]) -> float:
    try:
        return auc(media["label"].to_numpy(), fitted)
    except UndefinedMetric:
        return 0.5


def _binned(values: NDArray[np.float64]) -> NDArray[np.intp]:
    distinct, code = np.unique(values, return_inverse=True)
    if len(distinct) <= _BINS:
        return code
    edges = np.unique(np.quantile(values[~np.isnan(values)], np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def _among_classes(name: str) -> bool:
    kind = parse_metric(name).definition
    return kind.confused is not None and not kind.always_binary
