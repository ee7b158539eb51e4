"""Data set adapters: each turns the tree of one data set into a media table, from names and label files only.

An adapter never opens media. It applies the official split, inverts foreign label conventions, and compares what it
found with the published numbers. See :class:`Adapter` for the interface and docs/datasets.md for the layouts.
"""

from dfbench.datasets.adapter import Adapter, Filters, Scan
from dfbench.datasets.base import DataSetAdapter, Findings
from dfbench.datasets.registry import get_adapter, list_datasets

__all__ = ["Adapter", "DataSetAdapter", "Filters", "Findings", "Scan", "get_adapter", "list_datasets"]
