"""Read weight files of other projects without executing code in them."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfbench.errors import ModelError
from dfbench.models.convert.keymap import State
from dfbench.models.files import looks_like

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPING_KEYS = ("state_dict", "model", "net", "model_state_dict")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_AGAIN = "download or copy it again"
# Exceptions that torch's unpickler may raise on a damaged file.
_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    struct.error,
)


def read_foreign(path: Path) -> State:
    """Read the tensors of a weight file: safetensors, a state dict of ``torch.save``, or a NumPy ``.npz``.

    A checkpoint that holds the state dict under ``state_dict``, ``model``, ``net`` or ``model_state_dict`` is
    unwrapped. No code in the file is executed.

    Args:
        path: the file; its format is recognised by its content.

    Returns:
        Names and tensors as stored in the file, on the CPU.

    Raises:
        ModelError: the file is missing, unreadable, damaged, of another format, or holds more than tensors.
    """
    if not path.is_file():
        raise ModelError(f"no file {path}", "check the path")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", "check its permissions") from error
    if start.startswith(_HDF5):
        raise ModelError(f"{path} is an HDF5 file", "convert it first: python tools/hdf5_to_npz.py FILE.h5 FILE.npz")
    if start.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            raise ModelError(f"{path} is a truncated zip file", _AGAIN)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return _read_npz(path) if names and all(name.endswith(".npy") for name in names) else _read_torch(path)
    if looks_like(path) == "a pickle":
        return _read_torch(path)
    if looks_like(path) == "an HTML page":
        raise ModelError(f"{path} is an HTML page, not weights", "download the file itself")
    from dfbench.models.weights import read_state

    return read_state(path, hint=_AGAIN)


def _read_torch(path: Path) -> State:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about plain pickles, which are refused below
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except _DAMAGE as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"{path} is a damaged or truncated torch.save file: {first}", _AGAIN) from error
    return _tensors(_unwrap(content), path)


def _refusal(path: Path, reason: str) -> ModelError:
    """Return the error for a pickle that was not loaded: it contains code, or it is damaged."""
    match = re.search(r"(?:GLOBAL|class) ([\w.]+\.[\w.]+)", reason)
    if match is None and "Unsupported operand" in reason:
        return ModelError(
            f"{path} is a pickle that was not written by torch.save; loading it could run any code",
            "where it comes from, save its tensors with torch.save(model.state_dict(), 'weights.pth') or numpy.savez",
        )
    if match is None:
        return ModelError(f"{path} is a damaged or truncated pickle, or one that holds more than tensors", _AGAIN)
    return ModelError(
        f"{path} is a pickle of whole Python objects (it requires {match[1]}); loading it could run any code",
        "in the project it comes from, in a sandbox: torch.save(model.state_dict(), 'weights.pth')",
    )


def _unwrap(content: object) -> object:
    for key in _WRAPPING_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return content


def _tensors(content: object, path: Path) -> State:
    import torch

    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{path} holds {type(content).__name__}, not a state dict", "save model.state_dict()")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ModelError(
                f"{path} is not a state dict: its entry {name!r} is {type(value).__name__}, not a tensor",
                "save only model.state_dict()",
            )
    return dict(content)


def _read_npz(path: Path) -> State:
    import torch

    state: dict[str, Tensor] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                state[name] = torch.from_numpy(np.ascontiguousarray(arrays[name]))
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is a NumPy archive that cannot be read: {error}", _AGAIN) from error
    return state
