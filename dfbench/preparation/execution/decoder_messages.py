"""Print what decoders write to standard error with the name of the clip, a few different lines per clip.

Decoders (FFmpeg, libpng, libjpeg) write there without saying which file they mean.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from dfbench.text import one_line

_MOST_MESSAGES = 3
_STDERR = 2
# Stands before a name in the pipe of messages; no library begins a message like that.
_MARK = f"\0{secrets.token_hex(8)}\0"
_forwards = threading.Event()
_caught_up = threading.Event()


def name_messages(media_id: str) -> None:
    """Say what this worker process is reading: messages of decoders from now on are printed with its name.

    The name goes through the pipe of the messages, so that it stands between those before and those after it: decoders
    can be faster than the thread that prints. Nothing happens where messages are not forwarded.
    """
    if _forwards.is_set():
        os.write(_STDERR, f"\n{_MARK}{one_line(media_id)}\n".encode("utf-8", "replace"))


def flush_messages() -> None:
    """Wait until what this worker process wrote so far is printed; not for long, since the other end may be stuck."""
    _caught_up.clear()
    if _forwards.is_set():
        os.write(_STDERR, f"\n{_MARK}\n".encode())
        _caught_up.wait(timeout=2)


def forward_messages() -> None:
    """Do so in a worker process, from now on."""
    shown = os.fdopen(os.dup(_STDERR), "w", encoding="utf-8", errors="replace")
    source, sink = os.pipe()
    os.dup2(sink, _STDERR)
    os.close(sink)
    threading.Thread(target=_name_lines, args=(source, shown, "starting"), daemon=True).start()
    _forwards.set()


_in_use = threading.Lock()


@contextmanager
def naming_messages(media_id: str) -> Iterator[None]:
    """Do so in this process while the block reads a clip; what Python prints is not affected.

    Messages stay as they are while another thread does this, and where standard error is closed.
    """
    if not _in_use.acquire(blocking=False):
        yield
        return
    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                original = os.dup(_STDERR)
                stack.callback(os.close, original)
                stack.enter_context(_redirected(original, media_id))
            yield
    finally:
        _in_use.release()


@contextmanager
def _redirected(original: int, media_id: str) -> Iterator[None]:
    shown = os.fdopen(os.dup(original), "w", encoding="utf-8", errors="replace")
    source, sink = os.pipe()
    reader = threading.Thread(target=_name_lines, args=(source, shown, media_id), daemon=True)
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


def _name_lines(source: int, shown: IO[str], name: str) -> None:
    of, seen = one_line(name), set[str]()
    with os.fdopen(source, encoding="utf-8", errors="replace") as lines, contextlib.suppress(OSError), shown:
        for line in lines:
            text = line.rstrip("\n")
            if text == _MARK:
                _caught_up.set()
            elif text.startswith(_MARK):
                of, seen = text.removeprefix(_MARK), set()
            elif (text := one_line(text.rstrip())) and text not in seen and len(seen) < _MOST_MESSAGES:
                seen.add(text)
                with contextlib.suppress(OSError):  # nobody reads it; the pipe must not fill up all the same
                    shown.write(f"{of}: {text}\n")
                    shown.flush()
