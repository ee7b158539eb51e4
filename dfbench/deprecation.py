"""Old names of keywords, accepted for one version with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from dfbench.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


def renamed_keywords(**renamed: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Accept old names of keyword arguments, with a :class:`DeprecationWarning`.

    Args:
        renamed: old name -> new name.

    Returns:
        A decorator. The decorated function keeps its signature; a call that passes both names raises UsageError.

    >>> @renamed_keywords(jobs="workers")
    ... def run(workers: int = 1) -> int:
    ...     return workers
    >>> run(workers=2)
    2
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in [name for name in kwargs if name in renamed]:
                new = renamed[old]
                if new in kwargs:
                    raise UsageError(f"{old} is the old name of {new}: both were given", f"pass {new} only")
                warnings.warn(
                    f"{old} is deprecated and will be removed in the next version: use {new}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
