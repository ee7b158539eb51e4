"""The folder of an explanation: its files, how they are written, and how they are read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from dfbench.errors import DataError
from dfbench.explain.record import EXPLANATION_VERSION, ExplanationRecord
from dfbench.io import atomic_path, data_sha256, file_sha256, write_bytes, write_text
from dfbench.storage.path import as_path
from dfbench.untrusted import read_json

EXPLANATION_FILE = "explanations.json"
SUMMARY_FILE = "explain.md"
MAPS_FILE = "maps.npz"
FIGURES = "figures"
EXPLANATION_FILES = {EXPLANATION_FILE, SUMMARY_FILE, MAPS_FILE, FIGURES}
_RERUN = "run it again: dfbench explain"


@dataclass(frozen=True, eq=False)
class Explanation:
    """A finished explanation.

    Attributes:
        folder: where its files are.
        record: the content of ``explanations.json``.
    """

    folder: Path
    record: ExplanationRecord

    def maps(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of ``maps.npz``; :func:`restored` gives back the values of compact maps.

        Raises:
            DataError: the file is missing or is not the one of this explanation.
        """
        path = self.folder / MAPS_FILE
        if file_sha256(path) != self.record.maps_sha256:
            raise DataError(f"{path} has changed since the explanation was made", _RERUN)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def open_explanation(folder: str | Path) -> Explanation:
    """Read an explanation from its folder.

    Raises:
        DataError: it has none, or of another version.
    """
    where = as_path(folder)
    path = where / EXPLANATION_FILE
    if not path.is_file():
        raise DataError(f"{where} holds no explanation: it has no {EXPLANATION_FILE}", _RERUN)
    raw = read_json(path)
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version != EXPLANATION_VERSION:
        raise DataError(f"{path} has the format version {version}, not {EXPLANATION_VERSION}", _RERUN)
    try:
        return Explanation(where, ExplanationRecord.model_validate(raw))
    except ValidationError as error:
        raise DataError(f"{path} is not valid: {error.errors()[0]['msg']}", _RERUN) from error


def write_explanation(
    folder: Path,
    record: ExplanationRecord,
    maps: Mapping[str, NDArray[Any]],
    figures: Mapping[str, bytes],
    summary: str,
) -> Explanation:
    """Write an explanation. An earlier one in the folder is replaced once all of the new one has been written.

    Args:
        folder: created if necessary.
        record: without the hash of the maps.
        maps: arrays of ``maps.npz``.
        figures: name -> PNG.
        summary: text of ``explain.md``.

    Raises:
        SetupError: a file cannot be written.
    """
    stream = io.BytesIO()
    np.savez_compressed(stream, **maps)  # type: ignore[arg-type]
    packed = stream.getvalue()
    complete = record.model_copy(update={"maps_sha256": data_sha256(packed)})
    contents = {MAPS_FILE: packed, SUMMARY_FILE: summary.encode()}
    contents |= {f"{FIGURES}/{name}": data for name, data in figures.items()}
    with ExitStack() as stack:  # closed from the last entry to the first: the record is renamed last
        new = stack.enter_context(atomic_path(folder / EXPLANATION_FILE))
        for name, data in contents.items():
            write_bytes(stack.enter_context(atomic_path(folder / name, sync=False)), data, sync=False)
        write_text(new, complete.model_dump_json(indent=2) + "\n", sync=False)
    for path in (folder / FIGURES).glob("*.png"):
        if path.name not in figures:
            path.unlink(missing_ok=True)
    return Explanation(folder, complete)


def compact(maps: NDArray[np.floating]) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    """Return maps (N, ...) as float16 shares of the largest value of each, and that value (N,)."""
    scale = np.abs(maps.reshape(len(maps), -1).astype(np.float64)).max(axis=1, initial=0.0)
    divisor = np.where(scale > 0, scale, 1.0).reshape(-1, *[1] * (maps.ndim - 1))
    return (maps / divisor).astype(np.float16), scale


def restored(maps: NDArray[np.float16], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the maps of :func:`compact`, to three digits."""
    return maps.astype(np.float64) * scale.reshape(-1, *[1] * (maps.ndim - 1))
