"""Model files given by the user: on the command line, by the environment or in ``dfbench.toml``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dfbench.config import CONFIG_NAME, config_files
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.io import file_sha256
from dfbench.untrusted import read_toml

INSIGHTFACE = "insightface"
PREDICTOR = "dlib-predictor"
PREDICTOR_81 = "dlib-predictor-81"
FACE_MESH = "face-mesh"

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        INSIGHTFACE: "DFBENCH_INSIGHTFACE_MODEL",
        PREDICTOR: "DFBENCH_DLIB_PREDICTOR",
        PREDICTOR_81: "DFBENCH_DLIB_PREDICTOR_81",
        FACE_MESH: "DFBENCH_FACE_MESH",
    }
)
"""Key in the table ``[face-models]`` of ``dfbench.toml`` -> environment variable, which takes precedence."""


def find_model(key: str, given: str | Path | None = None) -> Path | None:
    """Return the path that the user gave for a model file; None if there is none. The file need not exist.

    Args:
        key: one of :data:`VARIABLES`.
        given: from the command line; takes precedence.

    Raises:
        UsageError: ``dfbench.toml`` cannot be read, or its table does not map names to paths.
    """
    if given is not None:
        return Path(given).expanduser()
    named = os.environ.get(VARIABLES[key]) or _configured().get(key)
    return Path(named).expanduser() if named else None


def how_to_give(key: str, option: str) -> str:
    """Return a hint that names the ways to give the path of a model."""
    return f'give {option} PATH, or set {VARIABLES[key]}, or write to {CONFIG_NAME}: [face-models] {key} = "PATH"'


def file_digest(path: Path, hint: str) -> str:
    """Return the SHA-256 of a model file.

    Raises:
        SetupError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except DataError as error:
        raise SetupError(f"the model file {error.message}", hint) from error


def _configured() -> dict[str, str]:
    paths: dict[str, str] = {}
    for file in reversed(config_files()):
        if not file.is_file():
            continue
        table = read_toml(file, "fix the error in this file, or move it away", UsageError).get("face-models", {})
        if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
            raise UsageError(
                f"[face-models] in {file} must map names to paths", f'[face-models]\n{INSIGHTFACE} = "/path"'
            )
        paths.update(table)
    return paths
