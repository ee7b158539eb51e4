"""Figures of the report page, as SVG."""
