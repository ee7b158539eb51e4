"""What every process does before libraries are loaded: telemetry off; and how the command line is stopped by signals.

:func:`disable_telemetry` runs when ``dfbench`` is imported, hence also in worker processes, before the libraries that
read these variables. Nothing is sent anywhere and nothing is written outside the folders named.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType

__all__ = ["TELEMETRY", "StoppedBySignal", "disable_telemetry", "stopped_by_signals", "telemetry_state"]

TELEMETRY: Mapping[str, str] = MappingProxyType(
    {
        "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: device id, processor and process names
        "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, which timm and datasets download with
        "RAY_USAGE_STATS_ENABLED": "0",
        "WANDB_ERROR_REPORTING": "false",  # wandb sends what a training logs only where --logger wandb asks for it
        "SCARF_NO_ANALYTICS": "true",
        "DO_NOT_TRACK": "1",
    }
)
"""Environment variable -> the value that turns a library's telemetry off."""

_QUIET = {"OPENCV_LOG_LEVEL": "SILENT"}  # its errors are raised; what it logs names no file

_STOPPING = ("SIGTERM", "SIGHUP")


def disable_telemetry() -> None:
    """Turn off the telemetry of libraries in this process and those that it starts; a variable that is set stays.

    OpenVINO has no variable: its package ``openvino_telemetry`` cannot be imported any more, as if it were not
    installed.
    """
    for name, value in {**TELEMETRY, **_QUIET}.items():
        os.environ.setdefault(name, value)
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def telemetry_state() -> str:
    """Return in one line whether the telemetry of libraries is off, and which variables the user has set otherwise."""
    other = [f"{name}={os.environ.get(name, '')}" for name, value in TELEMETRY.items() if os.environ.get(name) != value]
    return f"set by the environment: {', '.join(other)}" if other else f"off ({', '.join(TELEMETRY)})"


class StoppedBySignal(KeyboardInterrupt):
    """Raised in the main thread by SIGTERM or SIGHUP, as Ctrl-C raises ``KeyboardInterrupt``.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal, as shells report it."""
        return 128 + self.number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, which schedulers and closed terminals send, end the block as Ctrl-C would.

    A second signal is ignored while the block cleans up. Processes that are forked inside the block end silently, as
    they would without it; a signal that is ignored, as under ``nohup``, stays ignored. Outside the main thread the
    block does nothing.

    Raises:
        StoppedBySignal: one of the signals arrived.
    """
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise StoppedBySignal(number)

    before = {}
    for name in _STOPPING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            try:
                before[number] = signal.signal(number, stop)
            except ValueError:  # not the main thread
                break
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
