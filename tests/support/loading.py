"""Load Python files outside of packages: benchmarks, tools, fixtures of other test folders."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

TOP = Path(__file__).resolve().parents[2]


def load_file(place: str, name: str) -> ModuleType:
    """Run a file of the checkout as a module.

    Args:
        place: where it lies, from the top of the checkout.
        name: what the module is called, unlike any other.
    """
    spec = spec_from_file_location(name, TOP / place)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
