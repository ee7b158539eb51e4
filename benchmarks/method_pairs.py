"""Training methods and what each is compared with: the same network, trained without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class MethodPair:
    """A method and its backbone.

    Attributes:
        model: the detector that is trained.
        method: added training method; empty: the detector's own.
        backbone: the detector that it is compared with.
        options: of the method.
    """

    model: str
    method: str
    backbone: str
    options: Mapping[str, str | int | bool] = field(default_factory=lambda: MappingProxyType({}))

    def words(self) -> tuple[str, ...]:
        """Return the options as words of a command line."""
        texts = (f"{name}={str(value).lower()}" for name, value in self.options.items())
        return tuple(word for text in texts for word in ("--method-option", text))


_TINY = MappingProxyType({"sd": "tiny", "size": 64})
PAIRS = {
    "mat": MethodPair("mat", "", "efficientnet-b4"),
    "rfm": MethodPair("xception", "rfm", "xception"),
    "sbi": MethodPair("efficientnet-b4", "sbi", "efficientnet-b4"),
    "diffusionfake": MethodPair("efficientnet-b4", "diffusionfake", "efficientnet-b4", _TINY),
}
"""The published pairings."""
