"""The extractors of Table II by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dfbench.errors import UsageError
from reference_models.extractors.amten import AMTEN
from reference_models.extractors.constrained import ConstrainedConv
from reference_models.extractors.fixed import SRM, GuidedResidual, HighPass

EXTRACTORS: dict[str, Callable[[], nn.Module]] = {
    "amten": AMTEN,
    "constrained": lambda: ConstrainedConv(3, 3, padding=2),
    "high-pass": HighPass,
    "mte": GuidedResidual,
    "srm": SRM,
}


def make_extractor(name: str) -> tuple[nn.Module, int]:
    """An extractor and the number of planes it gives.

    Args:
        name: ``amten``, ``constrained``, ``high-pass``, ``mte`` or ``srm``.

    Returns:
        A module N,3,H,W in 0-255 -> N,C,H,W of the same height and width; C.

    Raises:
        UsageError: there is no such extractor.
    """
    if name not in EXTRACTORS:
        raise UsageError(f"there is no extractor {name!r}", f"choose from: {', '.join(EXTRACTORS)}")
    module = EXTRACTORS[name]()
    return module, int(module.channels)  # type: ignore[arg-type]
