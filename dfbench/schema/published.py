"""The published table: one number somebody printed, with the rule it was made by."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dfbench.errors import DataError


class PublishedNumber(BaseModel):
    """One row of ``manifests/published_results.csv``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1, description="citation key of the paper or page")
    table: str = Field(description="table it stands in")
    task: str = Field(description="binary or multi")
    method: str = Field(min_length=1)
    train_set: str
    test_set: str
    condition: str
    level: str = Field(description="frame, video, or what is known of it")
    metric: str = Field(min_length=1)
    value: float
    where: str = Field(min_length=1, description="where exactly it was read, and what was inferred")

    @property
    def scale(self) -> Literal["percent", "fraction"]:
        """Papers print percent or fractions; values are kept verbatim."""
        return "percent" if abs(self.value) > 1.0 else "fraction"


def load_published(file: Path) -> tuple[PublishedNumber, ...]:
    """Read and validate a CSV of published numbers.

    Raises:
        DataError: a row does not fit; the message names its line.
    """
    rows: list[PublishedNumber] = []
    with file.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            try:
                rows.append(PublishedNumber.model_validate(row))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise DataError(f"{file.name} line {number}: {where}: {first['msg']}") from error
    return tuple(rows)


def rows_where(rows: Iterable[PublishedNumber], where: Mapping[str, str]) -> tuple[PublishedNumber, ...]:
    """The numbers whose columns have the given values; a column that does not exist has none."""
    return tuple(row for row in rows if all(str(getattr(row, name, "")) == value for name, value in where.items()))
