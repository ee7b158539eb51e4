"""Device (``auto``, ``cpu`` or ``cuda[:N]``) and precision of a detector."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from dfbench.errors import SetupError, UsageError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")


def check_device_name(name: str) -> None:
    """Raise :class:`UsageError` for a device that is not written ``auto``, ``cpu`` or ``cuda[:N]``; needs no torch."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"unknown device {name!r}", "write auto, cpu, cuda or cuda:N")


def check_precision(name: str, device: str = "cpu") -> None:
    """Check the name of a precision, and that a device has it. Torch is imported for ``fp16`` alone.

    Raises:
        UsageError: an unknown precision, or ``fp16`` without a GPU.
        SetupError: this machine has no such GPU.
    """
    if name not in PRECISIONS:
        raise UsageError(f"unknown precision {name!r}", f"write one of: {', '.join(PRECISIONS)}")
    if name == "fp16" and resolve_device(device).type != "cuda":
        raise UsageError("precision fp16 needs a GPU", "use bf16, which also works on a CPU, or fp32")


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name; ``auto`` is the first GPU, else the CPU.

    Raises:
        UsageError: the name is not one.
        SetupError: this machine has no such GPU.
    """
    import torch

    check_device_name(name)
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    number = int(name.partition(":")[2] or 0)
    if not torch.cuda.is_available() or number >= torch.cuda.device_count():
        raise SetupError(
            f"device {name!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices",
            "use --device cpu, or check the driver: dfbench doctor",
        )
    return torch.device("cuda", number)


def gpu_names() -> tuple[str, ...]:
    """Return the names of the GPUs that torch can use."""
    import torch

    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def device_label(device: torch.device) -> str:
    """Return the name of a device in results: ``cpu`` or the GPU's name."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Run the forward pass in bfloat16 or float16 where ``precision`` is ``bf16`` or ``fp16``.

    Raises:
        UsageError: an unknown precision, or one that the device does not have.
    """
    import torch

    check_precision(precision, str(device))
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)
