"""``prepare-log.jsonl`` beside a manifest: the events of runs, one JSON object per line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dfbench.io import open_for_appending, translate_os_errors
from dfbench.storage import StoredPath

SECONDS_BETWEEN_WRITES = 30.0
"""How often at most the log in an object store is written while shards are made."""

LOG_COLUMNS = ("media_id", "status", "reason")


class EventLog:
    """A log file that lines are appended to; nothing depends on its content.

    Args:
        path: the file; earlier lines are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] | None = None
        self._written = 0.0

    def write(self, event: str, at: datetime | None = None, **fields: Any) -> None:
        """Append a line.

        Args:
            event: name of the event.
            at: time of the event; default: now.
            fields: plain values.

        Raises:
            SetupError: the file cannot be written.
        """
        moment = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": moment, "event": event, **fields}, ensure_ascii=False)
        if isinstance(self._path, StoredPath):
            self._store(self._path, line, event not in ("clip", "shard", "death"))
            return
        with translate_os_errors(self._path), open_for_appending(self._path) as stream:
            stream.write(line + "\n")

    def _store(self, path: StoredPath, line: str, now: bool) -> None:
        # Objects cannot be appended to. The log as a whole is written again, not for every line.
        with translate_os_errors(path):
            if self._lines is None:
                self._lines = path.read_text("utf-8").splitlines() if path.is_file() else []
            self._lines.append(line)
            if now or time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
                path.write_bytes("".join(f"{one}\n" for one in self._lines).encode("utf-8", "backslashreplace"))
                self._written = time.monotonic()


def log_name(slug: str = "") -> str:
    """Return the log's file name; every array-job part has its own.

    >>> log_name(), log_name("1-of-4")
    ('prepare-log.jsonl', 'prepare-log-1-of-4.jsonl')
    """
    return f"prepare-log-{slug}.jsonl" if slug else "prepare-log.jsonl"


def clip_problems(rows: pa.Table) -> Iterable[dict[str, Any]]:
    """Yield the problems of a shard's clips: one dictionary per clip, status and reason.

    Args:
        rows: with :data:`LOG_COLUMNS`.
    """
    found: dict[tuple[str, str, str], int] = {}
    for row in zip(*(rows[name].to_pylist() for name in LOG_COLUMNS), strict=True):
        if row[1] != "ok":
            found[row] = found.get(row, 0) + 1
    for (media_id, status, reason), number in found.items():
        yield {"media_id": media_id, "status": status, "reason": reason, "rows": number}
