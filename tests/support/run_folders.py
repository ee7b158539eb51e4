"""Run folders with synthetic scores, made by the same functions that evaluation calls."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.image import imsave

from dfbench.degrade import severity_condition
from dfbench.metrics import compute_metrics, coverage_rows
from dfbench.metrics.robustness import ConditionOrigin, robustness
from dfbench.schema.ids import media_id, sample_id
from dfbench.schema.result import ManifestRef, ProtocolRef, RunResult, WeightsRef
from dfbench.schema.scores import EXAMPLES, SCORES

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
NAMES = tuple(f"{m}.{level}" for level in ("frame", "video.mean") for m in ("acc", "bacc", "auc", "eer"))
FAMILIES = ("jpeg", "median", "gamma")
CONDITIONS = [severity_condition(name, level) for name in FAMILIES for level in range(1, 6)]


def scores_table(
    model: str = "grnet", run_id: str = "run-1", pairs: int = 20, frames: int = 4, gap: float = 1.5, seed: int = 0
) -> pa.Table:
    """Scores of an FF++-like test part in c23 and c40; every 37th sample has no face."""
    rng = np.random.default_rng(seed)
    rows = []
    for subset in ("c23", "c40"):
        for pair in range(pairs):
            a, b = f"{2 * pair:03d}", f"{2 * pair + 1:03d}"
            clips = [("real", a), ("real", b)] + [(m, n) for m in METHODS for n in (f"{a}_{b}", f"{b}_{a}")]
            for method, name in clips:
                clip = media_id("mini", subset, method, name)
                fake = method != "real"
                for frame in range(frames):
                    logit = rng.normal() + (gap * (0.6 if subset == "c40" else 1) if fake else 0)
                    ok = len(rows) % 37 != 5
                    rows.append(
                        {
                            "sample_id": sample_id(clip, frame),
                            "media_id": clip,
                            "dataset": "mini",
                            "subset": subset,
                            "manipulation": method,
                            "split": "test",
                            "scene_group": f"mini/{a}",
                            "label": int(fake),
                            "class": method,
                            "condition": "clean",
                            "model": model,
                            "run_id": run_id,
                            "status": "ok" if ok else "no_face",
                            "score": float(1 / (1 + np.exp(-logit))) if ok else None,
                            "logits": [0.0, float(logit)] if ok else None,
                        }
                    )
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def result_of(scores: pa.Table, *, profile: str = "native", names: tuple[str, ...] = NAMES, **changes) -> RunResult:
    """The result of a scores table."""
    facts = {"profile": profile, "size": 128, "seed": 7}
    values = compute_metrics(scores, names, resamples=200, seed=0, failure_policy="exclude")
    fields = {
        "run_id": scores["run_id"][0].as_py(),
        "model": scores["model"][0].as_py(),
        "protocol": ProtocolRef(name="mini", version=1, hash="ab" * 32),
        "manifests": (
            ManifestRef(
                name="mini", dataset="mini", hash="cd" * 32, profile=profile, sizes=(128,), geometry="own",
                decoder="pyav", face_detector="centerface",
            ),
        ),
        "weights": WeightsRef(sha256="ef" * 32, card={"bibtex": "@article{guo2023,\n title={GRnet}}", "seed": 7}),
        "versions": {"numpy": "2", "torch": "2"},
        "device": "cpu",
        "started": "2026-01-01T00:00:00",
        "seconds": 12.0,
        "selection": {"split": "val", "metric": "auc.video.mean"},
        "failure_policy": "exclude",
        "coverage": tuple(coverage_rows(scores)),
        "metrics": tuple(value.model_copy(update=facts) for value in values),
        "mini": True,
    }  # fmt: skip
    return RunResult(**(fields | changes))


def grey_png(level: float) -> bytes:
    """Return a small PNG file of one grey level in [0,1]."""
    stream = io.BytesIO()
    imsave(stream, np.full((16, 16, 3), level), format="png")
    return stream.getvalue()


def write_run(folder: Path, scores: pa.Table, result: RunResult, examples: bool = True) -> Path:
    """Write a run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(scores, folder / "scores.parquet")
    digest = hashlib.sha256((folder / "scores.parquet").read_bytes()).hexdigest()
    result = result.model_copy(update={"scores_sha256": digest})
    (folder / "result.json").write_text(json.dumps(result.model_dump(mode="json")), "utf-8")
    if examples:
        taken = scores.slice(0, 4).select(["sample_id", "media_id", "manipulation", "label", "score"]).to_pylist()
        rows = [
            row
            | {"kind": "worst" if i else "typical", "crop": grey_png(0.4), "residual": grey_png(0.8) if i % 2 else None}
            for i, row in enumerate(taken)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=EXAMPLES.schema()), folder / "examples.parquet")
    return folder


def suite_run(
    folder: Path, model: str, run_id: str, strength: float, clean: pa.Table | None = None, **changes: object
) -> Path:
    """A run under :data:`CONDITIONS`: the higher the severity, the more of the fakes' scores is taken away."""
    clean = scores_table(model, run_id, frames=1) if clean is None else clean
    parts = [clean]
    for condition in CONDITIONS:
        score = clean["score"].to_numpy()
        fake = clean["label"].to_numpy() == 1
        moved = np.where(fake, score * (1 - strength * (condition.severity or 0) / 5), score)
        columns = {name: clean[name] for name in clean.column_names} | {
            "score": pa.array(moved, mask=np.isnan(moved)),
            "condition": pa.array([condition.name] * len(clean)),
        }
        parts.append(pa.table(columns, schema=SCORES.schema()))
    scores = pa.concat_tables(parts).combine_chunks()
    origins = {c.name: ConditionOrigin(c.family, c.severity) for c in CONDITIONS}
    names = ("acc.video.mean", "auc.video.mean")
    found = tuple(robustness(scores, names, origins, resamples=50))
    result = result_of(scores, names=names, robustness=found, **changes)
    return write_run(folder, scores, result, examples=False)
