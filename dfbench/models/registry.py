"""Names of detectors: the entry-point group ``dfbench.models``, and references to user-defined ones."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

from dfbench.errors import ModelError, UsageError
from dfbench.models.spec import ModelSpec
from dfbench.registry import Registry, instance_of

_REFERENCE = re.compile(r"^(?P<where>[^:]+(?:\.py)?):(?P<attr>[A-Za-z_]\w*)$")


MODELS: Registry[ModelSpec] = Registry(
    "model",
    "dfbench.models",
    {},
    check=instance_of(ModelSpec),
    listing="dfbench list models; a custom detector is given as path/to/file.py:ClassName",
    error=ModelError,
    describer=lambda spec: spec.paper,
)


def model_names() -> tuple[str, ...]:
    """Return the names of the registered detectors, sorted; nothing is imported."""
    return tuple(sorted(MODELS))


def list_models(filter: str = "*") -> list[str]:
    """Return the names of the registered detectors, sorted; nothing is imported.

    Args:
        filter: a pattern with ``*`` and ``?``, as in :mod:`fnmatch`; or a part of the name.

    >>> list_models("meso*")
    ['meso4', 'mesoinception4']
    """
    names = model_names()
    return [name for name in names if fnmatch(name, filter)] or [name for name in names if filter in name]


def get_spec(name: str) -> ModelSpec:
    """Return the specification of a detector, without importing torch or building anything.

    Args:
        name: a registered name; or ``path/to/file.py:attr`` or ``package.module:attr``, a user-defined ``nn.Module``
            class or factory that takes RGB in [0,1] and returns logits (N, C) or an object with ``.logits``.

    Raises:
        UsageError: nothing has that name.
        ModelError: a registered detector's package is broken.
    """
    if ":" in name and name not in MODELS:
        stem, attribute = _check_reference(name)
        return custom_spec(stem, attribute, name)
    return MODELS.get(name)


def custom_spec(stem: str, attribute: str, target: str) -> ModelSpec:
    """Return the specification of a user-defined detector, named after its module and class."""
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{stem}.{attribute}".lstrip(".")).strip("-").lower()
    return ModelSpec(name=slug, target=target, provenance="user", measured="user-defined", licence="user-defined")


def add_to_path(folder: Path) -> None:
    """Let modules beside a user's file be imported, as Python does for a script; installed ones come first."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _check_reference(reference: str) -> tuple[str, str]:
    """Return module (or stem of the file) and attribute of a reference; the file or module must exist."""
    match = _REFERENCE.match(reference)
    if match is None:
        raise UsageError(
            f"not a model: {reference!r}", "write it as path/to/file.py:ClassName or package.module:ClassName"
        )
    where = match["where"]
    if where.endswith(".py"):
        if not Path(where).is_file():
            raise UsageError(f"there is no file {where}", "check the path before the colon of --model")
        return Path(where).stem, match["attr"]
    if not _importable(where):
        raise UsageError(f"there is no module {where!r}", "for a file, write its path: path/to/file.py:ClassName")
    return where, match["attr"]


def _importable(module: str) -> bool:
    add_to_path(Path.cwd())
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
