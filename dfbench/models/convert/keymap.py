"""Weights of other projects: what they call their tensors, and how those become a detector's own. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = "dict[str, Tensor]"
Rule: TypeAlias = tuple[str, str]

# What wraps a network in the files of its users: DataParallel, torch.compile, the attribute of a larger class.
_WRAPPERS = re.compile(
    r"(?:(?:module|_orig_mod|model|net|network|backbone|detector|control_model\.input_hint_block)\.)*"
)


def as_it_is(state: State) -> State:
    """The conversion of files that already have our names."""
    return state


@dataclass(frozen=True)
class KeyMap:
    """One naming in which weights of a detector are found, and everything needed to use them as published.

    Attributes:
        name: what a user calls the source.
        source: whose files these are, in one line.
        marks: names, without wrappers, that every such file has and that tell it from others.
        convert: names and layouts without wrappers to the detector's own. A pure function; what it does not know it
            passes on, so that it is reported.
        head: our name of a tensor whose first dimension counts the outputs.
        unused: beginnings of names that the files store and the published detector does not use.
        lacks: beginnings of our names that the files do not store; they come by the detector's option ``pretrained``.
        options: detector options with which it computes what the source computes.
        size: crop size in pixels the source was made for; None: not known.
        profile: crop profile of the source; empty: not known.
        licence: of the weights, where the source states one.
        selection: how the source chose its weights, where known.
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


@dataclass(frozen=True, eq=False)
class Translated:
    """A foreign state in a detector's own names.

    Attributes:
        state: the tensors.
        keymap: the naming that was recognised.
        prefix: the wrapper that was stripped.
        left_out: names in the file that the published detector does not use.
    """

    state: State
    keymap: KeyMap
    prefix: str
    left_out: tuple[str, ...]


def translate(state: State, keymaps: Sequence[KeyMap]) -> Translated | None:
    r"""Bring a foreign state to a detector's own names by the first naming that fits; None: none does.

    >>> import torch
    >>> to_ours = lambda state: rename(state, [(r"^fc\.", "head.")])
    >>> naming = KeyMap("other", "a project", ("fc.weight",), to_ours, unused=("x.",))
    >>> found = translate({"module.fc.weight": torch.ones(1), "module.x.bias": torch.ones(1)}, [naming])
    >>> list(found.state), found.prefix, found.left_out
    (['head.weight'], 'module.', ('module.x.bias',))
    """
    for keymap in keymaps:
        prefix = _prefix(state, keymap.marks)
        if prefix is None:
            continue
        unused = tuple(prefix + start for start in keymap.unused)
        left_out = tuple(name for name in state if unused and name.startswith(unused))
        kept = {name: tensor for name, tensor in state.items() if name not in left_out}
        return Translated(
            keymap.convert({name.removeprefix(prefix): t for name, t in kept.items()}), keymap, prefix, left_out
        )
    return None


def rename(state: State, rules: Sequence[Rule]) -> State:
    r"""Rename tensors by regular expressions; the first rule that fits a name counts, others stay as they are.

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
    """The wrapper under which all the marks lie; None: they do not."""
    for name in state:
        if name.endswith(marks[0]):
            prefix = name[: -len(marks[0])]
            if _WRAPPERS.fullmatch(prefix) and all(prefix + mark in state for mark in marks):
                return prefix
    return None
