"""A Griffe extension: docstrings written for Python's tools, rendered as Markdown.

Doctests outside an ``Examples:`` section become code blocks, and Sphinx roles (``:func:`name```) become code. Functions
that take their options from a dataclass show the signature and docstring that they have at run time.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`~?([^`<>]+)`")
_MADE_FROM_OPTIONS = "called_with_options"
_DOCTEST = re.compile(r"^( *)>>> (?:.+\n?)+", re.M)


def as_markdown(text: str) -> str:
    """The docstring with doctests fenced and roles replaced."""
    text = _DOCTEST.sub(lambda m: f"{m[1]}```pycon\n{m[0].rstrip()}\n{m[1]}```\n", text)
    return _ROLE.sub(r"`\1`", text)


def with_options(function: griffe.Function) -> None:
    """Give a function the parameters and the docstring that its decorator makes from the declared options."""
    real = getattr(import_module(function.module.path), function.name)
    parameters = (
        griffe.Parameter(
            p.name,
            kind=griffe.ParameterKind(p.kind.description),
            annotation=str(p.annotation),
            default=None if p.default is inspect.Parameter.empty else repr(p.default),
        )
        for p in inspect.signature(real).parameters.values()
    )
    function.parameters = griffe.Parameters(*parameters)
    function.docstring = griffe.Docstring(inspect.getdoc(real) or "", parent=function, lineno=function.lineno)


class Docstrings(griffe.Extension):
    """Rewrites every docstring that Griffe loads."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if isinstance(obj, griffe.Function) and any(_MADE_FROM_OPTIONS in str(d.value) for d in obj.decorators):
            with_options(obj)
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
