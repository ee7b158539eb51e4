"""Tables, figures and the self-contained HTML page of one or more runs. Reads run folders; does not need torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfbench.report.compare import Comparison as Comparison
    from dfbench.report.compare import compare_runs as compare_runs
    from dfbench.report.compare import render_comparison as render_comparison
    from dfbench.report.page import write_report as write_report
    from dfbench.report.papers import paper_table as paper_table
    from dfbench.report.papers import table_names as table_names
    from dfbench.report.rows import ResultRow as ResultRow
    from dfbench.report.rows import result_rows as result_rows
    from dfbench.report.tables import FORMATS as FORMATS
    from dfbench.report.tables import render as render

_LAZY = {
    "Comparison": "compare",
    "FORMATS": "tables",
    "ResultRow": "rows",
    "compare_runs": "compare",
    "paper_table": "papers",
    "render": "tables",
    "render_comparison": "compare",
    "result_rows": "rows",
    "table_names": "papers",
    "write_report": "page",
}

__all__ = [
    "FORMATS",
    "Comparison",
    "ResultRow",
    "compare_runs",
    "paper_table",
    "render",
    "render_comparison",
    "result_rows",
    "table_names",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
