"""Generate the mini data set: a tree of invented people with the layout of FaceForensics++."""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from dfbench import io
from dfbench._version import __version__
from dfbench.deprecation import renamed_keywords
from dfbench.errors import DataError, UsageError
from dfbench.mini import tree
from dfbench.mini.facemodel import load_face_model, model_sha256
from dfbench.mini.pair import make_pair, pair_is_complete
from dfbench.mini.plan import MiniPair, official_pairs
from dfbench.mini.settings import CONTENT_VERSION, MiniSettings
from dfbench.progress import progress

NOTICE = (
    "Invented faces: every person here is drawn from a statistical face model and exists nowhere. The model was "
    "fitted to public-domain portraits of the U.S. Government Publishing Office (Member Guide). Free to use "
    "under Apache-2.0. Not demographically balanced, no stand-in for real forgeries, no ground for ranking detectors."
)


def free_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(len(os.sched_getaffinity(0)), 1)
    return os.cpu_count() or 1


@renamed_keywords(jobs="workers")
def generate(out: Path, settings: MiniSettings | None = None, workers: int | None = None, quiet: bool = False) -> Path:
    """Write the mini data set below ``out``, or continue it, or reuse it if it is complete.

    The tree has FF++'s folders and names, ``train.json``, ``val.json``, ``test.json`` with the pairs used,
    ``ground_truth/`` with landmarks and boxes, and the marker ``mini.json``. Decoded images depend only on the
    settings, not on ``workers`` or on interruptions; with other libraries or another kind of CPU, they differ slightly.

    Args:
        out: the root folder; created if necessary.
        settings: what to generate; the default is 80, 12 and 24 pairs in ``c23`` and ``c40``.
        workers: number of worker processes; default: one per free CPU core.
        quiet: show no progress bar.

    Returns:
        The root folder.

    Raises:
        UsageError: the folder contains a mini data set with other settings, or ``workers`` is below 1.
        DataError: the folder contains other files.
        SetupError: the folder cannot be written, or its disk is full.
    """
    settings = settings if settings is not None else MiniSettings()
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}", "omit it to use all free CPU cores")
    root = Path(out)
    pairs = official_pairs(settings)
    with io.translate_os_errors(root):
        if is_generated(root, settings):
            return root
        io.check_output_folder(root)
        _write_marker(root, settings, complete=False)
        io.remove_temporaries(root, recursive=True)
        tree.make_folders(root, settings)
        tree.write_splits(root, pairs)
        _make_pairs(root, settings, pairs, min(workers or free_cores(), len(pairs)), quiet)
        _write_marker(root, settings, complete=True)
    return root


def is_generated(root: Path, settings: MiniSettings) -> bool:
    """Whether the folder contains the complete mini data set with these settings; nothing is written.

    Raises:
        UsageError: it contains one with other settings.
        DataError: it contains other files.
    """
    pairs = official_pairs(settings)
    return _check_folder(root, settings) and all(pair_is_complete(root, pair, settings) for pair in pairs)


def _make_pairs(root: Path, settings: MiniSettings, pairs: tuple[MiniPair, ...], workers: int, quiet: bool) -> None:
    left = [pair for pair in pairs if not pair_is_complete(root, pair, settings)]
    done = len(pairs) - len(left)
    with progress("generating invented faces", len(pairs), unit="pair", done=done, quiet=quiet) as advance:
        if workers == 1 or len(left) <= 1:
            for pair in left:
                advance(note=make_pair(root, pair, settings))
            return
        from joblib import Parallel, delayed

        load_face_model()
        parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
        absolute = root.absolute()  # joblib's processes keep the working directory of an earlier call
        for name in parallel(delayed(make_pair)(absolute, pair, settings) for pair in left):
            advance(note=name)


def _check_folder(root: Path, settings: MiniSettings) -> bool:
    """Whether the folder already contains a complete mini data set with these settings.

    Raises:
        UsageError: it contains one with other settings.
        DataError: it contains other files.
    """
    marker = root / tree.MARKER
    if not root.exists():
        return False
    if not root.is_dir():
        raise DataError(f"{root} is not a folder", "choose another folder for the mini data set")
    if not marker.is_file():
        # An unfinished marker file of a killed process does not count as content.
        if any(not io.is_temporary(entry) for entry in root.iterdir()):
            raise DataError(f"{root} is not empty and is not a mini data set", "choose an empty or new folder")
        return False
    try:
        found = json.loads(marker.read_text("utf-8"))
        known, complete = str(found["hash"]), bool(found["complete"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{marker} cannot be read: {error}", f"remove {root} and generate it again") from error
    if known != settings.hash(model_sha256()):
        raise UsageError(
            f"{root} contains a mini data set with other settings or from another version of dfbench",
            f"choose another folder, remove {root}, or use its settings: {json.dumps(found.get('settings'))}",
        )
    return complete


def _write_marker(root: Path, settings: MiniSettings, complete: bool) -> None:
    versions = {"dfbench": __version__, "numpy": np.__version__}
    versions |= {name: _version(name) for name in ("opencv-python", "av")}
    sha256 = model_sha256()
    marker = {
        "dataset": "mini",
        "faces": "invented",
        "complete": complete,
        "hash": settings.hash(sha256),
        "settings": settings.to_json(),
        "content_version": CONTENT_VERSION,
        "face_model": {"sha256": sha256, **load_face_model().note},
        "versions": versions,
        "notice": NOTICE,
    }
    io.write_text(root / tree.MARKER, json.dumps(marker, indent=2, sort_keys=True) + "\n")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
