"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from dfbench.cli.main import main as main
