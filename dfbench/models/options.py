"""The options of a detector: read from text by the type of their default, and checked against it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from dfbench.errors import UsageError
from dfbench.models.spec import ModelSpec

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_option(text: str, default: Any = None) -> Any:
    """The value that a user typed.

    Args:
        text: what stands behind the equals sign.
        default: the option's default; None where none is known, as of a user's own detector.

    >>> read_option("no", True), read_option("2", 1.0), read_option("255", "1"), read_option("true"), read_option("off")
    (False, 2, '255', True, 'off')
    """
    if isinstance(default, str):
        return text
    truth = _TRUTH if isinstance(default, bool) else {"true": True, "false": False}
    if text.lower() in truth:
        return truth[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def check_options_of(spec: ModelSpec, options: Mapping[str, Any]) -> None:
    """Refuse options that a registered detector does not have, and values of another kind than their default.

    Raises:
        UsageError: naming the option and what it takes.
    """
    for name, value in options.items():
        if name not in spec.options:
            near = difflib.get_close_matches(name, list(spec.options), n=1, cutoff=0.5)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"{spec.name} has no option {name!r}", f"{guess}It has: {', '.join(spec.options) or 'none'}."
            )
        if name == "pretrained" and isinstance(value, str):
            continue  # a weight file
        wanted = _wanted(value, spec.options[name])
        if wanted:
            raise UsageError(
                f"option {name} of {spec.name} takes {wanted}, not {value!r}", f"its default is {spec.options[name]!r}"
            )


def _wanted(value: Any, default: Any) -> str:
    """What kind of value an option takes, where this is none; else nothing."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number and math.isfinite(value) else "a number"
    return "" if isinstance(value, type(default)) else "a word"
