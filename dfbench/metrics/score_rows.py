"""A scores table as validated rows, and the slices that metrics are computed for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import softmax

from dfbench.errors import DataError
from dfbench.metrics.samples import probability_columns
from dfbench.metrics.validation import check_scores
from dfbench.schema.scores import IDENTITIES, SCORES

SLICE = ["dataset", "subset", "condition"]
ALL = "all"
SliceKey = tuple[str, str, str]
_COLUMNS = [
    "sample_id",
    "media_id",
    *SLICE,
    "manipulation",
    "scene_group",
    "label",
    "class",
    "model",
    "run_id",
    "status",
    "score",
]


def checked_rows(scores: pa.Table, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Validate the rows of a scores table; with ``classes``, add the probability of each class.

    Raises:
        DataError: the table breaks its contract: columns, repeated keys, several models, scores outside [0,1], a
            status that contradicts its score, a clip with two labels or two scene groups, a number of logits that
            differs from the number of classes.
    """
    SCORES.check(scores)
    present = [name for name in IDENTITIES if name in scores.column_names]
    rows: pd.DataFrame = scores.select([*_COLUMNS, *present]).to_pandas()
    for column in ("model", "run_id"):
        if rows[column].nunique() > 1:
            found = ", ".join(sorted(rows[column].unique())[:3])
            raise DataError(
                f"the scores hold more than one {column}: {found}", f"compute the metrics of each {column} separately"
            )
    ok = rows["status"] == "ok"
    contradiction = ok == rows["score"].isna()
    if contradiction.any():
        first = rows.loc[contradiction, "sample_id"].iloc[0]
        raise DataError(
            f"{int(contradiction.sum())} rows have a status that contradicts their score, the first is {first}"
        )
    if not rows["label"].isin((0, 1)).all():
        raise DataError("the scores hold labels other than 0 (real) and 1 (fake)")
    try:
        check_scores(rows.loc[ok, "score"].to_numpy())
    except DataError as error:
        bad = rows.loc[ok & ~rows["score"].between(0, 1), "sample_id"].iloc[0]
        raise DataError(f"{error.message}; the first sample is {bad}", error.hint) from error
    _one_value_per_media(rows, "label")
    _one_value_per_media(rows, "scene_group")
    if classes:
        rows[probability_columns(classes)] = _probabilities(scores, ok.to_numpy(bool), len(classes))
    return rows


def slices(rows: pd.DataFrame, per_manipulation: bool) -> Iterator[tuple[SliceKey, str, pd.DataFrame]]:
    """Yield for each data set, subset and condition all rows, then those of each manipulation with the reals."""
    for key, part in rows.groupby(SLICE, sort=True):
        names = (str(key[0]), str(key[1]), str(key[2]))
        yield names, ALL, part
        if per_manipulation:
            real = part["label"] == 0
            for manipulation in sorted(part.loc[~real, "manipulation"].unique()):
                yield names, manipulation, part[real | (part["manipulation"] == manipulation)]


def _one_value_per_media(rows: pd.DataFrame, column: str) -> None:
    pairs = rows[["media_id", column]].drop_duplicates()
    twice = pairs[pairs["media_id"].duplicated()]
    if len(twice):
        raise DataError(
            f"{len(twice)} media with more than one {column}, the first is {twice['media_id'].iloc[0]}",
            "one media id names one clip of one manipulation",
        )


def _probabilities(scores: pa.Table, ok: NDArray[np.bool_], classes: int) -> NDArray[np.float64]:
    """Softmax of the logits, (N, classes); NaN in rows without a score."""
    logits = scores["logits"].combine_chunks()
    lengths = np.asarray(logits.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    wrong = ok & (lengths != classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{scores['sample_id'][row].as_py()} has {int(lengths[row])} logits for {classes} classes",
            "multi-class metrics need the logits of a detector trained for these classes",
        )
    table = np.full((len(ok), classes), np.nan)
    flat = logits.filter(pa.array(ok)).flatten().to_numpy(zero_copy_only=False)
    table[ok] = softmax(np.asarray(flat, np.float64).reshape(-1, classes), axis=1)
    return table
