"""Weight files of other projects, opened without running anything that is in them."""

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
# What torch's reader of pickles meets in a damaged one: it takes whatever the bytes say.
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
    """The tensors of a weight file: safetensors, a state dict of ``torch.save``, or a NumPy ``.npz``.

    A checkpoint that holds the state dict under ``state_dict``, ``model``, ``net`` or ``model_state_dict`` is
    unwrapped. Nothing in the file is executed.

    Args:
        path: the file; its kind is recognised by its content.

    Returns:
        Names and tensors as the file has them, on the CPU.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path}", "check the path")
    with path.open("rb") as stream:
        start = stream.read(16)
    if start.startswith(_HDF5):
        raise ModelError(f"{path} is an HDF5 file", "convert it first: python tools/hdf5_to_npz.py FILE.h5 FILE.npz")
    if start.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            raise ModelError(f"{path} is a zip file cut short", _AGAIN)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return _read_npz(path) if names and all(name.endswith(".npy") for name in names) else _read_torch(path)
    if looks_like(path) == "a pickle":
        return _read_torch(path)
    if looks_like(path) == "an HTML page":
        raise ModelError(f"{path} is an HTML page, not weights", "the download gave a web page; download it again")
    from dfbench.models.weights import read_state

    return read_state(path, hint=_AGAIN)


def _read_torch(path: Path) -> State:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of plain pickles, which are refused below
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except _DAMAGE as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"{path} is a damaged or truncated file of torch.save: {first}", _AGAIN) from error
    return _tensors(_unwrap(content), path)


def _refusal(path: Path, reason: str) -> ModelError:
    """Why a pickle was not opened: it wants to run code, or it is damaged."""
    match = re.search(r"(?:GLOBAL|class) ([\w.]+\.[\w.]+)", reason)
    if match is None and "Unsupported operand" in reason:
        return ModelError(
            f"{path} is a pickle that torch.save did not write; opening it could run any code",
            "write the tensors with torch.save(model.state_dict(), 'weights.pth') or numpy.savez, where they come from",
        )
    if match is None:
        return ModelError(f"{path} is a damaged or truncated pickle, or one that holds more than tensors", _AGAIN)
    return ModelError(
        f"{path} is a pickle of whole Python objects (it asks for {match[1]}); opening it could run any code",
        "in the project it comes from, on a machine that you can lose: torch.save(model.state_dict(), 'weights.pth')",
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
                f"{path} is no state dict: its entry {name!r} is {type(value).__name__}, not a tensor",
                "save model.state_dict() alone",
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
        raise ModelError(f"{path} is a NumPy archive that can not be read: {error}", _AGAIN) from error
    return state
