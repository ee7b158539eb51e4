"""A scores table of a million rows: exact metrics, bounded time and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

import dfbench
from dfbench.metrics import compute_metrics
from dfbench.schema.scores import SCORES

pytestmark = pytest.mark.long

GROUPS, FRAMES = 6250, 32
METHODS = ("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
ROWS = GROUPS * len(METHODS) * FRAMES


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """A million frames: 6,250 scene groups, a real and four fakes in each, 32 frames per clip; one frame in 50 lost."""
    rng = np.random.default_rng(0)
    clip = np.arange(ROWS) // FRAMES
    group, method = clip // len(METHODS), clip % len(METHODS)
    label = (method > 0).astype(np.int8)
    logit = rng.normal(size=ROWS) + rng.normal(size=GROUPS)[group] + (0.4 + 0.3 * method) * label - 0.5
    lost = rng.random(ROWS) < 0.02
    names = np.array(METHODS)[method]
    media = np.char.add(np.char.add("big/all/", np.char.add(names, "/")), np.char.mod("%05d", group))
    columns = {
        "sample_id": np.char.add(np.char.add(media, "#"), np.char.mod("%06d.0", np.arange(ROWS) % FRAMES)),
        "media_id": media,
        "dataset": ["big"] * ROWS,
        "subset": ["all"] * ROWS,
        "manipulation": names,
        "split": ["test"] * ROWS,
        "scene_group": np.char.mod("big/%05d", group),
        "label": label,
        "class": names,
        "condition": ["clean"] * ROWS,
        "model": ["simulated"] * ROWS,
        "run_id": ["run-1"] * ROWS,
        "status": np.where(lost, "no_face", "ok"),
        "score": pa.array(expit(logit), mask=lost),
        "logits": pa.nulls(ROWS, SCORES.schema().field("logits").type),
    }
    fields = [field for field in SCORES.schema() if field.name in columns]
    assert ROWS == 1_000_000
    return pa.table([pa.array(columns[f.name]).cast(f.type) for f in fields], schema=pa.schema(fields))


def test_metrics_of_a_million_rows(table: pa.Table, record: Callable[[str], None]) -> None:
    names = ["acc.frame", "auc.frame", "ap.frame", "eer.frame", "auc.video.mean"]
    started = time.process_time()
    values = compute_metrics(table, names, resamples=100)
    took = time.process_time() - started
    record(f"{len(values)} values with intervals of {ROWS:,} rows in {took:.0f} s of one CPU core")
    assert took < 300

    frame = table.select(["manipulation", "label", "score", "status", "media_id"]).to_pandas()
    frame = frame[frame["status"] == "ok"]
    for method in ("all", "Deepfakes"):
        part = frame if method == "all" else frame[frame["manipulation"].isin(["real", method])]
        videos = part.groupby("media_id").agg(label=("label", "first"), score=("score", "mean"))
        found = {v.name: v for v in values if v.manipulation == method}
        assert found["auc.frame"].value == pytest.approx(roc_auc_score(part["label"], part["score"]), abs=1e-12)
        assert found["ap.frame"].value == pytest.approx(
            average_precision_score(part["label"], part["score"]), abs=1e-10
        )
        assert found["auc.video.mean"].value == pytest.approx(
            roc_auc_score(videos["label"], videos["score"]), abs=1e-12
        )
        assert found["acc.frame"].value == pytest.approx(np.mean((part["score"] >= 0.5) == part["label"]), abs=1e-12)
        assert found["acc.frame"].coverage == pytest.approx(0.98, abs=0.001)
        for value in found.values():
            assert value.low < value.value < value.high
            assert value.high - value.low < 0.03


def test_memory_of_a_million_rows(table: pa.Table, tmp_path: Path, record: Callable[[str], None]) -> None:
    pytest.importorskip("resource", reason="peak memory is measured on POSIX systems only")
    pq.write_table(table, tmp_path / "scores.parquet")
    code = (
        "import re, resource, sys, pyarrow.parquet as pq; from dfbench.metrics import compute_metrics;"
        "from pathlib import Path;"
        # Of a child process, Linux counts the memory of its parent too, except in this file.
        "status = Path('/proc/self/status');"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', status.read_text())[1]) if status.is_file() "
        "else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "table = pq.read_table(sys.argv[1]);"
        "before = peak(); compute_metrics(table, ['auc.frame', 'auc.video.mean'], resamples=100);"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "scores.parquet")], capture_output=True, text=True, check=True
    )
    peak = int(done.stdout) * (1 if sys.platform == "darwin" else 1024)
    record(f"at most {peak / 2**20:,.0f} MiB beside the table")
    assert 0 < peak < 3 * 2**30


def test_a_million_rows_of_another_program_become_a_run(
    table: pa.Table, tmp_path: Path, record: Callable[[str], None]
) -> None:
    file = tmp_path / "theirs.parquet"
    theirs = table.drop_columns(["sample_id", "class", "model", "run_id", "logits", "split"])
    pq.write_table(theirs.append_column("frame_index", pa.array(np.arange(ROWS) % FRAMES)), file)
    started = time.process_time()
    run = dfbench.import_scores(file, tmp_path / "run")
    took = time.process_time() - started
    record(f"{took:.0f} s of CPU time")
    assert run.scores_table.num_rows == ROWS
    assert took < 600
    assert len(dfbench.open_run(tmp_path / "run").scores) == ROWS
