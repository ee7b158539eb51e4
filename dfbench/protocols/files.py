"""Find, read and list protocol files."""

from __future__ import annotations

import fnmatch
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dfbench.errors import DataError, SetupError, UsageError, unknown_name
from dfbench.protocols.compose import SIGN, compose, read_fields, split_name, variants_of
from dfbench.protocols.protocol import PARTS, Protocol
from dfbench.registry import Registry
from dfbench.resources import protocols_folder

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

TABLES = "tables"
"""Folder of the definitions of the papers' tables, beside the protocols."""


def shipped_protocols() -> dict[str, Path]:
    """Return names and files of the protocols that ship with dfbench, without variants."""
    folder = protocols_folder()
    files = {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.toml"))}
    return {name: file for name, file in files.items() if not name.startswith(f"{TABLES}/")}


def _checked(name: str, value: object) -> Path:
    if not isinstance(value, str | Path):
        raise TypeError(f"a {type(value).__name__} is not the path of a protocol file")
    path = Path(value)
    if path.suffix != ".toml" or not path.is_file():
        raise ValueError(f"{path} is not a *.toml file")
    return path


PROTOCOLS: Registry[Path] = Registry(
    "protocol", "dfbench.protocols", shipped_protocols(), check=_checked, listing="dfbench list protocols"
)


def protocol_files() -> dict[str, Path]:
    """Return names and files of all protocols, shipped or of installed packages, without variants.

    Files that a package promises and does not have are skipped; loading such a protocol by name raises.
    """
    files = {}
    for name in PROTOCOLS:
        with suppress(SetupError):
            files[name] = PROTOCOLS.get(name)
    return files


def protocol_names() -> tuple[str, ...]:
    """Return the names of all protocols, shipped or of installed packages, each followed by its variants.

    >>> "mini" in protocol_names()
    True
    """
    return tuple(
        full
        for name, file in protocol_files().items()
        for full in (name, *(f"{name}{SIGN}{variant}" for variant in variants_of(read_fields(file), file)))
    )


def list_protocols(filter: str = "*") -> list[str]:
    """Return the names of all protocols, shipped or of installed packages, variants included.

    Args:
        filter: shell-style pattern; the default matches all names.

    >>> list_protocols("mini*")
    ['mini']
    """
    return fnmatch.filter(protocol_names(), filter)


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Load a protocol by its name or from a file; ``NAME@VARIANT`` loads a variant of either.

    Raises:
        UsageError: neither a protocol of that name nor such a file exists, or it has no such variant.
        DataError: the file is not a valid protocol; the message names the field.
        SetupError: the package that provides it is broken.

    >>> load_protocol("mini").task
    'binary'
    """
    path, variant = _find(str(name_or_path))
    fields = compose(path, variant, lambda name: _base(name, (path,)))
    try:
        protocol = Protocol.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {_message(e)}" for e in error.errors())
        raise DataError(
            f"{path} is not a valid protocol: {problems}", "see docs/protocols.md for the fields"
        ) from error
    expected = next((name for name, file in protocol_files().items() if file == path), None)
    if expected is not None and split_name(protocol.name)[0] != expected:
        raise DataError(
            f"the protocol file {path.name} has the name {protocol.name!r}", "name and file name must agree"
        )
    if expected is None:
        protocol._file = str(name_or_path)
    return protocol


def _message(problem: ErrorDetails) -> str:
    """Return what is wrong with a field, and for an unknown field the nearest known one."""
    if problem["type"] != "extra_forbidden":
        return problem["msg"].removeprefix("Value error, ")
    near = get_close_matches(str(problem["loc"][-1]), [name for part in PARTS for name in part.model_fields], n=1)
    return "unknown field" + (f", did you mean {near[0]!r}?" if near else "")


def variants(name_or_path: str | Path) -> tuple[str, ...]:
    """Return the names of the variants of a protocol, without the protocol's own name.

    Raises:
        UsageError: the protocol does not exist.
        DataError: the file cannot be read.
    """
    path, _ = _find(str(name_or_path))
    return tuple(variants_of(read_fields(path), path))


def _find(text: str) -> tuple[Path, str]:
    """Return the file of a protocol and the requested variant."""
    path = Path(text)
    if text in PROTOCOLS:
        return PROTOCOLS.get(text), ""
    if path.is_file():
        return path, ""
    base, variant = split_name(text) if "/" not in text.rpartition(SIGN)[2] else (text, "")
    if variant and base in PROTOCOLS:
        return PROTOCOLS.get(base), variant
    if variant and Path(base).is_file():
        return Path(base), variant
    if Path(base).suffix == ".toml":
        raise UsageError(f"there is no protocol file {base}", "check the path, or see: dfbench list protocols")
    raise unknown_name("protocol", text, protocol_names(), "dfbench list protocols")


def _base(name: str, chain: tuple[Path, ...]) -> dict[str, Any]:
    """Return the fields of a protocol that another one extends."""
    path, variant = _find(name)
    if path in chain:
        raise DataError(f"{path.name} extends itself through {chain[-1].name}", "remove one of the two extends")
    return compose(path, variant, lambda further: _base(further, (*chain, path)))
