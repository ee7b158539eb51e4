"""A process that works for this one, so that a crash costs a piece of work and not the run.

Started by :mod:`subprocess`, since workers of a cluster may be daemons, which :mod:`multiprocessing` lets have no
children. Work goes in through its standard input and comes back through its standard output, pickled.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

# The libraries' own threads would fight with the other workers.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MAIN = "import sys; sys.path[:] = {path!r}; from dfbench.preparation.execution.subprocess_worker import serve; serve()"


class WorkerDied(Exception):  # noqa: N818 - an outcome that callers deal with, never shown
    """The process ended in the middle of its work.

    Attributes:
        code: its exit status; the negated number of the signal that ended it, where there was one.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit status {code}")
        self.code = code


class Child:
    """One process, started when there is work and again after its death; a context manager that ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function there and return what it returns, or raise what it raises.

        Raises:
            WorkerDied: the process ended on the way; the next call starts another.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            cloudpickle.dump((function, arguments), process.stdin)
            process.stdin.flush()
            good, value = pickle.load(process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise WorkerDied(self._end()) from error
        if good:
            return value
        raise value

    def close(self) -> None:
        """End the process, whatever it is doing. A call of :meth:`run` under way elsewhere raises `WorkerDied`."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise WorkerDied(0)
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _MAIN.format(path=sys.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ | _ONE_THREAD,
                )
            return self._process

    def _end(self) -> int:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return 0
        try:
            # Its end of the pipe closes a moment before it is gone; the status that it dies with is wanted.
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for stream in (process.stdin, process.stdout):
            _close(stream)
        return code


@contextmanager
def crew(count: int) -> Iterator[Callable[[], AbstractContextManager[Child]]]:
    """Some processes for as many threads: what is yielded lends an idle one, waiting for it if need be."""
    idle: queue.SimpleQueue[Child] = queue.SimpleQueue()

    @contextmanager
    def lend() -> Iterator[Child]:
        child = idle.get()
        try:
            yield child
        finally:
            idle.put(child)

    with ExitStack() as stack:
        for _ in range(count):
            idle.put(stack.enter_context(Child()))
        yield lend


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):  # what was not yet sent can not be sent any more
            stream.close()


def serve() -> None:
    """Be the process: take work until the other end closes."""
    # Ctrl-C reaches the whole group; the process that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:  # noqa: BLE001 - carried to the other process, which raises it
            error.add_note(traceback.format_exc())
            answer = (False, error)
        cloudpickle.dump(answer, answers)
        answers.flush()
