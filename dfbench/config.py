"""The user's workspace and data set roots: ``DFBENCH_HOME``, ``DFBENCH_ROOTS`` and ``dfbench.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from dfbench.errors import DataError, UsageError

CONFIG_NAME = "dfbench.toml"


def workspace() -> Path:
    """The folder that holds ``manifests/``, ``runs/`` and ``weights/``: ``DFBENCH_HOME``, else the current one."""
    return Path(os.environ.get("DFBENCH_HOME") or ".")


def manifests_home() -> Path:
    """Where ``prepare`` writes by default."""
    return workspace() / "manifests"


def manifest_beside(place: Path, protocol: str) -> Path:
    """The folder beside a manifest that holds the one made for a protocol, where one manifest can not serve both.

    >>> manifest_beside(Path("manifests/ff++"), "grnet/ffpp-binary@c40").as_posix()
    'manifests/ff++-grnet-ffpp-binary@c40'
    """
    return place.with_name(f"{place.name}-{protocol.replace('/', '-')}")


def manifest_place(dataset: str, protocol: str) -> Path:
    """Where the manifest of a data set is looked for: the one made for the protocol, else the data set's."""
    usual = manifest_home(dataset)
    own = manifest_beside(usual, protocol)
    return own if (own / "manifest.json").is_file() else usual


def manifest_home(dataset: str) -> Path:
    """Where the manifest of a data set lies by default.

    >>> manifest_home("folder:phones").name
    'folder-phones'
    """
    return manifests_home() / dataset.replace(":", "-")  # no colons in the names of files on Windows


def runs_home() -> Path:
    """Where ``evaluate`` writes by default."""
    return workspace() / "runs"


def weights_home() -> Path:
    """Where trained weights are kept."""
    return workspace() / "weights"


def cache_home() -> Path:
    """Per-user cache folder for things that can be made again."""
    from platformdirs import user_cache_path

    return user_cache_path("dfbench")


def config_files() -> list[Path]:
    """The configuration files that are read, the strongest first."""
    from platformdirs import user_config_path

    return [Path(CONFIG_NAME), user_config_path("dfbench") / CONFIG_NAME]


def parse_roots(text: str) -> dict[str, str]:
    """Parse ``DFBENCH_ROOTS``.

    >>> parse_roots("ff++=/data/FF;dfdc=/data/dfdc")
    {'ff++': '/data/FF', 'dfdc': '/data/dfdc'}
    """
    roots: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, equals, path = part.partition("=")
        if not equals or not name.strip() or not path.strip():
            raise UsageError(
                f"DFBENCH_ROOTS has a part that is not name=path: {part!r}",
                'write it like DFBENCH_ROOTS="ff++=/data/FaceForensics;dfdc=/data/dfdc"',
            )
        roots[name.strip()] = path.strip()
    return roots


def configured_roots() -> Mapping[str, str]:
    """Data set name -> root, from the configuration files and the environment (which wins)."""
    roots: dict[str, str] = {}
    for file in reversed(config_files()):
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text("utf-8")).get("roots", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{file} is not valid TOML: {error}", 'it needs a table [roots] with "ff++" = "/path"'
            ) from error
        if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
            raise UsageError(f"[roots] in {file} must map names to paths", '[roots]\n"ff++" = "/data/FaceForensics"')
        roots.update(table)
    roots.update(parse_roots(os.environ.get("DFBENCH_ROOTS", "")))
    return roots


def find_root(dataset: str, root: str | Path | None = None) -> Path:
    """The existing root folder of a data set.

    Args:
        dataset: command-line name of the data set.
        root: an explicit root (``--root``), which wins over the environment and the configuration.

    Raises:
        DataError: no root is configured, or it is not a folder.
    """
    where = str(root) if root is not None else configured_roots().get(dataset)
    if where is None:
        raise DataError(
            f"no root is known for data set {dataset!r}",
            f'give --root DIR, or set DFBENCH_ROOTS="{dataset}=/path", or write to {CONFIG_NAME}:\n'
            f'      [roots]\n      "{dataset}" = "/path"',
        )
    path = Path(where).expanduser()
    if not path.is_dir():
        raise DataError(
            f"the root of {dataset!r} is not a folder: {path}",
            "check the path given by --root or the configuration",
        )
    return path
