"""What sharing the base clip's geometry changes, measured on the mini data set.

    python benchmarks/geometry.py --work DIR [--pairs TRAIN,TEST] [--json FILE] [--markdown docs/geometry.md]

Prepares one mini tree (c23; its fakes lie on the pixels of their bases, as in FF++) twice, with own and with shared
geometry, and compares: how far the landmarks lie apart and from the truth, how much the crops differ, and how well a
classifier that sees no image, only whether a face was found, its scale, roll and score, tells fakes from reals. The
classifier learns on the training pairs; its AUC on the test pairs has a 95 % interval from a bootstrap over pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dfbench.manifest.manifest import Manifest
from dfbench.mini import MiniSettings, generate
from dfbench.mini.tree import truth_path
from dfbench.preparation.prepare import prepare

SEED = 20261121
FRAMES, SIZE = 8, 128
RESAMPLES = 2000
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
Floats = NDArray[np.float64]


def prepared(root: Path, out: Path, geometry: str) -> tuple[Manifest, float]:
    start = time.perf_counter()
    manifest = prepare(
        "ff++", root, out, frames=FRAMES, sizes=[SIZE], subsets=["c23"], geometry=geometry, workers=1, quiet=True
    )
    return manifest, time.perf_counter() - start


def points(rows: pd.DataFrame) -> Floats:
    """Landmarks (n, 5, 2)."""
    return np.stack(rows["landmarks"].to_numpy()).astype(np.float64).reshape(-1, 5, 2)


def eye_distance(landmarks: Floats) -> Floats:
    return np.asarray(np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=1), np.float64)


def truth_of(root: Path, rows: pd.DataFrame) -> Floats:
    """True landmarks (n, 5, 2) of the main person; NaN where nobody is there."""
    out, known = [], {}
    for media_id, frame in zip(rows["media_id"], rows["frame_index"], strict=True):
        _, _, manipulation, name = media_id.split("/")
        if media_id not in known:
            with np.load(root / truth_path(manipulation, name)) as truth:
                known[media_id] = truth["landmarks"][:, 0]
        out.append(known[media_id][frame])
    return np.stack(out).astype(np.float64)


def errors(root: Path, rows: pd.DataFrame) -> Floats:
    """Mean distance of the five landmarks from the truth, in per cent of the distance of the true eyes."""
    truth = truth_of(root, rows)
    return np.asarray(100 * np.linalg.norm(points(rows) - truth, axis=2).mean(axis=1) / eye_distance(truth), np.float64)


def compare_landmarks(root: Path, own: Manifest, shared: Manifest) -> dict[str, Any]:
    a, b = own.to_pandas(), shared.to_pandas()
    both = a.merge(b, on="sample_id", suffixes=("", "_shared"))
    both = both[(both["status"] == "ok") & (both["status_shared"] == "ok")]
    fakes = both[both["label"] == 1]
    other = fakes.drop(columns=["landmarks"]).rename(columns={"landmarks_shared": "landmarks"})
    apart = np.linalg.norm(points(fakes) - points(other), axis=2).mean(axis=1)
    relative = 100 * apart / eye_distance(points(fakes))
    table: dict[str, Any] = {
        "fake frames compared": len(fakes),
        "landmarks apart, source pixels, median": float(np.median(apart)),
        "landmarks apart, % of eye distance, median": float(np.median(relative)),
        "landmarks apart, % of eye distance, 95th percentile": float(np.percentile(relative, 95)),
    }
    by_method = {m: float(np.median(relative[fakes["manipulation"] == m])) for m in sorted(set(fakes["manipulation"]))}
    table["median by method, % of eye distance"] = by_method
    table["error of fakes, own, % of eye distance, median"] = float(np.nanmedian(errors(root, fakes)))
    table["error of fakes, shared, % of eye distance, median"] = float(np.nanmedian(errors(root, other)))
    table["error of reals, % of eye distance, median"] = float(np.nanmedian(errors(root, both[both["label"] == 0])))
    ids = fakes["sample_id"].tolist()
    differences = [
        float(np.abs(x.astype(int) - y.astype(int)).mean())
        for x, y in zip(own.crops(ids, SIZE), shared.crops(ids, SIZE), strict=True)
    ]
    table["crops differ, mean grey levels, median"] = float(np.median(differences))
    table["crops differ, mean grey levels, 95th percentile"] = float(np.percentile(differences, 95))
    return table


def clip_features(frame: pd.DataFrame) -> tuple[Floats, NDArray[np.int64], NDArray[np.str_]]:
    """One row a clip: share of frames with a face, then mean and deviation of log scale, roll and score."""
    values, labels, groups = [], [], []
    for _, rows in frame.groupby("media_id", sort=True):
        good = rows[rows["status"] == "ok"]
        row = [len(good) / len(rows)]
        if len(good):
            eyes = points(good)
            roll = np.degrees(np.arctan2(*(eyes[:, 1] - eyes[:, 0]).T[::-1]))
            for numbers in (np.log(good["scale"].to_numpy(float)), roll, good["face_score"].to_numpy(float)):
                row += [float(numbers.mean()), float(numbers.std())]
        else:
            row += [0.0] * 6
        values.append(row)
        labels.append(int(rows["label"].iloc[0]))
        groups.append(str(rows["scene_group"].iloc[0]))
    return np.array(values), np.array(labels), np.array(groups)


def blind_auc(manifest: Manifest) -> dict[str, tuple[float, float, float]]:
    """AUC and 95 % interval of classifiers without an image."""
    frame = manifest.to_pandas()
    x, y, _ = clip_features(frame[frame["split"] == "train"])
    test_x, test_y, groups = clip_features(frame[frame["split"] == "test"])
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")),
        "random forest": RandomForestClassifier(300, min_samples_leaf=3, class_weight="balanced", random_state=0),
    }
    out = {}
    for name, model in models.items():
        scores = model.fit(x, y).predict_proba(test_x)[:, 1]
        out[name] = (float(roc_auc_score(test_y, scores)), *interval(test_y, scores, groups))
    return out


def interval(labels: NDArray[np.int64], scores: Floats, groups: NDArray[np.str_]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    values = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        values.append(roc_auc_score(labels[chosen], scores[chosen]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def measure(work: Path, train: int, test: int) -> dict[str, Any]:
    settings = MiniSettings(train, 0, test, seed=SEED, subsets=("c23",), republished=False)
    root = generate(work / "tree", settings, workers=1, quiet=True)
    own, own_seconds = prepared(root, work / "own", "own")
    shared, shared_seconds = prepared(root, work / "shared", "shared")
    result: dict[str, Any] = {"pairs": {"train": train, "test": test}, "clips": own.to_pandas()["media_id"].nunique()}
    result["landmarks and crops"] = compare_landmarks(root, own, shared)
    result["geometry groups"] = shared.info.geometry_groups
    result["blind classifier"] = {"own": blind_auc(own), "shared": blind_auc(shared)}
    # Zero seconds where the manifests were there already from an earlier run.
    result["seconds, one worker"] = {"own": round(own_seconds, 1), "shared": round(shared_seconds, 1)}
    return result


def markdown(result: dict[str, Any]) -> str:
    lines = [f"{result['pairs']['train']} training and {result['pairs']['test']} test pairs, {result['clips']} clips, "]
    lines[0] += f"c23, {FRAMES} frames per clip, crops of {SIZE} pixels.\n"
    lines += ["| | |", "|---|---|"]
    for name, value in result["landmarks and crops"].items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v:.2f}" for k, v in value.items())
        else:
            value = f"{value:.2f}" if isinstance(value, float) else str(value)
        lines.append(f"| {name} | {value} |")
    lines += ["", "| classifier without an image, AUC by clip | own | shared |", "|---|---|---|"]
    blind = result["blind classifier"]
    for name in blind["own"]:
        cells = [f"{a:.3f} [{low:.3f}, {high:.3f}]" for a, low, high in (blind["own"][name], blind["shared"][name])]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the tree and the manifests")
    parser.add_argument("--pairs", default="12,24", help="training and test pairs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path, help="a page whose measured part is replaced")
    arguments = parser.parse_args()
    train, test = (int(word) for word in arguments.pairs.split(","))
    result = measure(arguments.work, train, test)
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.markdown:
        page = arguments.markdown.read_text("utf-8")
        before, _, rest = page.partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        arguments.markdown.write_text(f"{before}{MARKS[0]}\n{markdown(result)}{MARKS[1]}{after}", "utf-8")


if __name__ == "__main__":
    main()
