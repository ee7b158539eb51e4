"""Worker processes: a crash costs one piece of work and not the run.

They are started by :mod:`subprocess` because workers of a cluster may be daemons, which cannot have children of
:mod:`multiprocessing`. Work is sent through standard input, results return through standard output, both pickled.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import secrets
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

from dfbench.preparation.execution.decoder_messages import flush_messages, forward_messages

# Threads of the libraries would compete with the other workers.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MAIN = "import sys; sys.path[:] = {path!r}; from dfbench.preparation.execution.subprocess_worker import serve; serve()"


class WorkerDied(Exception):  # noqa: N818 - an outcome that callers handle, never shown
    """Raised if the process ended during its work.

    Attributes:
        code: its exit status; the negated signal number if a signal ended it.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit status {code}")
        self.code = code


class WorkerProcess:
    """A process that is started with its first work and again after a crash; a context manager that ends it.

    Attributes:
        name: tells it from other workers, on all machines.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(6)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the process and return its result, or raise what it raises.

        Args:
            function: a function that can be pickled by cloudpickle.
            arguments: its arguments.

        Raises:
            WorkerDied: the process ended during the call; the next call starts another.
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

    def kill(self) -> None:
        """End the process at once, also one that is stopped; the next call starts another."""
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process at once. A call of :meth:`run` in progress in another thread raises ``WorkerDied``."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> WorkerProcess:
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
            # Its end of the pipe closes shortly before it exits; its exit status is needed.
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for stream in (process.stdin, process.stdout):
            _close(stream)
        return code


@contextmanager
def process_pool(count: int) -> Iterator[Callable[[], AbstractContextManager[WorkerProcess]]]:
    """Start a pool of processes; yield a function that gives the caller an idle one for the length of a block.

    Args:
        count: number of processes, for as many threads.
    """
    idle: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()

    @contextmanager
    def borrow() -> Iterator[WorkerProcess]:
        process = idle.get()
        try:
            yield process
        finally:
            idle.put(process)

    with ExitStack() as stack:
        for _ in range(count):
            idle.put(stack.enter_context(WorkerProcess()))
        yield borrow


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with contextlib.suppress(OSError):  # what was not sent yet cannot be sent any more
            stream.close()


def _portable(error: Exception) -> Exception:
    # Not every exception survives pickling; libraries have classes of their own for a lack of memory.
    if isinstance(error, MemoryError):
        return MemoryError(str(error))
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(cloudpickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its class does
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def serve() -> None:
    """Run in the worker process: do work until the other end closes the pipe."""
    # Ctrl-C and the signals of schedulers reach the whole process group; the process that started this one ends it.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    forward_messages()
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:  # noqa: BLE001 - sent to the other process, which raises it
            answer = (False, _portable(error))
        flush_messages()
        cloudpickle.dump(answer, answers)
        answers.flush()
