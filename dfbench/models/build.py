"""Build a detector. Nothing is ever downloaded unless an option requests it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfbench.errors import ModelError, UsageError
from dfbench.io import data_sha256
from dfbench.models.options import check_options_of, current_options, preset_options
from dfbench.models.source import ModelLike, ModelSource, model_source
from dfbench.models.spec import ModelSpec
from dfbench.schema.ids import seed_from

if TYPE_CHECKING:
    from torch import nn


def check_size(spec: ModelSpec, size: int) -> None:
    """Raise :class:`ModelError` if a detector cannot take crops of ``size`` pixels."""
    known = ", ".join(map(str, sorted(spec.sizes)))
    if not spec.any_size and size not in spec.sizes:
        raise ModelError(f"{spec.name} takes crops of {known} pixels, not {size}", f"use a size of: {known}")
    if size < spec.smallest or size % spec.multiple:
        rule = f"of at least {spec.smallest} pixels" + (f", multiples of {spec.multiple}" if spec.multiple > 1 else "")
        raise ModelError(f"{spec.name} takes sizes {rule}, not {size}", f"it was made for: {known}")


def check_options(spec: ModelSpec, num_classes: int, image_size: int, options: Mapping[str, Any]) -> None:
    """Raise if a registered detector cannot take an option, the class count or the size. Needs no torch.

    Raises:
        UsageError: an unknown option, a value of another type, or no classes.
        ModelError: a class count or size that the detector cannot take.
    """
    if num_classes < 1:
        raise UsageError(f"num_classes must be at least 1, not {num_classes}", "1 means one logit, P(fake) by sigmoid")
    if spec.provenance == "user":
        return
    check_options_of(spec, current_options(spec, options))
    if spec.classes and num_classes not in spec.classes:
        raise ModelError(
            f"{spec.name} is made for {', '.join(map(str, spec.classes))} classes, not {num_classes}",
            "choose another model for this task",
        )
    check_size(spec, image_size)


def build_seeded(
    source: ModelSource,
    purpose: str,
    seed: int,
    num_classes: int,
    image_size: int,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a detector with random weights that depend on its name, a purpose and a seed alone.

    torch's random state is left as it was.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(source.name, purpose, seed))
        return build_network(source, num_classes, image_size, options or {})


def build_network(
    source: ModelSource, num_classes: int, image_size: int | None, options: Mapping[str, Any]
) -> nn.Module:
    """:func:`build_model` of a source, with options by name."""
    size = source.spec.sizes[0] if image_size is None else image_size
    check_options(source.spec, num_classes, size, options)
    return source.build(num_classes, size, current_options(source.spec, options))


def build_model(
    model: ModelLike, num_classes: int = 2, image_size: int | None = None, *, preset: str = "", **options: Any
) -> nn.Module:
    """Build a detector with random weights (from torch's global generator), in training mode.

    Args:
        model: a registered name, ``path/to/file.py:attr``, ``package.module:attr``, or an ``nn.Module`` instance, class
            or factory (see :func:`dfbench.models.source.model_source`). An instance is copied with its weights.
        num_classes: outputs; 1 means one logit whose sigmoid is P(fake).
        image_size: height and width of the crops in pixels; default: the first size the detector was made for.
        preset: a named choice of options of a registered detector, such as ``paper``; empty: its defaults.
        options: the detector's own options, which override those of the preset; those that neither gives keep their
            default.

    Returns:
        A module; ``model(images)`` with RGB in [0,1], N,3,H,W returns an object with ``.logits`` (N, C).

    Raises:
        UsageError: an unknown name, preset or option.
        ModelError: a class count or size that the detector cannot take.

    >>> sum(p.numel() for p in build_model("meso4", num_classes=1).parameters())
    27977
    """
    source = model_source(model)
    if source.is_custom and preset:
        options["preset"] = preset  # an option of the user's own detector
        preset = ""
    return build_network(source, num_classes, image_size, preset_options(source.spec, preset, options))


def state_sha256(network: nn.Module) -> str:
    """SHA-256 over names and values of all parameters and buffers that weight files hold."""
    import torch

    return data_sha256(
        name.encode() + tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for name, tensor in sorted(network.state_dict().items())
        if isinstance(tensor, torch.Tensor)
    )
