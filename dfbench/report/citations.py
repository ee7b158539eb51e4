"""BibTeX of what a report rests on: the detectors, the data sets, and dfbench itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dfbench._version import __version__
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DfbenchError, UsageError
from dfbench.evaluation.run import Run
from dfbench.models.registry import get_spec, model_names

_DFBENCH = f"""@software{{dfbench,
  title = {{dfbench: dataset preparation and fixed-protocol benchmarks for face-forgery detection}},
  author = {{{{The dfbench developers}}}},
  version = {{{__version__}}}
}}"""


def citations(runs: Sequence[Run]) -> list[str]:
    """BibTeX entries, each once: the detectors and the data sets in the order of the runs, then dfbench.

    A data set's entry holds its reference in one line, as ``dfbench list datasets`` gives it.
    """
    detectors = (_of_detector(run) for run in runs)
    datasets = (_of_dataset(value.dataset) for run in runs for value in run.result.metrics)
    return [*dict.fromkeys(entry for entry in (*detectors, *datasets) if entry), _DFBENCH]


def _of_detector(run: Run) -> str:
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


def _of_dataset(name: str) -> str:
    try:
        adapter = get_adapter(name)
    except UsageError:  # scores of another program, on a data set of its own
        return ""
    if adapter.name == "mini" or adapter.name.partition(":")[0] == "folder":  # nobody's paper
        return ""
    key = re.sub(r"[^a-z0-9-]", "", name.replace("++", "pp").lower())
    return f"@misc{{{key},\n  title = {{{adapter.title}}},\n  note = {{{adapter.citation}}}\n}}"
