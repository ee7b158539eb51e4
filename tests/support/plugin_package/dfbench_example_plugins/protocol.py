"""A protocol file that the package ships. Its name is the name of the entry point."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("protocol.toml")
