"""Read a CSV or Parquet file of scores and validate each row; invalid rows raise an error and are never corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import expit

from dfbench.errors import DataError, unknown_name

KINDS = ("probability", "logit")
TEXTS = ("sample_id", "media_id", "dataset", "subset", "manipulation", "condition", "scene_group", "status")
COLUMNS = (*TEXTS, "frame_index", "label", "score")
_NAMED = 5


def read_score_file(file: Path, kind: str) -> pd.DataFrame:
    """Read the rows of a file of scores.

    Args:
        file: CSV with a header line (``.csv``, ``.tsv``, ``.txt``), or Parquet.
        kind: ``probability``: P(fake) in [0,1]; ``logit``: its log-odds, converted by the logistic function.

    Returns:
        The known columns that the file has, texts as text, ``status`` always ("ok" where the file has none), ``score``
        float64 in [0,1] (NaN where the status is not ok), ``logit`` float64 where ``kind`` says so. Indexed by the
        number of the row in the file, from 1, without the header.

    Raises:
        UsageError: an unknown kind.
        DataError: the file is missing or unreadable, has no scores, or scores are missing, not finite or out of range.
    """
    if kind not in KINDS:
        raise unknown_name("kind of score", kind, KINDS)
    table = _read(file)
    rows = pd.DataFrame({name: _column(table, name, file) for name in COLUMNS if name in table.column_names})
    rows.index = pd.RangeIndex(1, len(rows) + 1)
    if "score" not in rows:
        raise DataError(f"{file} has no column 'score': it has {', '.join(table.column_names)}", _HINT)
    if not len(rows):
        raise DataError(f"{file} has no rows", _HINT)
    if "status" not in rows:
        rows["status"] = "ok"
    ok = (rows["status"] == "ok").to_numpy(bool)
    scores = rows["score"].to_numpy(np.float64)
    refuse_rows(
        rows,
        ok & ~np.isfinite(scores),
        f"{file}: scores that are empty, NaN or infinite",
        "where a detector failed on a sample, set a status other than ok in a column 'status', or drop the row",
    )
    if kind == "logit":
        rows["logit"] = scores
        scores = expit(scores)
    else:
        percent = bool((scores[ok] >= 0).all() and (scores[ok] <= 100).all())
        refuse_rows(
            rows,
            ok & ((scores < 0) | (scores > 1)),
            f"{file}: scores outside [0,1]",
            "these look like percent; divide them by 100"
            if percent
            else "probabilities of fake are in [0,1]; for logits use --kind logit",
        )
    return rows.assign(score=np.where(ok, scores, np.nan))


_HINT = (
    "required columns: score, and either sample_id, or media_id and frame_index of a manifest, or media_id and label; "
    "see docs/import-scores.md"
)


def refuse_rows(rows: pd.DataFrame, bad: NDArray[np.bool_], what: str, hint: str) -> None:
    """Raise :class:`DataError` with the numbers and ids of invalid rows, if there are any."""
    if not bad.any():
        return
    found = rows[bad]
    names = found["sample_id"] if "sample_id" in found else found.get("media_id", pd.Series("", found.index))
    first = ", ".join(f"row {number} ({name})" if name else f"row {number}" for number, name in names[:_NAMED].items())
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise DataError(f"{what}: {first}{more}", hint)


def _read(file: Path) -> pa.Table:
    if not file.is_file():
        raise DataError(f"file not found: {file}", "give a CSV or Parquet file of scores")
    with file.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1"
    if file.suffix == ".parquet" and not parquet:
        raise DataError(f"{file} is not a Parquet file in spite of its name", "rename text files to .csv or .tsv")
    try:
        if parquet:
            table = pq.read_table(file)
            table.validate(full=True)  # texts of a damaged file need not be UTF-8
            return table
        # Read all values as text: ids such as 000_003 or 0012 must not become numbers.
        names = pacsv.open_csv(file, parse_options=_separator(file)).schema.names
        texts = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return pacsv.read_csv(file, parse_options=_separator(file), convert_options=texts)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not a readable CSV or Parquet file: {error}", _HINT) from error


def _separator(file: Path) -> pacsv.ParseOptions:
    return pacsv.ParseOptions(delimiter="\t" if file.suffix.lower() == ".tsv" else ",")


def _column(table: pa.Table, name: str, file: Path) -> pd.Series[Any]:
    if table.column_names.count(name) > 1:
        raise DataError(f"{file} has several columns {name!r}", "keep one of them")
    values: pd.Series[Any] = table[name].to_pandas()
    if name in TEXTS:
        return values.where(values.notna(), "").astype(str)
    numbers = pd.to_numeric(values.replace("", np.nan), errors="coerce")
    strange = numbers.isna() & ~values.isna() & ~values.astype(str).str.strip().str.lower().isin(("", "nan"))
    if strange.any():
        row = int(np.argmax(strange.to_numpy()))
        raise DataError(f"{file}: {name} is not a number in row {row + 1}: {values.iloc[row]!r}", _HINT)
    return numbers.astype(np.float64)


def whole_numbers(rows: pd.DataFrame, name: str, allowed: tuple[int, ...] | None, hint: str) -> NDArray[np.int64]:
    """Return a column as integers that are not negative, or among the allowed values.

    Raises:
        DataError: the column is missing, or a value is not allowed; the message names the rows.
    """
    if name not in rows:
        raise DataError(f"the file has no column {name!r}", _HINT)
    values = rows[name].to_numpy(np.float64)
    good = np.isin(values, allowed) if allowed is not None else (values >= 0) & (values == np.floor(values))
    refuse_rows(
        rows, ~good, f"values of {name!r} that are not {' or '.join(map(str, allowed or ('whole numbers',)))}", hint
    )
    return values.astype(np.int64)
