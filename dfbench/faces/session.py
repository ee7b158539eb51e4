"""ONNX Runtime sessions for the face detectors."""

from __future__ import annotations

from typing import Any


def cpu_session(model: bytes, threads: int = 1) -> Any:
    """An inference session on the CPU with a fixed number of threads.

    Args:
        model: serialised ONNX model.
        threads: threads within one operator; operators run one after the other.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Errors only: the old models draw a warning for every unused weight.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
