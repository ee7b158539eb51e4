"""BibTeX of the detectors in a report: from the run itself, else from the installed detector's description."""

from __future__ import annotations

from collections.abc import Sequence

from dfbench.errors import DfbenchError
from dfbench.models.registry import get_spec, model_names
from dfbench.report.runs import Run


def citations(runs: Sequence[Run]) -> list[str]:
    """BibTeX entries of the detectors, each once, in the order of the runs."""
    return list(dict.fromkeys(entry for run in runs if (entry := _citation(run))))


def _citation(run: Run) -> str:
    result = run.result
    for stated in (result.options, result.weights.card if result.weights else {}):
        entry = stated.get("bibtex")
        if isinstance(entry, str) and entry.strip():
            return entry.strip()
    if result.model not in model_names():  # a user's own file is never run for the sake of a citation
        return ""
    try:
        return get_spec(result.model).bibtex.strip()
    except DfbenchError:  # the package of the detector is broken or half removed; its numbers still stand
        return ""
