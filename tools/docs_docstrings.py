"""A Griffe extension: docstrings written for Python's tools, rendered as Markdown.

Doctests outside an ``Examples:`` section become code blocks, and Sphinx roles (``:func:`name```) become code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`~?([^`<>]+)`")
_DOCTEST = re.compile(r"^( *)>>> (?:.+\n?)+", re.M)


def as_markdown(text: str) -> str:
    """The docstring with doctests fenced and roles replaced."""
    text = _DOCTEST.sub(lambda m: f"{m[1]}```pycon\n{m[0].rstrip()}\n{m[1]}```\n", text)
    return _ROLE.sub(r"`\1`", text)


class Docstrings(griffe.Extension):
    """Rewrites every docstring that Griffe loads."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
