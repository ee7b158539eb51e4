"""Read a condition: ``name:key=value,key=value``, joined by ``+``, with the place behind ``@``."""

from __future__ import annotations

from functools import lru_cache

from dfbench.degrade.base import PLACES, Place, Value
from dfbench.degrade.condition import CLEAN, Condition, Step, default_place
from dfbench.degrade.registry import ALIASES, get_degradation
from dfbench.errors import UsageError, unknown_name


@lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """The condition that a text stands for.

    Parameters left out take their defaults. Without a place, a condition acts on the crop; one with a video codec in
    it acts on the clip.

    Args:
        text: ``clean``; a paper's name such as ``JP60``; ``jpeg:q=60``; ``jpeg:q=60+mean:k=5@source``.

    Raises:
        UsageError: an unknown name (with the nearest ones), a value out of range (with the range), a degradation that
            does not act at that place.

    >>> parse("jpeg:q=60+mean:k=5@source").name
    'JP60+ME5@source'
    """
    chain, at, where = text.strip().partition("@")
    if at and where not in PLACES:
        raise unknown_name("place", where, PLACES)
    if chain == CLEAN:
        return Condition((), _place(where, ()))
    steps = tuple(_step(part, text) for part in chain.split("+"))
    return Condition(steps, _place(where, steps))


def _place(where: str, steps: tuple[Step, ...]) -> Place:
    for place in PLACES:
        if place == where:
            return place
    return default_place(steps)


def _step(part: str, text: str) -> Step:
    name, colon, settings = ALIASES.get(part, part).partition(":")
    if not name or (colon and not settings):
        raise UsageError(f"not a condition: {text!r}", "it reads name:key=value,key=value, several joined by +")
    if name == CLEAN:
        raise UsageError(f"clean stands alone, not in {text!r}", "leave clean out of the chain")
    degradation = get_degradation(name)
    given: dict[str, Value] = {}
    for setting in settings.split(",") if colon else ():
        key, equals, value = (word.strip() for word in setting.partition("="))
        parameter = degradation.parameter(key)
        if not equals or not value or key in given:
            raise UsageError(
                f"{setting!r} in {text!r} does not give {key} one value",
                f"write {key}=VALUE once; {key} is {parameter.range}",
            )
        given[key] = parameter.read(value, name)
    return Step(name, tuple((p.name, given.get(p.name, p.default)) for p in degradation.parameters))
