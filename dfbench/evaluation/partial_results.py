"""Scores of an unfinished run, written after each condition, so that a killed run loses only one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.degrade import Condition
from dfbench.io import canonical_json, data_sha256, write_table

PARTIAL = "conditions"
"""Folder of the scores of finished conditions."""

_KEY = b"dfbench.run"


class ConditionScores:
    """The folder ``conditions`` of an unfinished run: one file per finished condition.

    Args:
        run: the run's folder.
        key: identifies what the scores depend on; files of another run or other versions are not used.
    """

    def __init__(self, run: Path, key: str) -> None:
        self.folder = run / PARTIAL
        self._key = key.encode()

    def each(self, conditions: tuple[Condition, ...], score: Callable[[Condition], pa.Table]) -> Iterator[pa.Table]:
        """Yield the scores under each condition, computed and stored where they are not stored yet."""
        for condition in conditions:
            table = self._load(condition)
            if table is None:
                table = score(condition)
                self._save(condition, table)
            yield table

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, condition: Condition) -> Path:
        return self.folder / f"{data_sha256(condition.name)[:16]}.parquet"

    def _load(self, condition: Condition) -> pa.Table | None:
        try:
            table = pq.read_table(self._file(condition))
        except (OSError, pa.ArrowException):
            return None
        metadata = table.schema.metadata or {}
        if metadata.get(_KEY) != self._key:
            return None
        return table.replace_schema_metadata({k: v for k, v in metadata.items() if k != _KEY} or None)

    def _save(self, condition: Condition, table: pa.Table) -> None:
        marked = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: self._key})
        write_table(self._file(condition), marked)


def partial_key(run_id: str, versions: dict[str, str]) -> str:
    """Return what the scores of an unfinished run depend on: its id and the libraries."""
    return canonical_json([run_id, versions], compact=False)
