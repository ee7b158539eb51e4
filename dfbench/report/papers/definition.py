"""Definitions of paper tables: which published numbers they have, and which dfbench results belong beside each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dfbench.errors import DataError, unknown_name
from dfbench.protocols.files import TABLES
from dfbench.resources import protocols_folder
from dfbench.schema.published import PublishedNumber, rows_where


class _TableModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OwnResult(_TableModel):
    """Which dfbench result belongs in a cell."""

    protocol: str = Field(description="name, with its variant")
    metric: str = Field(description="metric, level and aggregation")
    dataset: str
    subset: str = "all"
    manipulation: str = "all"
    condition: str = Field(default="clean", description="test condition")


class PaperColumn(_TableModel):
    """One column of numbers."""

    head: str
    published: dict[str, str] | None = Field(
        default=None, description="filter of the published numbers of the column; None: there are none"
    )
    ours: OwnResult | None = Field(default=None, description="None: no dfbench result belongs here")
    average_of: tuple[str, ...] = Field(default=(), description="headers of the columns that it averages")
    across: bool = Field(
        default=False, description="the average is of the manipulations alone that the detector was not trained on"
    )
    lower_is_better: bool = False


class PaperMethod(_TableModel):
    """One row: a method with its name in the paper."""

    method: str = Field(default="", description="as published; empty: no published row")
    label: str = Field(default="", description="printed name; empty: the method")
    where: dict[str, str] = Field(default_factory=dict, description="distinguishes rows of one method")
    model: str = Field(default="", description="dfbench detector; empty: there is none")
    preset: str = Field(default="", description="preset of the detector; empty: its defaults")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the detector other than those")
    training_method: str = Field(default="", description="training method; empty: that of the detector")
    method_options: dict[str, Any] = Field(
        default_factory=dict, description="options of the training method other than its defaults"
    )
    protocol: str = Field(default="", description="protocol that replaces those of the columns")
    trained_on: str = Field(default="", description="in a matrix: what it is trained on; set by the table")

    @property
    def name(self) -> str:
        """The printed name of the row."""
        words = [self.model, *([self.preset] if self.preset else []), *(f"{k}={v}" for k, v in self.options.items())]
        words += [f"+ {self.training_method}"] if self.training_method else []
        words += [f"{k}={v}" for k, v in self.method_options.items()]
        return self.label or self.method or " ".join(words)


class MatrixLine(_TableModel):
    """In a matrix: one set of training data, which gives every method a line of its own."""

    label: str
    protocol: str = Field(description="protocol that trains on it and tests every column")
    where: dict[str, str] = Field(default_factory=dict, description="filter of the published numbers of the line")


class BaselineRow(_TableModel):
    """A trivial baseline: a result that follows from published counts."""

    name: str
    values: dict[str, float] = Field(description="by column header, in the scale of the table")
    basis: str = Field(description="how the values follow from published counts")


class PaperTable(_TableModel):
    """The definition of one table."""

    name: str
    title: str
    published: dict[str, str] | None = Field(
        default=None, description="filter of all published numbers of the table; None: there are none"
    )
    decimals: int = Field(default=2, ge=0, description="decimals of the paper")
    column: tuple[PaperColumn, ...] = Field(min_length=1)
    row: tuple[PaperMethod, ...] = Field(min_length=1)
    train: tuple[MatrixLine, ...] = Field(default=(), description="makes the table a matrix: a line for each")
    baseline: tuple[BaselineRow, ...] = ()
    note: tuple[str, ...] = Field(default=(), description="rules in which the published numbers differ from dfbench")
    same_training: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="protocol -> other protocols its weights may have been trained by"
    )

    def protocols(self) -> tuple[str, ...]:
        """The protocols whose runs can fill a cell, in the order of columns and rows."""
        of_rows = [row.protocol for row in self.row if row.protocol]
        of_columns = [column.ours.protocol for column in self.column if column.ours] if not self.train else []
        return tuple(dict.fromkeys([*of_columns, *of_rows, *(data.protocol for data in self.train)]))

    def lines_of(self, row: PaperMethod) -> tuple[PaperMethod, ...]:
        """Return the lines of a method: itself, or in a matrix one for each set of training data."""
        if not self.train:
            return (row,)
        return tuple(
            row.model_copy(
                update={"protocol": data.protocol, "trained_on": data.label, "where": row.where | data.where}
            )
            for data in self.train
        )

    def cells_of(self, row: PaperMethod) -> list[tuple[OwnResult, PaperMethod]]:
        """Return the dfbench results that belong in the cells of a method, each with its line."""
        lines = self.lines_of(row)
        return [(ours, line) for line in lines for column in self.column if (ours := self.ours(column, line))]

    def numbers(self, published: Iterable[PublishedNumber]) -> tuple[PublishedNumber, ...]:
        """Return the published numbers of the table."""
        return () if self.published is None else rows_where(published, self.published)

    def ours(self, column: PaperColumn, row: PaperMethod) -> OwnResult | None:
        """Return which dfbench result belongs in a cell."""
        if column.ours is None or not row.protocol:
            return column.ours
        return column.ours.model_copy(update={"protocol": row.protocol})


def table_files() -> dict[str, Path]:
    """Names and files of the definitions that ship with dfbench."""
    return {file.stem: file for file in sorted((protocols_folder() / TABLES).glob("*.toml"))}


def table_names() -> tuple[str, ...]:
    """Return the names of the tables.

    >>> "grnet-5" in table_names()
    True
    """
    return tuple(table_files())


def load_table(name: str) -> PaperTable:
    """Read the definition of a table.

    Raises:
        UsageError: unknown table.
        DataError: its file is damaged.
    """
    files = table_files()
    if name not in files:
        raise unknown_name("table", name, files, "dfbench list tables")
    try:
        found = PaperTable.model_validate(tomllib.loads(files[name].read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(f"{files[name]} is not a valid table definition: {error}", "reinstall dfbench") from error
    heads = {column.head for column in found.column}
    astray = {h for c in found.column for h in c.average_of} | {h for f in found.baseline for h in f.values}
    if found.name != name or astray - heads:
        raise DataError(f"{files[name]} has the name {found.name!r} and the unknown columns {sorted(astray - heads)}")
    return found
