"""Build a detector by its name. Nothing is ever downloaded unless an option asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from dfbench.errors import ModelError, UsageError
from dfbench.models.options import check_options_of
from dfbench.models.registry import get_spec, load_target
from dfbench.models.spec import ModelSpec
from dfbench.schema.ids import seed_from

if TYPE_CHECKING:
    from torch import nn


def check_size(spec: ModelSpec, size: int) -> None:
    """Raise :class:`ModelError` if a detector can not take crops of ``size`` pixels."""
    known = ", ".join(map(str, sorted(spec.sizes)))
    if not spec.any_size and size not in spec.sizes:
        raise ModelError(f"{spec.name} takes crops of {known} pixels, not {size}", f"use a size of: {known}")
    if size < spec.smallest or size % spec.multiple:
        rule = f"of at least {spec.smallest} pixels" + (f", multiples of {spec.multiple}" if spec.multiple > 1 else "")
        raise ModelError(f"{spec.name} takes sizes {rule}, not {size}", f"it was made for: {known}")


def check_options(spec: ModelSpec, num_classes: int, image_size: int, options: dict[str, Any]) -> None:
    """Raise if a registered detector can not take an option, the class count or the size. Needs no torch."""
    if num_classes < 1:
        raise UsageError(f"num_classes must be at least 1, not {num_classes}")
    if spec.provenance == "user":
        return
    check_options_of(spec, options)
    if spec.classes and num_classes not in spec.classes:
        raise ModelError(
            f"{spec.name} is made for {', '.join(map(str, spec.classes))} classes, not {num_classes}",
            "choose another model for this task",
        )
    check_size(spec, image_size)


def build_seeded(
    name: str, purpose: str, seed: int, num_classes: int, image_size: int, options: dict[str, Any] | None = None
) -> nn.Module:
    """:func:`build_model` with random weights that depend on detector, purpose and seed alone.

    torch's random state is left as it was.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(get_spec(name).name, purpose, seed))
        return build_model(name, num_classes, image_size, **(options or {}))


def build_model(name: str, num_classes: int = 2, image_size: int | None = None, **options: Any) -> nn.Module:
    """A fresh detector with random weights (from torch's global generator), in training mode.

    Args:
        name: a registered name, or a user's own ``file.py:attr`` (see :func:`dfbench.models.registry.get_spec`).
        num_classes: outputs; 1 means one logit whose sigmoid is P(fake).
        image_size: height and width of the crops in pixels; default: the first size the detector was made for.
        options: the detector's own options; what it does not name keeps its default.

    Returns:
        A module; ``model(images)`` with RGB in [0,1], N,3,H,W returns an object with ``.logits`` (N, C).

    Raises:
        UsageError: an unknown name or option.
        ModelError: a class count or size that the detector can not take.

    >>> sum(p.numel() for p in build_model("meso4", num_classes=1).parameters())
    27977
    """
    spec = get_spec(name)
    size = spec.sizes[0] if image_size is None else image_size
    check_options(spec, num_classes, size, options)
    factory = load_target(spec.target)
    if spec.provenance == "user":
        from dfbench.models.custom import call_users

        return call_users(factory, spec.target, num_classes, size, options)
    if not callable(factory):
        raise ModelError(f"{spec.target} can not be called", "its package registers it wrongly")
    return cast("nn.Module", factory(num_classes=num_classes, image_size=size, **{**spec.options, **options}))
