"""Import of files from other programs: scores.

:func:`import_scores` converts a file of scores to a run like those of ``evaluate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.interchange.scores import ImportRules as ImportRules
    from dfbench.interchange.scores import import_scores as import_scores

_LAZY = {"ImportRules": "dfbench.interchange.scores", "import_scores": "dfbench.interchange.scores"}

__all__ = ["ImportRules", "import_scores"]

__getattr__ = lazy_attributes(__name__, _LAZY)
