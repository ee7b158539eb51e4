"""Tables, figures and the self-contained page of one or more runs. Reads run folders; needs no torch."""

from dfbench.report.page import write_report
from dfbench.report.rows import Row, result_rows
from dfbench.report.tables import FORMATS, render

__all__ = ["FORMATS", "Row", "render", "result_rows", "write_report"]
