"""Tables, figures and the self-contained HTML page of one or more runs. Reads run folders; does not need torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

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
    "Comparison": "dfbench.report.compare",
    "FORMATS": "dfbench.report.tables",
    "ResultRow": "dfbench.report.rows",
    "compare_runs": "dfbench.report.compare",
    "paper_table": "dfbench.report.papers",
    "render": "dfbench.report.tables",
    "render_comparison": "dfbench.report.compare",
    "result_rows": "dfbench.report.rows",
    "table_names": "dfbench.report.papers",
    "write_report": "dfbench.report.page",
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

__getattr__ = lazy_attributes(__name__, _LAZY)
