"""Find, read and list protocol files."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.protocols.protocol import Protocol
from dfbench.resources import protocols_folder


def shipped_protocols() -> dict[str, Path]:
    """Names and files of the protocols that ship with dfbench."""
    folder = protocols_folder()
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.toml"))}


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Load a protocol by its name, or from a file of the user's own.

    Raises:
        UsageError: no protocol has that name and no file lies there.
        DataError: the file is not a valid protocol; the message names the field.

    >>> load_protocol("mini").task
    'binary'
    """
    text = str(name_or_path)
    shipped = shipped_protocols()
    if text in shipped:
        protocol = _read(shipped[text])
        if protocol.name != text:
            raise DataError(
                f"the protocol file {shipped[text].name} calls itself {protocol.name!r}",
                "file and name must agree",
            )
        return protocol
    path = Path(text)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise UsageError(f"there is no protocol file {path}", "check the path, or see: dfbench list protocols")
        return _read(path)
    raise unknown_name("protocol", text, shipped, "dfbench list protocols")


def _read(path: Path) -> Protocol:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid TOML: {error}", "see docs/protocols.md for an example") from error
    try:
        return Protocol.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise DataError(
            f"{path} is not a valid protocol: {problems}", "see docs/protocols.md for the fields"
        ) from error
