"""Which detectors there are: the entry-point group ``dfbench.models``, and a user's own ``file.py:attr``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from dfbench.errors import DfbenchError, ModelError, UsageError
from dfbench.models.spec import ModelSpec
from dfbench.registry import Registry, instance_of

_REFERENCE = re.compile(r"^(?P<where>[^:]+(?:\.py)?):(?P<attr>[A-Za-z_]\w*)$")


@contextmanager
def users_code(what: str, hint: str) -> Iterator[None]:
    """Tell a fault of a user's own code as :class:`ModelError`, with the fault's own words.

    Args:
        what: what went wrong, the beginning of the message.
        hint: what to do about it.
    """
    try:
        yield
    except DfbenchError:
        raise
    except (Exception, SystemExit) as error:  # a user's code can raise anything, and leave
        raise ModelError(f"{what}: {type(error).__name__}: {error}", hint) from error


MODELS: Registry[ModelSpec] = Registry(
    "model",
    "dfbench.models",
    {},
    check=instance_of(ModelSpec),
    listing="dfbench list models; or give your own as path/to/file.py:ClassName",
    error=ModelError,
    describer=lambda spec: spec.paper,
)


def model_names() -> tuple[str, ...]:
    """Names of the registered detectors, sorted. Nothing of them is imported."""
    return tuple(sorted(MODELS))


def get_spec(name: str) -> ModelSpec:
    """The specification of a detector, without importing torch or building anything.

    Args:
        name: a registered name; or ``path/to/file.py:attr`` or ``package.module:attr``, an ``nn.Module`` class or a
            factory of the user's own, which takes RGB in [0,1] and returns logits (N, C) or an object with
            ``.logits``.

    Raises:
        UsageError: nothing has that name.
        ModelError: a registered detector's package is broken.
    """
    if ":" in name and name not in MODELS:
        return _users_own(name)
    return MODELS.get(name)


def _users_own(reference: str) -> ModelSpec:
    match = _REFERENCE.match(reference)
    if match is None:
        raise UsageError(
            f"not a model: {reference!r}", "write it as path/to/file.py:ClassName or package.module:ClassName"
        )
    where, attribute = match["where"], match["attr"]
    if where.endswith(".py"):
        if not Path(where).is_file():
            raise UsageError(f"there is no file {where}", "check the path before the colon of --model")
        stem = Path(where).stem
    else:
        if not _importable(where):
            raise UsageError(f"there is no module {where!r}", "for a file, write its path: path/to/file.py:ClassName")
        stem = where
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{stem}.{attribute}").strip("-").lower()
    return ModelSpec(
        name=slug,
        target=reference,
        provenance="user",
        measured="the user's own",
        licence="the user's own",
    )


def _importable(module: str) -> bool:
    _search(Path.cwd())
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def load_target(target: str) -> object:
    """Import ``package.module:attr`` or run ``path/to/file.py`` and take ``attr`` from it.

    Raises:
        ModelError: importing fails, or the attribute is not there.
    """
    where, _, attribute = target.rpartition(":")
    with users_code(f"{where} can not be imported", "mend the file"):
        module_dict = _imported(where)
    if attribute not in module_dict:
        near = [n for n, v in module_dict.items() if callable(v) and not n.startswith("_")]
        raise ModelError(f"{where} has no {attribute!r}", f"it has: {', '.join(sorted(near)) or 'nothing to call'}")
    return module_dict[attribute]


def _imported(where: str) -> dict[str, object]:
    try:
        if not where.endswith(".py"):
            return vars(import_module(where))
        _search(Path(where).resolve().parent)
        return _run_file(Path(where))
    except ImportError as error:
        missing = getattr(error, "name", None)
        hint = f"try: python -c 'import {missing}'" if missing else "mend the file"
        if missing in {"torch", "timm"}:
            hint = 'pip install "deepfake-dfbench[models]"'
        raise ModelError(f"{where} can not be imported: {error}", hint) from error


def _search(folder: Path) -> None:
    """Let modules beside a user's own be found, as Python does for a script; what is installed goes before."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _run_file(path: Path) -> dict[str, object]:
    name = f"dfbench_user_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    found = spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    found.loader.exec_module(module)
    return vars(module)
