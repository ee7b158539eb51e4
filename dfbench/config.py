"""The user's workspace and data set roots: ``DFBENCH_HOME``, ``DFBENCH_ROOTS`` and ``dfbench.toml``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.storage import as_path
from dfbench.untrusted import read_toml

CONFIG_NAME = "dfbench.toml"


def workspace() -> Path:
    """Return the folder of ``manifests/``, ``runs/`` and ``weights/``: ``DFBENCH_HOME``, else the current one."""
    return Path(os.environ.get("DFBENCH_HOME") or ".")


def manifests_home() -> Path:
    """Return the folder where ``prepare`` writes by default."""
    return workspace() / "manifests"


def manifest_beside(manifest: Path, protocol: str) -> Path:
    """Return the folder, beside a manifest, of the one for a protocol that the manifest cannot serve.

    >>> manifest_beside(Path("manifests/ff++"), "grnet/ffpp-binary@c40").as_posix()
    'manifests/ff++-grnet-ffpp-binary@c40'
    """
    return manifest.with_name(f"{manifest.name}-{protocol.replace('/', '-')}")


def find_manifest(dataset: str, protocol: str) -> Path:
    """Return the folder of a data set's manifest: the one made for the protocol if it exists, else the default one."""
    default = manifest_home(dataset)
    own = manifest_beside(default, protocol)
    return own if (own / "manifest.json").is_file() else default


def manifest_home(dataset: str) -> Path:
    """Return the default folder of a data set's manifest.

    >>> manifest_home("folder:phones").name
    'folder-phones'
    """
    return manifests_home() / dataset.replace(":", "-")  # Windows does not allow colons in file names


def runs_home() -> Path:
    """Return the folder where ``evaluate`` writes by default."""
    return workspace() / "runs"


def weights_home() -> Path:
    """Return the folder of trained weights."""
    return workspace() / "weights"


def cache_home() -> Path:
    """Return the per-user cache folder, for files that can be recreated."""
    from platformdirs import user_cache_path

    return user_cache_path("dfbench")


def config_files() -> list[Path]:
    """Return the configuration files that are read, in order of precedence."""
    from platformdirs import user_config_path

    return [Path(CONFIG_NAME), user_config_path("dfbench") / CONFIG_NAME]


def parse_roots(text: str) -> dict[str, str]:
    """Parse ``DFBENCH_ROOTS``.

    Raises:
        UsageError: a part is not ``name=path``.

    >>> parse_roots("ff++=/data/FF;dfdc=/data/dfdc")
    {'ff++': '/data/FF', 'dfdc': '/data/dfdc'}
    """
    roots: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, equals, path = part.partition("=")
        if not equals or not name.strip() or not path.strip():
            raise UsageError(
                f"DFBENCH_ROOTS contains {part!r}, which is not name=path",
                'example: DFBENCH_ROOTS="ff++=/data/FaceForensics;dfdc=/data/dfdc"',
            )
        roots[name.strip()] = path.strip()
    return roots


def configured_roots() -> Mapping[str, str]:
    """Return data set name -> root, from the configuration files and the environment, which takes precedence.

    Raises:
        UsageError: a configuration file or ``DFBENCH_ROOTS`` is malformed.
    """
    roots: dict[str, str] = {}
    for file, table in _tables("roots"):
        if not all(isinstance(v, str) for v in table.values()):
            raise UsageError(f"[roots] in {file} must map names to paths", '[roots]\n"ff++" = "/data/FaceForensics"')
        roots.update(table)
    roots.update(parse_roots(os.environ.get("DFBENCH_ROOTS", "")))
    return roots


@dataclass(frozen=True)
class MiniOptions:
    """The table ``[mini]``: a smaller embedded data set and shorter trainings, to try things out quickly.

    Attributes:
        pairs: number of training, validation and test pairs; None: the usual ones.
        epochs: of a training that ``evaluate`` starts on mini; None: the protocol's.
        samples_per_epoch: likewise.
    """

    pairs: tuple[int, int, int] | None = None
    epochs: int | None = None
    samples_per_epoch: int | None = None

    @property
    def training(self) -> dict[str, Any]:
        """Arguments of a training on mini."""
        return {"epochs": self.epochs, "samples_per_epoch": self.samples_per_epoch}


def mini_options() -> MiniOptions:
    """Return the table ``[mini]`` of the configuration files.

    Raises:
        UsageError: an unknown key, or a value that is not a positive whole number (``pairs``: three of them).
    """
    merged: dict[str, Any] = {}
    for file, table in _tables("mini"):
        hint = "[mini]\npairs = [2, 1, 1]\nepochs = 1\nsamples_per_epoch = 64"
        for key, value in table.items():
            numbers = value if key == "pairs" else [value]
            if key not in MiniOptions.__dataclass_fields__:
                raise UsageError(f"[mini] in {file} has an unknown key {key!r}", hint)
            whole = isinstance(numbers, list) and all(type(n) is int and n > 0 for n in numbers)
            if not whole or len(numbers) != (3 if key == "pairs" else 1):
                raise UsageError(f"[mini] in {file}: {key} = {value!r} is not valid", hint)
        merged |= {key: tuple(value) if key == "pairs" else value for key, value in table.items()}
    return MiniOptions(**merged)


def _tables(name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a table of every configuration file that has it, the weakest file first."""
    for file in reversed(config_files()):
        if not file.is_file():
            continue
        table = read_toml(file, 'for example a table [roots] with "ff++" = "/path"', UsageError).get(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"{name} in {file} must be a table", f"[{name}]")
        yield file, table


def find_root(dataset: str, root: str | Path | None = None) -> Path:
    """Return the existing root folder of a data set.

    Args:
        dataset: command-line name of the data set.
        root: an explicit root (``--root``), which takes precedence over environment and configuration; as all of them
            it may be a URL.

    Raises:
        DataError: no root is configured, or it is not a folder.
        SetupError: it is a URL whose store cannot be read.
    """
    where = str(root) if root is not None else configured_roots().get(dataset)
    if where is None:
        raise DataError(
            f"no root is known for data set {dataset!r}",
            f'give --root DIR, set DFBENCH_ROOTS="{dataset}=/path", or add to {CONFIG_NAME}:\n'
            f'      [roots]\n      "{dataset}" = "/path"',
        )
    path = as_path(where)
    try:
        found = path.is_dir()
    except OSError as error:  # of a store; a disk answers no
        raise SetupError(
            f"the root of {dataset!r} cannot be read: {path}: {error.strerror}", "check the network and the credentials"
        ) from error
    if not found:
        raise DataError(
            f"the root of {dataset!r} is not a folder: {path}",
            "check the path in --root or in the configuration",
        )
    return path
