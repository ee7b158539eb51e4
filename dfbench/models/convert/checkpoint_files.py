"""Read weight files of other projects without executing code in them."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfbench.errors import ModelError
from dfbench.models.convert.keymap import State
from dfbench.models.files import looks_like

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPING_KEYS = ("state_dict", "model", "net", "model_state_dict")
_TENSOR_NAME = re.compile(r".*\..+|weight|bias")
"""How tensors of a network are named, other than the averages of an optimiser."""
_NAMED = 12  # state dicts in a message
_DEEPEST = 5  # levels of a checkpoint at which state dicts are looked for
_HDF5 = b"\x89HDF\r\n\x1a\n"
_AGAIN = "download or copy it again"
_STATE_OF_SOURCE = "where it comes from, save the tensors: torch.save(model.state_dict(), 'weights.pth')"
MOST_INFLATED = 200, 2**28
"""How much an archive may inflate to: so many times its size, or so many bytes."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One state dict of a weight file.

    Attributes:
        state: names and tensors as stored in the file, on the CPU.
        key: where it is in the file, keys joined by dots; empty: it is the whole content.
        others: keys of further state dicts in the file, such as averaged weights.
    """

    state: State
    key: str = ""
    others: tuple[str, ...] = ()


def read_foreign(path: Path) -> State:
    """Read the tensors of a weight file; see :func:`read_checkpoint`, which says what else is in the file."""
    return read_checkpoint(path).state


def read_checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """Read a state dict of a weight file: safetensors, ``torch.save``, or a NumPy ``.npz``.

    A checkpoint may hold state dicts at any key. Of several, the one under ``state_dict``, ``model``, ``net`` or
    ``model_state_dict`` is taken. No code in the file is executed.

    Args:
        path: the file; its format is recognised by its content.
        key: the state dict to take, as in :attr:`Checkpoint.others`.

    Raises:
        ModelError: the file is missing, unreadable, damaged, of another format, or holds more than tensors; it has
            several state dicts and none of those names, or none with the given key.
    """
    content = _content(path)
    found = _state_dicts(content)
    if key is not None and key not in found:
        raise ModelError(f"{path} has no state dict {key!r}", _choose(found))
    if not found:
        return Checkpoint(_tensors(_unwrap(content), path))
    taken = key if key is not None else _usual(found)
    if taken is None:
        raise ModelError(f"{path} has {len(found)} state dicts, and none of a usual name", _choose(found))
    return Checkpoint(found[taken], taken, tuple(name for name in found if name != taken))


def _choose(found: Mapping[str, State]) -> str:
    named = ", ".join([name for name in found if name][:_NAMED]) + (", ..." if len(found) > _NAMED else "")
    return f"choose one with --weights-key: {named}" if named else "drop --weights-key: the file is one state dict"


def _state_dicts(content: object) -> dict[str, State]:
    """Return the state dicts of a checkpoint by their keys."""
    import torch

    found: dict[str, State] = {}
    waiting: list[tuple[tuple[str, ...], object]] = [((), content)]
    seen: set[int] = set()  # a file can refer to one mapping from everywhere
    for keys, value in waiting:
        if not isinstance(value, Mapping) or id(value) in seen or not all(isinstance(name, str) for name in value):
            continue
        seen.add(id(value))
        if value and all(isinstance(v, torch.Tensor) for v in value.values()):
            if not keys or any(_TENSOR_NAME.fullmatch(name) for name in value):
                found[".".join(keys)] = dict(value)
        elif len(keys) < _DEEPEST:
            waiting.extend(((*keys, name), inner) for name, inner in value.items())
    return found


def _usual(found: Mapping[str, State]) -> str | None:
    """Return the key of the only state dict, or of the one with a usual name; None if that does not decide."""
    if len(found) == 1:
        return next(iter(found))
    usual = [name for name in found if set(name.split(".")) <= set(_WRAPPING_KEYS)]
    return usual[0] if len(usual) == 1 else None


def _content(path: Path) -> object:
    if not path.is_file():
        raise ModelError(f"no file {path}", "check the path")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", "check its permissions") from error
    if start.startswith(_HDF5):
        raise ModelError(f"{path} is an HDF5 file", "convert it first: python tools/hdf5_to_npz.py FILE.h5 FILE.npz")
    if start[4:8] == b"TFL3" or (start.startswith(b"\x08") and b"onnx" in _head(path)):
        raise ModelError(f"{path} is a network of TensorFlow Lite or ONNX, not a state dict", _STATE_OF_SOURCE)
    if start.startswith(b"PK"):
        names = _members(path)
        _refuse_program(path, names)
        return _read_npz(path) if names and all(name.endswith(".npy") for name in names) else _read_torch(path)
    if looks_like(path) == "a pickle":
        return _read_torch(path)
    if looks_like(path) == "an HTML page":
        raise ModelError(f"{path} is an HTML page, not weights", "download the file itself")
    from dfbench.models.weights import read_state

    return read_state(path, hint=_AGAIN)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(256).lower()


def _refuse_program(path: Path, names: Sequence[str]) -> None:
    """Refuse archives that hold a network with its code: TorchScript, torch.export, Keras."""
    inner = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        raise ModelError(
            f"{path} is a TorchScript program: the network with its code, which is not run",
            f"in a sandbox: torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pth')",
        )
    if any(name.endswith("serialized_exported_program.json") or name.startswith("models/") for name in inner):
        raise ModelError(
            f"{path} is a program of torch.export: the network with its code, which is not run",
            f"in a sandbox: torch.save(torch.export.load({path.name!r}).state_dict, 'weights.pth')",
        )
    if "model.weights.h5" in names:
        raise ModelError(f"{path} is a Keras model", "unzip model.weights.h5 and convert its arrays to .npz")


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


def _read_torch(path: Path) -> object:
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
    return content


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
