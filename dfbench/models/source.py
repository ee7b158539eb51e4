"""Where a detector comes from: a registered name, an attribute of a file or module, or an ``nn.Module`` object."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from dfbench.errors import ModelError, UsageError
from dfbench.models.interface import custom_code
from dfbench.models.options import get_preset
from dfbench.models.registry import add_to_path, custom_spec, get_spec
from dfbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

_FILE_MODULE = "dfbench_user_"
"""Begins the module name under which a user's file is executed."""


@dataclass(frozen=True, eq=False)
class ModelSource:
    """A detector before it is built. Its file or module is executed at most once, when the factory is first needed.

    Attributes:
        spec: what is known without importing torch.
        reference: what the user typed, or the class name of an object.
        given: the ``nn.Module`` instance, class or factory that was passed as an object; else None.
    """

    spec: ModelSpec
    reference: str
    given: object | None = None

    @property
    def name(self) -> str:
        """Name in results, cards and default file names."""
        return self.spec.name

    @property
    def is_custom(self) -> bool:
        """Whether it is user-defined, and not registered by a package."""
        return self.spec.provenance == "user"

    @property
    def file(self) -> Path | None:
        """The Python file of ``path/to/file.py:attr``."""
        where = self.spec.target.rpartition(":")[0]
        return Path(where) if self.is_custom and self.given is None and where.endswith(".py") else None

    @cached_property
    def factory(self) -> object:
        """The class, factory or finished module.

        Raises:
            ModelError: importing it fails, or the attribute does not exist.
        """
        return self.given if self.given is not None else load_target(self.spec.target)

    def with_preset(self, name: str) -> ModelSource:
        """Return the source with the training recipe of a preset; its options are those that a call adds.

        Raises:
            UsageError: the detector has no preset of that name.
        """
        recipe = get_preset(self.spec, name).recipe
        return self if recipe is None else replace(self, spec=replace(self.spec, recipe=recipe))

    def build(self, num_classes: int, image_size: int, options: dict[str, Any]) -> nn.Module:
        """Build the network; see :func:`dfbench.models.build.build_model`.

        Finished modules are copied, so that neither training nor evaluation changes the caller's object.
        """
        if self.is_custom:
            from dfbench.models.custom import build_custom

            return build_custom(_copied(self.factory, self.reference), self.reference, num_classes, image_size, options)
        if not callable(self.factory):
            raise ModelError(f"{self.spec.target} cannot be called", "its package registers it incorrectly")
        arguments = {"num_classes": num_classes, "image_size": image_size, **self.spec.options, **options}
        return cast("nn.Module", self.factory(**arguments))


ModelLike: TypeAlias = "str | nn.Module | Callable[..., nn.Module] | ModelSource"
"""A registered name, ``path/to/file.py:attr``, ``package.module:attr``, an ``nn.Module``, or a class or factory."""


class BuiltNetwork:
    """A network that was built while planning; handed out once, since training changes it.

    Args:
        network: the network.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network: nn.Module | None = network

    def take(self) -> nn.Module | None:
        """Return the network on the first call, None afterwards."""
        network, self._network = self._network, None
        return network


def model_source(model: ModelLike) -> ModelSource:
    """Return the source of a detector without building it; torch is not imported.

    Args:
        model: a registered name; ``path/to/file.py:attr`` or ``package.module:attr``, an ``nn.Module`` class or a
            factory that takes RGB in [0,1] and returns logits (N, C) or an object with ``.logits``; or such a class,
            factory or an ``nn.Module`` instance itself.

    Raises:
        UsageError: nothing has that name, or the object is not a model.
        ModelError: a registered detector's package is broken.
    """
    if isinstance(model, ModelSource):
        return model
    if isinstance(model, str):
        return ModelSource(get_spec(model), model)
    if not callable(model):
        raise UsageError(
            f"a model is a name, path/to/file.py:ClassName or an nn.Module, not {type(model).__name__}",
            "see: dfbench list models, and docs/your-own-detector.md",
        )
    stem, attribute = _qualified_name(model)
    return ModelSource(custom_spec(stem, attribute, f"{stem}:{attribute}"), attribute, model)


def _qualified_name(model: object) -> tuple[str, str]:
    """Return module (or stem of the file) and class name of an object, as its reference would give them."""
    wrapped = getattr(model, "network", None)
    if type(model).__name__ == "CustomDetector" and wrapped is not None:
        model = wrapped  # from build_model
    named = model if isinstance(model, type) or hasattr(model, "__qualname__") else type(model)
    attribute = str(getattr(named, "__qualname__", type(model).__name__)).rpartition("<locals>.")[2]
    module = str(getattr(named, "__module__", "") or "")
    if module == "__main__" or module.startswith(_FILE_MODULE):
        file = getattr(sys.modules.get(module), "__file__", None)
        module = Path(file).stem if file else ""
    return module, attribute


def _copied(factory: object, name: str) -> object:
    """Return a deep copy of a finished module; a class or factory is returned as it is."""
    from torch import nn

    if not isinstance(factory, nn.Module):
        return factory
    with custom_code(f"{name} cannot be copied", "pass its class, or path/to/file.py:ClassName, in place of an object"):
        return copy.deepcopy(factory)


def load_target(target: str) -> object:
    """Import ``package.module:attr`` or execute ``path/to/file.py`` and return ``attr`` of it.

    Raises:
        ModelError: importing fails, or the attribute does not exist.
    """
    where, _, attribute = target.rpartition(":")
    with custom_code(f"{where} cannot be imported", "fix the error in that file"):
        module_dict = _imported(where)
    if attribute not in module_dict:
        near = [n for n, v in module_dict.items() if callable(v) and not n.startswith("_")]
        raise ModelError(f"{where} has no {attribute!r}", f"it has: {', '.join(sorted(near)) or 'nothing callable'}")
    return module_dict[attribute]


def _imported(where: str) -> dict[str, object]:
    try:
        if not where.endswith(".py"):
            return vars(import_module(where))
        add_to_path(Path(where).resolve().parent)
        return _execute_file(Path(where))
    except ImportError as error:
        missing = getattr(error, "name", None)
        hint = f"try: python -c 'import {missing}'" if missing else "fix the error in that file"
        if missing in {"torch", "timm"}:
            hint = 'pip install "deepfake-dfbench[models]"'
        raise ModelError(f"{where} cannot be imported: {error}", hint) from error


def _execute_file(path: Path) -> dict[str, object]:
    name = f"{_FILE_MODULE}{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    found = spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    found.loader.exec_module(module)
    return vars(module)
