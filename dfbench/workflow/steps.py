"""What plans of trainings and evaluations share: the preparations that come first, and signatures."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from dfbench.preparation.prepare import resolve_preparation
from dfbench.protocols.protocol import Protocol

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest
    from dfbench.preparation.prepare import PreparationPlan

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("dfbench")


def same_parameters(of: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Give a function that passes all its arguments on the signature of the function that receives them."""

    def decorate(function: Callable[..., T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return function(*args, **kwargs)

        returns = inspect.signature(function).return_annotation
        call.__signature__ = inspect.signature(of).replace(return_annotation=returns)  # type: ignore[attr-defined]
        return call

    return decorate


def missing_preparations(
    found: Mapping[str, Manifest | None], protocol: Protocol, quiet: bool, extras: Sequence[str] = ()
) -> dict[str, PreparationPlan]:
    """Return the preparations of the manifests that do not exist yet.

    Args:
        found: data set -> manifest; None where it is to be prepared.
        protocol: decides frames, crops and media.
        quiet: no progress bar.
        extras: groups of optional columns that they need: ``patch``, or ``dense``, for which the landmark provider is
            the one that needs no file.
    """
    landmarks = "average-face" if "dense" in extras else None
    return {
        name: resolve_preparation(name, protocol=protocol, patch="patch" in extras, landmarks=landmarks, quiet=quiet)
        for name, manifest in found.items()
        if manifest is None
    }


def run_preparations(preparations: Mapping[str, PreparationPlan], notes: Sequence[str]) -> dict[str, Manifest]:
    """Prepare the manifests, one after the other, after the notes have been logged.

    Args:
        preparations: data set -> plan.
        notes: remarks for the user.
    """
    for note in notes:
        logger.info("note: %s", note)
    made = {}
    for name, plan in preparations.items():
        logger.info("prepare %s into %s", name, plan.out)
        made[name] = plan.run()
    return made
