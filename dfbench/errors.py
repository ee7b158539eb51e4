"""The errors dfbench raises: what went wrong, what to do about it, and the exit code of the command.

Public functions raise only these classes. The command line prints ``error:`` and ``hint:`` and exits with
:attr:`DfbenchError.exit_code`; a traceback appears with ``--debug`` alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DfbenchError(Exception):
    """Base of all errors of dfbench.

    Args:
        message: one sentence, what is wrong, naming the file, row or option.
        hint: what the user can do next, preferably a command to type; may be empty.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[DfbenchError], tuple[str, str]]:
        # Errors cross process borders (workers), and the default pickling would lose the hint.
        return type(self), (self.message, self.hint)


class UsageError(DfbenchError):
    """The command or call itself is wrong: an unknown name, an option out of range (exit 2)."""

    exit_code = 2


class DataError(DfbenchError):
    """Data on disk is missing, damaged or contradicts itself (exit 3)."""

    exit_code = 3


class ModelError(DfbenchError):
    """A model or its weights can not be used (exit 4)."""

    exit_code = 4


class SetupError(DfbenchError):
    """Something must be installed, configured or freed on this machine (exit 5)."""

    exit_code = 5


class UndefinedMetric(DfbenchError):  # noqa: N818 - a reason rather than a fault, reads best so
    """A metric has no value on these data (one class only, too few); the message is the reason."""

    exit_code = 3


def unknown_name(kind: str, name: str, known: Iterable[str], listing: str = "") -> UsageError:
    """The error for a name that is not registered, with the nearest names that are.

    Args:
        kind: what the name should name, for example ``"model"``.
        name: the name that was given.
        known: the names that exist.
        listing: a command that lists them.

    >>> unknown_name("model", "grnett", ["grnet", "meso4"]).hint
    "did you mean 'grnet'? Known: grnet, meso4."
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    parts = [f"did you mean {' or '.join(repr(n) for n in near)}?"] if near else []
    parts.append(f"Known: {', '.join(names) or 'none'}.")
    if listing:
        parts.append(f"See: {listing}")
    return UsageError(f"unknown {kind} {name!r}", " ".join(parts))
