"""Key maps: tensor names of other projects, and their conversion to those of a detector. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = "dict[str, Tensor]"
Rule: TypeAlias = tuple[str, str]

# Prefixes of a wrapped network: DataParallel, torch.compile, an attribute of a larger class.
_WRAPPERS = re.compile(
    r"(?:(?:module|_orig_mod|model|net|network|backbone|detector|control_model\.input_hint_block)\.)*"
)


def as_it_is(state: State) -> State:
    """Return the state unchanged: for files that already have the detector's names."""
    return state


@dataclass(frozen=True)
class KeyMap:
    """The naming of a weight file of another project, and everything needed to use the weights as published.

    Attributes:
        name: name of the source on the command line.
        source: description of the files in one line.
        marks: names, without wrappers, that every such file has and that distinguish it from others.
        convert: pure function from their names and layouts, without wrappers, to the detector's. Unknown names are
            passed on, so that they are reported. It is also called with single tensors of a file, to report them by
            the names that they have there.
        head: the detector's name of a tensor whose first dimension is the number of outputs.
        unused: prefixes of stored names that the published detector does not use.
        lacks: prefixes of the detector's names that are not stored; they come from its option ``pretrained``.
        options: options with which the detector computes what the source computes.
        size: crop size of the source in pixels; None: unknown.
        profile: crop profile of the source; empty: unknown.
        licence: licence of the weights, if stated.
        selection: how the weights were selected, if known.
        training_method: name of the training method of the weights, if known.
    """

    name: str
    source: str
    marks: tuple[str, ...]
    convert: Callable[[State], State] = as_it_is
    head: str = ""
    unused: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None
    profile: str = ""
    licence: str = ""
    selection: str = ""
    training_method: str = "unknown"


@dataclass(frozen=True, eq=False)
class Translated:
    """A state dict converted to a detector's names.

    Attributes:
        state: the tensors.
        keymap: the key map that matched.
        prefix: the wrapper that was removed.
        left_out: names in the file that the published detector does not use.
        stored: the tensors that were converted, by their names in the file.
    """

    state: State
    keymap: KeyMap
    prefix: str
    left_out: tuple[str, ...]
    stored: State

    def stored_names(self) -> dict[str, str]:
        """Return the name in the file of every converted tensor that is made from one stored tensor."""
        names: dict[str, str] = {}
        for theirs, tensor in self.stored.items():
            with suppress(LookupError):  # the conversion needs other tensors beside it
                converted = self.keymap.convert({theirs.removeprefix(self.prefix): tensor})
                names |= dict.fromkeys(converted, theirs)
        return names


def translate(state: State, keymaps: Sequence[KeyMap]) -> Translated | None:
    r"""Convert a state dict by the first key map that matches; None if none does.

    >>> import torch
    >>> to_ours = lambda state: rename(state, [(r"^fc\.", "head.")])
    >>> naming = KeyMap("other", "a project", ("fc.weight",), to_ours, unused=("x.",))
    >>> found = translate({"module.fc.weight": torch.ones(1), "module.x.bias": torch.ones(1)}, [naming])
    >>> list(found.state), found.prefix, found.left_out
    (['head.weight'], 'module.', ('module.x.bias',))
    >>> found.stored_names()
    {'head.weight': 'module.fc.weight'}
    """
    for keymap in keymaps:
        prefix = _prefix(state, keymap.marks)
        if prefix is None:
            continue
        unused = tuple(prefix + start for start in keymap.unused)
        left_out = tuple(name for name in state if unused and name.startswith(unused))
        kept = {name: tensor for name, tensor in state.items() if name not in left_out}
        converted = keymap.convert({name.removeprefix(prefix): tensor for name, tensor in kept.items()})
        return Translated(converted, keymap, prefix, left_out, kept)
    return None


def rename(state: State, rules: Sequence[Rule]) -> State:
    r"""Rename tensors by regular expressions; the first matching rule is applied, other names are unchanged.

    >>> list(rename({"bn1.bias": None, "other": None}, [(r"^bn(\d)\.", r"norms.\1.")]))
    ['norms.1.bias', 'other']
    """

    def renamed(name: str) -> str:
        for pattern, replacement in rules:
            new, count = re.subn(pattern, replacement, name, count=1)
            if count:
                return new
        return name

    return {renamed(name): tensor for name, tensor in state.items()}


def _prefix(state: State, marks: Sequence[str]) -> str | None:
    """Return the prefix that all marks have; None if they have none in common."""
    for name in state:
        if name.endswith(marks[0]):
            prefix = name[: -len(marks[0])]
            if _WRAPPERS.fullmatch(prefix) and all(prefix + mark in state for mark in marks):
                return prefix
    return None
