"""Text that comes from files, made safe for a terminal: names, licences, reasons, messages of libraries.

Messages of :class:`dfbench.errors.DfbenchError`, everything that the command line prints, and the cells of tables pass
through here.
"""

from __future__ import annotations

import os
import re

__all__ = ["one_line", "path_text", "terminal_text"]

# C0 and C1 controls without tab and newline; marks that change the direction of text or separate lines; halves of
# surrogate pairs, which stand for bytes that are not UTF-8 and which no terminal takes.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = re.compile(f"[{_CONTROLS}]")
_UNSAFE_IN_LINE = re.compile(f"[{_CONTROLS}\t\n]")


def terminal_text(text: str) -> str:
    r"""Return text that a terminal shows and does not execute: control characters are written as escapes.

    Tabs and newlines stay. Marks that reverse the direction of text are escaped, so that a name cannot look like
    another.

    >>> terminal_text("a\x1b[31mb\r")
    'a\\x1b[31mb\\r'
    """
    return _UNSAFE.sub(_escaped, text)


def one_line(text: object) -> str:
    r"""Return a value of a file for the middle of a message: as :func:`terminal_text`, without tabs and newlines.

    >>> one_line("name\nerror: nothing")
    'name\\nerror: nothing'
    """
    return _UNSAFE_IN_LINE.sub(_escaped, str(text))


def path_text(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that every file can hold: bytes of its names that are not UTF-8 as escapes.

    >>> path_text("caf\udce9.mp4")
    'caf\\xe9.mp4'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
