"""Read the rows of a file of scores and validate each; invalid rows raise an error and are never corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from dfbench.datasets.label_lists import given, normal, read_label
from dfbench.errors import DataError, unknown_name
from dfbench.interchange.score_tables import COLUMNS, REQUIRED, TEXTS, Columns, read_columns

KINDS = ("probability", "logit")
_NAMED = 5
_NESTED = list, tuple, dict, np.ndarray
_REAL_IS_0 = "labels are 0 (real) and 1 (fake), or words: real, fake"


def read_score_file(file: Path, kind: str) -> pd.DataFrame:
    """Read the rows of a file of scores.

    Args:
        file: see :func:`dfbench.interchange.score_tables.read_columns`. Numbers may have decimal commas, scores percent
            signs (probabilities only), labels words.
        kind: ``probability``: P(fake) in [0,1]; ``logit``: its log-odds, converted by the logistic function.

    Returns:
        The known columns that the file has, texts as text in Unicode's composed normal form, ``status`` always ("ok"
        where the file has none), ``score`` float64 in [0,1] (NaN where the status is not ok), ``logit`` float64 where
        ``kind`` says so. Indexed by the number of the row in the file, from 1, without the header.

    Raises:
        UsageError: an unknown kind.
        DataError: the file is missing or unreadable, has no scores, or scores are missing, not finite or out of range.
    """
    if kind not in KINDS:
        raise unknown_name("kind of score", kind, KINDS)
    table = read_columns(file)
    if "score" not in table:
        raise DataError(f"{file} has no column 'score': it has {', '.join(table) or 'none'}", _missing_score(table))
    rows = pd.DataFrame({name: _column(table[name], name, kind, file) for name in COLUMNS if name in table})
    rows.index = pd.RangeIndex(1, len(rows) + 1)
    if not len(rows):
        raise DataError(f"{file} has no rows", REQUIRED)
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


def refuse_rows(rows: pd.DataFrame, bad: NDArray[np.bool_], what: str, hint: str) -> None:
    """Raise :class:`DataError` with the numbers and ids of invalid rows, if there are any."""
    if not bad.any():
        return
    found = rows[bad]
    names = found["sample_id"] if "sample_id" in found else found.get("media_id", pd.Series("", found.index))
    first = ", ".join(f"row {number} ({name})" if name else f"row {number}" for number, name in names[:_NAMED].items())
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise DataError(f"{what}: {first}{more}", hint)


_SIMILAR = ("p_fake", "prob", "probability", "pred", "prediction", "predictions", "scores", "fake", "logit", "logits")


def _missing_score(table: Columns) -> str:
    near = [name for name in table if name in _SIMILAR]
    return f"rename the column {near[0]!r} to 'score', if it is P(fake) or its logit" if near else REQUIRED


def _column(values: pd.Series[Any], name: str, kind: str, file: Path) -> pd.Series[Any]:
    flat = _flat(values, name, file)
    if name in TEXTS:
        return flat.where(flat.notna(), "").astype(str).str.strip().map(normal)
    return _numbers(flat.map(_label) if name == "label" else flat, name, kind, file)


def _flat(values: pd.Series[Any], name: str, file: Path) -> pd.Series[Any]:
    """Take values out of lists of one; refuse longer ones, and records."""
    if values.dtype != object:
        return values
    nested = values.map(lambda v: isinstance(v, _NESTED)).to_numpy(bool)
    other = [(row, v) for row, v in values[nested].items() if isinstance(v, dict) or np.shape(v) != (1,)]
    if not other:
        return values.map(lambda v: v[0] if isinstance(v, _NESTED) else v) if nested.any() else values
    row, value = other[0]
    where = f"{file}: {name} of row {int(str(row)) + 1} is"
    if isinstance(value, dict):
        field = "fake" if "fake" in value else next(iter(value), "...")
        hint = f"give one of them, for example: df[{name!r}] = df[{name!r}].str[{field!r}]"
        raise DataError(f"{where} a record of {', '.join(map(str, value))}", hint)
    hint = f"give one value a row, for example the first: df[{name!r}] = df[{name!r}].str[0]"
    if name == "score" and np.shape(value) == (2,):
        hint = "of real and fake give the second, P(fake): df['score'] = df['score'].str[1]"
    raise DataError(f"{where} a list of {len(value)} values", hint)


def _label(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return read_label(value, "")
        except DataError:
            return value
    return value


def _numbers(values: pd.Series[Any], name: str, kind: str, file: Path) -> pd.Series[Any]:
    """Convert a column to float64. Decimal commas and percent signs are read where the whole column allows it."""
    percent = False
    if values.dtype == object or not pd.api.types.is_numeric_dtype(values):
        known = values.map(given, na_action=None)
        texts = known.dropna().str.replace("\u2212", "-").str.strip()
        percent = name == "score" and kind == "probability" and len(texts) > 0 and bool(texts.str.endswith("%").all())
        if percent:
            texts = texts.str.removesuffix("%").str.strip()
        if len(texts) and not texts.str.contains(".", regex=False).any():
            texts = texts.str.replace(",", ".", n=1, regex=False)
        numbers = pd.to_numeric(texts.map(_bool_as_number), errors="coerce")
        if numbers.isna().any():
            row = int(numbers.index[numbers.isna()][0])
            hint = _REAL_IS_0 if name == "label" else _number_hint(str(values[row]), name)
            raise DataError(f"{file}: {name} is not a number in row {row + 1}: {values[row]!r}", hint)
        values = numbers.reindex(values.index)
    found = values.astype(np.float64)
    return found / 100 if percent else found


def _bool_as_number(text: str) -> str:
    return {"True": "1", "False": "0"}.get(text, text)


def _number_hint(text: str, name: str) -> str:
    if "%" in text:
        return "write all scores in percent or none; with --kind logit none"
    if "," in text:
        return "write numbers without thousands separators, and all with the same decimal separator"
    if name == "score":
        return "where a detector failed, leave the score empty and set a status other than ok in a column 'status'"
    return "write a number in every row"


def whole_numbers(rows: pd.DataFrame, name: str, allowed: tuple[int, ...] | None, hint: str) -> NDArray[np.int64]:
    """Return a column as integers that are not negative, or among the allowed values.

    Raises:
        DataError: the column is missing, or a value is not allowed; the message names the rows.
    """
    if name not in rows:
        raise DataError(f"the file has no column {name!r}", REQUIRED)
    values = rows[name].to_numpy(np.float64)
    good = np.isin(values, allowed) if allowed is not None else (values >= 0) & (values == np.floor(values))
    refuse_rows(
        rows, ~good, f"values of {name!r} that are not {' or '.join(map(str, allowed or ('whole numbers',)))}", hint
    )
    return values.astype(np.int64)
