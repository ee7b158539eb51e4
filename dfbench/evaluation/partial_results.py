"""Scores of an unfinished run, written every few batches, so that a killed run loses no more than these."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfbench.degrade import Condition
from dfbench.io import canonical_json, data_sha256, write_bytes, write_table
from dfbench.storage import working_path

PARTIAL = "conditions"
"""Folder of the scores of finished conditions, and of the logits of the first samples under an unfinished one."""

_KEY = b"dfbench.run"


class LogitParts:
    """The logits of the first samples under one condition: a folder of files ``START.npy``, float32 (K, C) each.

    Args:
        folder: the folder; its name identifies all that the logits depend on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def load(self) -> NDArray[np.float32]:
        """Return the logits of the first samples, (K, C), as far as they are stored without a gap; (0, 0) if none."""
        parts: list[NDArray[np.float32]] = []
        while (part := self._read(self._count)) is not None and (not parts or part.shape[1] == parts[0].shape[1]):
            parts.append(part)
            self._count += len(part)
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def add(self, logits: NDArray[np.float32]) -> None:
        """Store the logits of the next samples."""
        stream = BytesIO()
        np.save(stream, logits)
        write_bytes(self._folder / f"{self._count}.npy", stream.getbuffer(), sync=False)
        self._count += len(logits)

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, start: int) -> NDArray[np.float32] | None:
        try:
            part: NDArray[np.float32] = np.load(self._folder / f"{start}.npy")
        except (OSError, ValueError, EOFError):
            return None
        return part if part.ndim == 2 and part.dtype == np.float32 and len(part) else None


class ConditionScores:
    """The folder ``conditions`` of an unfinished run: one file per finished condition.

    Args:
        run: the run's folder; for that of a URL, the scores of an unfinished run are on this machine.
        key: identifies what the scores depend on; files of another run or other versions are not used.
    """

    def __init__(self, run: Path, key: str) -> None:
        self.folder = working_path(run) / PARTIAL
        self._key = key.encode()

    def each(
        self,
        conditions: tuple[Condition, ...],
        score: Callable[[Condition, LogitParts], pa.Table],
        scored: Sequence[str],
    ) -> Iterator[pa.Table]:
        """Yield the scores under each condition, computed and stored where they are not stored yet.

        Args:
            conditions: in the order of evaluation.
            score: computes the scores under a condition, and stores those of the first samples on the way.
            scored: what the logits of a sample depend on besides condition and run, and the samples in order.
        """
        for condition in conditions:
            table = self._load(condition)
            if table is None:
                name = data_sha256("\n".join([self._key.decode(), condition.name, *scored]))[:16]
                parts = LogitParts(self.folder / name)
                table = score(condition, parts)
                self._save(condition, table)
                parts.clear()
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
