"""The options of a detector: read from text by the type of their default, and checked against it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from dfbench.errors import UsageError, unknown_name
from dfbench.models.spec import ModelSpec, Preset

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_option(text: str, default: Any = None) -> Any:
    """Convert the text of an option to a value.

    Args:
        text: what follows the equals sign.
        default: the option's default; None: unknown, as for a custom detector.

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


def current_options(spec: ModelSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with values of earlier versions replaced, as :attr:`ModelSpec.former_values` says."""
    return {name: _current(value, spec.former_values.get(name, {})) for name, value in options.items()}


def _current(value: Any, former: Mapping[Any, Any]) -> Any:
    # Of the same type: the option value 1 is not the former value True.
    return next((new for old, new in former.items() if old == value and type(old) is type(value)), value)


def full_options(spec: ModelSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option of a detector: as given, else its default."""
    return dict(spec.options) | current_options(spec, given)


def recorded_options(spec: ModelSpec, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return every option of the detector that a weight card describes.

    An option that the card lacks has its former default if there is one, see :attr:`ModelSpec.former_defaults`, else
    its default.

    Args:
        spec: the detector.
        recorded: the options in the card.

    >>> spec = ModelSpec("m", "m:M", options={"norm": "batch"}, former_defaults={"norm": "imagenet"})
    >>> recorded_options(spec, {}), recorded_options(spec, {"norm": "batch"})
    ({'norm': 'imagenet'}, {'norm': 'batch'})
    """
    return dict(spec.options) | dict(spec.former_defaults) | current_options(spec, recorded)


def former_options(spec: ModelSpec, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a weight card that have a former default which is not today's.

    Args:
        spec: the detector.
        recorded: the options in the card.
    """
    found = recorded_options(spec, recorded)
    return {n: v for n, v in spec.former_defaults.items() if found[n] == v and spec.options[n] != v}


def get_preset(spec: ModelSpec, name: str) -> Preset:
    """Return a preset of a detector.

    Args:
        spec: the detector.
        name: of the preset; empty: the detector as it is by default.

    Raises:
        UsageError: it has none of that name.
    """
    if not name:
        return Preset("")
    if not spec.presets:
        raise UsageError(f"{spec.name} has no presets", "drop --preset; single options: --option NAME=VALUE")
    if name not in spec.presets:
        raise unknown_name(f"preset of {spec.name}", name, spec.presets)
    return spec.presets[name]


def preset_options(spec: ModelSpec, preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a preset with those that are given explicitly, which override them.

    Raises:
        UsageError: the detector has no preset of that name.
    """
    return dict(get_preset(spec, preset).options) | dict(given)


def check_options_of(spec: ModelSpec, options: Mapping[str, Any]) -> None:
    """Refuse options that a registered detector does not have, and values of another type than their default.

    Raises:
        UsageError: an unknown option, or a value of another type.
    """
    check_values(spec.name, spec.options, options)


def check_values(owner: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse unknown options, and values of another type than their default.

    Args:
        owner: what has the options, for messages.
        known: option name -> default.
        given: option name -> value.

    Raises:
        UsageError: an unknown option, or a value of another type.
    """
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(f"{owner} has no option {name!r}", f"{guess}It has: {', '.join(known) or 'none'}.")
        if name == "pretrained" and isinstance(value, str):
            continue  # a weight file
        wanted = _wanted(value, known[name])
        if wanted:
            raise UsageError(
                f"option {name} of {owner} takes {wanted}, not {value!r}", f"its default is {known[name]!r}"
            )


def unpublished_size(spec: ModelSpec, size: int) -> str:
    """Return a remark on a crop size that is not one of the publication; empty if it is one, or none is recorded.

    >>> unpublished_size(ModelSpec("m", "m:M", published_sizes=(380,)), 128)
    'crops of 128 px are not the published size (380)'
    """
    if not spec.published_sizes or size in spec.published_sizes:
        return ""
    return f"crops of {size} px are not the published size ({', '.join(map(str, spec.published_sizes))})"


def cautions(spec: ModelSpec, size: int) -> list[str]:
    """Return what readers of a detector's results on crops of a size should know.

    Args:
        spec: the detector.
        size: crop size in pixels.
    """
    return [text for text in (spec.caution, unpublished_size(spec, size)) if text]


def _wanted(value: Any, default: Any) -> str:
    """Return the kind of value that an option takes if the value is of another one; else an empty string."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, int):
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number and math.isfinite(value) else "a number"
    return "" if isinstance(value, type(default)) else "text"
