"""Table contracts: named, typed, documented columns, from which Arrow schemas and the docs are generated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its name.
        type: its Arrow type.
        doc: its meaning.
        nullable: whether nulls are allowed.
        length: number of values in every list of a list column; None: any. It is checked here and is not a part of
            the Arrow type: before version 26, Arrow could not read null lists of a fixed size from Parquet.
        optional: whether a table may lack the column, because older versions did not write it.
    """

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    length: int | None = None
    optional: bool = False


@dataclass(frozen=True)
class TableContract:
    """The columns of one of the five tables.

    Attributes:
        name: the table's name in messages and docs.
        columns: the columns in order.
        key: columns that are unique together and never null.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    def schema(self, extra: Iterable[Column] = ()) -> pa.Schema:
        """Return the Arrow schema; every field has its documentation as metadata."""
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"doc": c.doc}) for c in (*self.columns, *extra)
        )

    def check(self, table: pa.Table, where: str = "") -> None:
        """Check that columns, types, lengths, nulls and keys are valid.

        Args:
            table: the table.
            where: its file, for messages.

        Raises:
            DataError: naming the column or the first repeated key.
        """
        location = f" in {where}" if where else ""
        names = set(table.column_names)
        missing = [c.name for c in self.columns if c.name not in names and not c.optional]
        if missing:
            raise DataError(
                f"the {self.name} table{location} lacks the columns {', '.join(missing)}",
                "it was written by another version of dfbench or by another program",
            )
        for column in (c for c in self.columns if c.name in names):
            field = table.schema.field(column.name)
            if field.type != column.type:
                raise DataError(
                    f"column {column.name!r} of the {self.name} table{location} is {field.type}, "
                    f"expected {column.type}",
                    "it was written by another version of dfbench or by another program",
                )
            if not column.nullable and table.column(column.name).null_count:
                raise DataError(f"column {column.name!r} of the {self.name} table{location} has null values")
            if column.length is not None:
                lengths = set(pc.unique(pc.list_value_length(table.column(column.name))).to_pylist())
                if other := sorted(lengths - {column.length, None}):
                    raise DataError(
                        f"column {column.name!r} of the {self.name} table{location} holds lists of "
                        f"{', '.join(map(str, other))} values, expected {column.length}"
                    )
        if self.key:
            counts = table.group_by(list(self.key)).aggregate([([], "count_all")])
            twice = counts.filter(pc.greater(counts["count_all"], 1))
            if len(twice):
                first = ", ".join(str(twice[k][0].as_py()) for k in self.key)
                raise DataError(
                    f"{len(twice)} keys occur more than once in the {self.name} table{location}, first: {first}"
                )
