"""ONNX Runtime sessions for the face detectors, on the CPU or on a GPU with onnxruntime-gpu."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dfbench.errors import SetupError, UsageError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_INSTALL_GPU = "pip uninstall onnxruntime, then pip install onnxruntime-gpu; or use --device cpu"


def session(model: bytes | Path, threads: int = 1, device: str = "cpu") -> Any:
    """Create an inference session with a fixed number of threads.

    Args:
        model: serialised ONNX model, or its file.
        threads: threads within one operator; operators run one after the other.
        device: ``cpu``; ``cuda`` or ``cuda:N``; ``auto``: CUDA if available, else the CPU.

    Raises:
        UsageError: the device is unknown.
        SetupError: CUDA was requested by name and is not available or does not start, or the model does not load.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Errors only: the old models cause a warning for every unused weight.
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        made = onnxruntime.InferenceSession(source, options, providers=providers)
    except _load_errors() as error:
        what = "the face detector's network" if isinstance(model, bytes) else str(model)
        raise SetupError(
            f"{what} does not load: {_first_line(error)}", "check that it is a complete ONNX file"
        ) from error
    # If CUDA's libraries are missing, ONNX Runtime reports it in its log only and falls back to the CPU.
    if device.startswith("cuda") and provider_of(made) != CUDA:
        raise SetupError(f"the face detector cannot run on {device}: CUDA does not start", _INSTALL_GPU)
    return made


def provider_of(made: Any) -> str:
    """Return the execution provider that a session actually runs on."""
    return str(made.get_providers()[0])


def runtime_of(made: Any) -> str:
    """Return what a session runs on, with version: ``onnxruntime 1.31.1``, and the provider if it is not the CPU."""
    import onnxruntime

    provider = provider_of(made)
    return f"onnxruntime {onnxruntime.__version__}" + ("" if provider == CPU else f" {provider}")


def suffix(made: Any) -> str:
    """Return what a session adds to a fingerprint: nothing on the CPU, else the provider, as its last bits differ."""
    return "" if provider_of(made) == CPU else f";provider={provider_of(made)}"


def _providers(device: str, available: list[str]) -> list[Any]:
    match = re.fullmatch(r"cpu|auto|cuda(?::(\d+))?", device)
    if match is None:
        raise UsageError(f"unknown device {device!r}", "use auto, cpu, cuda or cuda:N")
    if device == "cpu" or (device == "auto" and CUDA not in available):
        return [CPU]
    if CUDA not in available:
        raise SetupError(f"the face detector cannot run on {device}: this onnxruntime has no CUDA", _INSTALL_GPU)
    # A fixed choice of algorithms and no TensorFloat: the same frame gives the same result on the same GPU.
    settings = {"device_id": match[1] or "0", "cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
    return [(CUDA, settings), CPU]


def _load_errors() -> tuple[type[Exception], ...]:
    # ONNX Runtime's own errors have no common base class except Exception.
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return (RuntimeError, ValueError, *(getattr(state, name) for name in names if hasattr(state, name)))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
