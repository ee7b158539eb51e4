"""Import of files from other programs: scores.

:func:`import_scores` converts a CSV or Parquet file of scores to a run like those of ``evaluate``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfbench.interchange.scores import ImportRules as ImportRules
    from dfbench.interchange.scores import import_scores as import_scores

__all__ = ["ImportRules", "import_scores"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.scores"), name)
