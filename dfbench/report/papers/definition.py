"""Definitions of papers' tables: which published numbers stand in them, and which of ours belong beside each."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dfbench.errors import DataError, unknown_name
from dfbench.protocols.files import TABLES
from dfbench.resources import protocols_folder


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ours(_Frozen):
    """Which of our numbers belongs in a cell."""

    protocol: str = Field(description="name, with its variant")
    metric: str = Field(description="metric, level and aggregation")
    dataset: str
    subset: str = "all"
    manipulation: str = "all"
    condition: str = Field(default="clean", description="test condition")


class Column(_Frozen):
    """One column of numbers."""

    head: str
    published: dict[str, str] | None = Field(
        default=None, description="what the published numbers of the column have in common; None: there are none"
    )
    ours: Ours | None = Field(default=None, description="None: no number of ours stands here")
    average_of: tuple[str, ...] = Field(default=(), description="heads of the columns that it averages")
    lower_is_better: bool = False


class Method(_Frozen):
    """One row: a method as the paper names it."""

    method: str = Field(default="", description="as published; empty: no published row")
    label: str = Field(default="", description="what the table prints; empty: the method")
    where: dict[str, str] = Field(default_factory=dict, description="tells rows of one method apart")
    model: str = Field(default="", description="the detector here; empty: there is none")
    options: dict[str, Any] = Field(default_factory=dict, description="of the detector, where not its defaults")
    protocol: str = Field(default="", description="in place of the columns'")

    @property
    def name(self) -> str:
        """What the table calls the row."""
        return self.label or self.method or " ".join([self.model, *(f"{k}={v}" for k, v in self.options.items())])


class Floor(_Frozen):
    """A row that costs nothing: what answering without looking reaches."""

    name: str
    values: dict[str, float] = Field(description="by head of column, in the scale of the table")
    basis: str = Field(description="how the values follow from published counts")


class PaperTable(_Frozen):
    """The definition of one table."""

    name: str
    title: str
    published: dict[str, str] = Field(description="what all published numbers of the table have in common")
    decimals: int = Field(default=2, ge=0, description="as the paper prints")
    column: tuple[Column, ...] = Field(min_length=1)
    row: tuple[Method, ...] = Field(min_length=1)
    floor: tuple[Floor, ...] = ()
    note: tuple[str, ...] = Field(default=(), description="rules in which the published numbers differ from ours")
    same_training: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="protocol -> others by which its weights may have been trained"
    )

    def protocols(self) -> tuple[str, ...]:
        """The protocols whose runs can fill a cell, in the order of columns and rows."""
        of_columns = [column.ours.protocol for column in self.column if column.ours]
        of_rows = [row.protocol for row in self.row if row.protocol]
        return tuple(dict.fromkeys([*of_columns, *of_rows]))

    def ours(self, column: Column, row: Method) -> Ours | None:
        """What belongs in a cell."""
        if column.ours is None or not row.protocol:
            return column.ours
        return column.ours.model_copy(update={"protocol": row.protocol})


def table_files() -> dict[str, Path]:
    """Names and files of the definitions that ship with dfbench."""
    return {file.stem: file for file in sorted((protocols_folder() / TABLES).glob("*.toml"))}


def table_names() -> tuple[str, ...]:
    """Names of the tables.

    >>> "grnet-5" in table_names()
    True
    """
    return tuple(table_files())


def load_table(name: str) -> PaperTable:
    """The definition of a table.

    Raises:
        UsageError: there is no table of that name.
        DataError: its file is damaged.
    """
    files = table_files()
    if name not in files:
        raise unknown_name("table", name, files, "dfbench list tables")
    try:
        found = PaperTable.model_validate(tomllib.loads(files[name].read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(f"{files[name]} is no definition of a table: {error}", "install dfbench again") from error
    heads = {column.head for column in found.column}
    astray = {h for c in found.column for h in c.average_of} | {h for f in found.floor for h in f.values}
    if found.name != name or astray - heads:
        raise DataError(f"{files[name]} names itself {found.name!r} and the columns {sorted(astray - heads)}")
    return found
