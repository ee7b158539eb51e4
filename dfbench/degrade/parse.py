"""Parse a condition: ``name:key=value,key=value``, joined by ``+``, followed by ``@`` and the stage."""

from __future__ import annotations

from functools import lru_cache

from dfbench.degrade.base import STAGES, Stage, Value
from dfbench.degrade.condition import CLEAN, Condition, Step, default_stage
from dfbench.degrade.registry import ALIASES, get_degradation
from dfbench.errors import UsageError, unknown_name


@lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Parse a condition.

    Omitted parameters take their defaults. Without a stage, a condition acts on the crop; if it contains a video codec,
    it acts on the clip.

    Args:
        text: ``clean``; a paper's name such as ``JP60``; ``jpeg:q=60``; ``jpeg:q=60+mean:k=5@source``.

    Raises:
        UsageError: an unknown name (with the nearest ones), a value out of range (with the range), or a degradation
            that does not act at that stage.

    >>> parse("jpeg:q=60+mean:k=5@source").name
    'JP60+ME5@source'
    """
    chain, at, where = text.strip().partition("@")
    if at and where not in STAGES:
        raise unknown_name("stage", where, STAGES)
    if chain == CLEAN:
        return Condition((), _stage(where, ()))
    steps = tuple(_step(part, text) for part in chain.split("+"))
    return Condition(steps, _stage(where, steps))


def _stage(where: str, steps: tuple[Step, ...]) -> Stage:
    for stage in STAGES:
        if stage == where:
            return stage
    return default_stage(steps)


def _step(part: str, text: str) -> Step:
    name, colon, settings = ALIASES.get(part, part).partition(":")
    if not name or (colon and not settings):
        raise UsageError(f"not a condition: {text!r}", "the format is name:key=value,key=value, several joined by +")
    if name == CLEAN:
        raise UsageError(f"clean cannot be combined with degradations, as in {text!r}", "remove clean from the chain")
    degradation = get_degradation(name)
    given: dict[str, Value] = {}
    for setting in settings.split(",") if colon else ():
        key, equals, value = (word.strip() for word in setting.partition("="))
        parameter = degradation.parameter(key)
        if not equals or not value or key in given:
            raise UsageError(
                f"{setting!r} in {text!r} does not give {key} exactly one value",
                f"write {key}=VALUE once; {key} is {parameter.range}",
            )
        given[key] = parameter.read(value, name)
    return Step(name, tuple((p.name, given.get(p.name, p.default)) for p in degradation.parameters))
