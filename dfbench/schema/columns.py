"""A table contract: named, typed, documented columns, from which the Arrow schema and the docs are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, whether nulls are allowed, and what it means.

    ``length`` is how many values every list of a list column has. It is checked here and not a part of the Arrow type:
    before version 26 Arrow could not read null lists of a fixed size back from Parquet.
    """

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    length: int | None = None


@dataclass(frozen=True)
class TableContract:
    """The columns of one of the five tables.

    Attributes:
        name: the table's name in messages and docs.
        columns: the columns in order.
        key: columns whose values together are unique, and which are never null.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    def schema(self, extra: Iterable[Column] = ()) -> pa.Schema:
        """The Arrow schema; each field carries its doc string as metadata."""
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable, metadata={"doc": c.doc}) for c in (*self.columns, *extra)
        )

    def check(self, table: pa.Table, where: str = "") -> None:
        """Check the columns, their types and lengths, empty cells where there must be none, and that no key repeats.

        Raises:
            DataError: with the column, or the first repeated key.
        """
        place = f" in {where}" if where else ""
        names = set(table.column_names)
        missing = [c.name for c in self.columns if c.name not in names]
        if missing:
            raise DataError(
                f"the {self.name} table{place} lacks the columns {', '.join(missing)}",
                "it was made by another version of dfbench, or by another program",
            )
        for column in self.columns:
            field = table.schema.field(column.name)
            if field.type != column.type:
                raise DataError(
                    f"column {column.name!r} of the {self.name} table{place} is {field.type}, expected {column.type}",
                    "it was made by another version of dfbench, or by another program",
                )
            if not column.nullable and table.column(column.name).null_count:
                raise DataError(f"column {column.name!r} of the {self.name} table{place} has empty cells")
            if column.length is not None:
                lengths = set(pc.unique(pc.list_value_length(table.column(column.name))).to_pylist())
                if other := sorted(lengths - {column.length, None}):
                    raise DataError(
                        f"column {column.name!r} of the {self.name} table{place} holds lists of "
                        f"{', '.join(map(str, other))} values, expected {column.length}"
                    )
        if self.key:
            counts = table.group_by(list(self.key)).aggregate([([], "count_all")])
            twice = counts.filter(pc.greater(counts["count_all"], 1))
            if len(twice):
                first = ", ".join(str(twice[k][0].as_py()) for k in self.key)
                raise DataError(
                    f"{len(twice)} keys stand more than once in the {self.name} table{place}, first: {first}"
                )
