"""Records of the finished runs of ``benchmarks/mini_detectors.py``: small files with all that its page needs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from mini_detectors_page import Line, Value

from dfbench.io import write_bytes, write_text


@dataclass(frozen=True, eq=False)
class Record:
    """One finished run.

    Attributes:
        identity: detector, seed, and what the run was made of.
        manifest: hash of the manifest.
        line: its figures.
        videos: subset -> real and fake test videos.
        scores: see :func:`video_scores`; None where the run is compared with no other.
    """

    identity: dict[str, Any]
    manifest: str
    line: Line
    videos: dict[str, tuple[int, int]]
    scores: pa.Table | None = None


class Records:
    """A folder of records, ``MODEL-seedN.json`` and ``MODEL-seedN.parquet``.

    Args:
        folder: made when the first record is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, identity: dict[str, Any]) -> Record | None:
        """Return the record of a run; None if there is none, or it was made of something else."""
        place = self._place(identity)
        if not place.is_file():
            return None
        found = json.loads(place.read_text("utf-8"))
        table = place.with_suffix(".parquet")
        if found["identity"] != identity or (found["scored"] and not table.is_file()):
            return None
        values = {name: Value(**value) for name, value in found["line"].pop("values").items()}
        videos = {subset: (int(real), int(fake)) for subset, (real, fake) in found["videos"].items()}
        scores = pq.read_table(table) if found["scored"] else None
        return Record(identity, found["manifest"], Line(**found["line"], values=values), videos, scores)

    def write(self, record: Record) -> None:
        """Write a record; the scores first, so that an interruption leaves none that lacks them."""
        place = self._place(record.identity)
        place.parent.mkdir(parents=True, exist_ok=True)
        if record.scores is not None:
            stream = pa.BufferOutputStream()
            pq.write_table(record.scores, stream, compression="zstd")
            write_bytes(place.with_suffix(".parquet"), stream.getvalue().to_pybytes())
        content = {
            "identity": record.identity,
            "manifest": record.manifest,
            "line": asdict(record.line),
            "videos": record.videos,
            "scored": record.scores is not None,
        }
        write_text(place, json.dumps(content, indent=1) + "\n")

    def _place(self, identity: dict[str, Any]) -> Path:
        return self._folder / f"{identity['model']}-seed{identity['seed']}.json"


def video_scores(scores: pa.Table, subset: str) -> pa.Table:
    """Return one row for every video of a subset, whose score is the mean of its frames.

    Metrics of the level ``video.mean`` are the same as those of the frames.

    Args:
        scores: table of :data:`dfbench.schema.scores.SCORES`.
        subset: compression.
    """
    table = scores.filter(pc.equal(scores["subset"], subset))
    media, values = np.array(table["media_id"].to_pylist()), table["score"].to_numpy()
    kept, means = [], []
    for name in dict.fromkeys(media.tolist()):
        places = np.flatnonzero(media == name)
        scored = places[~np.isnan(values[places])]
        kept.append(int(scored[0] if len(scored) else places[0]))
        means.append(math.fsum(values[scored]) / len(scored) if len(scored) else None)
    rows = table.take(pa.array(kept, pa.int64()))
    field = rows.schema.get_field_index("score")
    rows = rows.set_column(field, rows.schema.field(field), pa.array(means, pa.float64()))
    place = rows.schema.get_field_index("logits")
    return rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), rows.schema.field(place).type))
