"""Print what decoders write to standard error with the name of the clip, a few different lines per clip.

Decoders (FFmpeg, libpng, libjpeg) write there without saying which file they mean.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dfbench.text import one_line

_MOST_MESSAGES = 3
_STDERR = 2
_read_by_worker = ["starting"]  # what the worker of this process is reading, for the thread below


def name_messages(media_id: str) -> None:
    """Say what is being read: messages of decoders from now on are printed with its name."""
    _read_by_worker[0] = media_id


def forward_messages() -> None:
    """Do so in a worker process, from now on."""
    shown = os.fdopen(os.dup(_STDERR), "w", encoding="utf-8", errors="replace")
    source, sink = os.pipe()
    os.dup2(sink, _STDERR)
    os.close(sink)
    threading.Thread(target=_name_lines, args=(source, shown), daemon=True).start()


@contextmanager
def naming_messages(media_id: str) -> Iterator[None]:
    """Do so in this process while the block reads a clip; what Python prints is not affected."""
    name_messages(media_id)
    original = os.dup(_STDERR)
    shown = os.fdopen(os.dup(original), "w", encoding="utf-8", errors="replace")
    source, sink = os.pipe()
    reader = threading.Thread(target=_name_lines, args=(source, shown), daemon=True)
    printed, direct = sys.stderr, None
    if printed is not None and _descriptor(printed) == _STDERR:  # progress bars of other threads
        printed.flush()
        direct = os.fdopen(os.dup(original), "w", encoding=printed.encoding, errors="backslashreplace", buffering=1)
        sys.stderr = direct
    os.dup2(sink, _STDERR)
    os.close(sink)
    reader.start()
    try:
        yield
    finally:
        os.dup2(original, _STDERR)  # closes the last end to write to: the reader finishes
        os.close(original)
        if direct is not None:
            sys.stderr = printed
        reader.join(timeout=1)  # a process that was started meanwhile may keep the other end open
        if direct is not None:
            direct.close()


def _descriptor(stream: IO[str]) -> int:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return -1


def _name_lines(source: int, shown: IO[str]) -> None:
    of, seen = "", set[str]()
    with shown, os.fdopen(source, encoding="utf-8", errors="replace") as lines, contextlib.suppress(OSError):
        for line in lines:
            if of != _read_by_worker[0]:
                of, seen = _read_by_worker[0], set()
            text = one_line(line.rstrip())
            if text and text not in seen and len(seen) < _MOST_MESSAGES:
                seen.add(text)
                shown.write(f"{one_line(of)}: {text}\n")
                shown.flush()
