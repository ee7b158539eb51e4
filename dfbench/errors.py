"""The exceptions of dfbench: what is wrong, what to do about it, and the exit code of the command.

Public functions raise only these classes. The command line prints ``error:`` and ``hint:`` and exits with
:attr:`DfbenchError.exit_code`; it shows a traceback only with ``--debug``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from dfbench.text import terminal_text


class DfbenchError(Exception):
    """Base class of all exceptions of dfbench.

    Args:
        message: what is wrong, in one sentence that names the file, row or option. Control characters in it and in the
            hint are written as escapes.
        hint: what to do next, preferably a command; may be empty.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        # Messages quote names and other libraries' messages, which come from files.
        message, hint = terminal_text(message), terminal_text(hint)
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[DfbenchError], tuple[str, ...]]:
        # Workers send exceptions to other processes, and the default pickling would lose the hint.
        return type(self), (self.message, self.hint)


class UsageError(DfbenchError):
    """Raised when a command or call is invalid: an unknown name, an option out of range (exit code 2)."""

    exit_code = 2


class DataError(DfbenchError):
    """Raised when data on disk are missing, damaged or inconsistent (exit code 3)."""

    exit_code = 3


class ModelError(DfbenchError):
    """Raised when a model or its weights cannot be used (exit code 4)."""

    exit_code = 4


class SetupError(DfbenchError):
    """Raised when something must be installed, configured or freed on this machine (exit code 5)."""

    exit_code = 5


class UndefinedMetric(DfbenchError):  # noqa: N818 - not a failure, but the reason for a missing value
    """Raised when a metric has no value for these data (one class only, too few); the message is the reason."""

    exit_code = 3


def unknown_name(kind: str, name: str, known: Iterable[str], listing: str = "") -> UsageError:
    """Return the error for an unknown name, with the nearest known names in the hint.

    Args:
        kind: what the name stands for, for example ``"model"``.
        name: the unknown name.
        known: the known names.
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
