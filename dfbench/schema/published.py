"""The published table: one published number per row, with the rule by which it was computed."""

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
    table: str = Field(description="table of the source")
    task: str = Field(description="binary or multi")
    method: str = Field(min_length=1, description="name of the method as printed")
    train_set: str = Field(description="training data")
    test_set: str = Field(description="test data")
    condition: str = Field(description="test condition: 'clean' or a degradation")
    level: str = Field(description="frame, video, or what the source says about it")
    metric: str = Field(min_length=1, description="name of the metric")
    value: float = Field(description="the number as printed, in percent or as a fraction")
    where: str = Field(min_length=1, description="exact location in the source, and what was inferred")

    @property
    def scale(self) -> Literal["percent", "fraction"]:
        """Whether the value is in percent or a fraction; values are stored as printed."""
        return "percent" if abs(self.value) > 1.0 else "fraction"


def load_published(file: Path) -> tuple[PublishedNumber, ...]:
    """Read and validate a CSV of published numbers.

    Args:
        file: a CSV with the fields of :class:`PublishedNumber` as columns.

    Raises:
        DataError: a row is invalid; the message names its line.
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
    """Return the numbers whose columns have the given values.

    Args:
        rows: published numbers.
        where: column -> value as text; an unknown column matches nothing.
    """
    return tuple(row for row in rows if all(str(getattr(row, name, "")) == value for name, value in where.items()))
