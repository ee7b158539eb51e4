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
MOST_INFLATED = 200, 2**28
"""How much an archive may inflate to: so many times its size, or so many bytes."""


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
        names = _members(path)
        return _read_npz(path) if names and all(name.endswith(".npy") for name in names) else _read_torch(path)
    if looks_like(path) == "a pickle":
        return _read_torch(path)
    if looks_like(path) == "an HTML page":
        raise ModelError(f"{path} is an HTML page, not weights", "download the file itself")
    from dfbench.models.weights import read_state

    return read_state(path, hint=_AGAIN)


def _members(path: Path) -> list[str]:
    """Return the names of the files in a zip file that does not inflate to much more than its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise ModelError(f"{path} is a truncated or damaged zip file: {error}", _AGAIN) from error
    inflated = sum(file.file_size for file in files)
    if inflated > max(MOST_INFLATED[0] * path.stat().st_size, MOST_INFLATED[1]):
        raise ModelError(f"{path} inflates to {inflated} bytes, far more than weights do", _AGAIN)
    return [file.filename for file in files]


def _read_torch(path: Path) -> State:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about plain pickles, which are refused below
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except Exception as error:  # torch's readers raise whatever their damaged input leads to
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
    except Exception as error:  # NumPy parses headers and zip members, each with errors of its own
        raise ModelError(f"{path} is a NumPy archive that cannot be read: {error}", _AGAIN) from error
    return state
