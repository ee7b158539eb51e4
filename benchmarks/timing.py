"""Times of calls that take turns, on a CPU or a GPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Arms = Mapping[str, Callable[[], object]]


class Clock:
    """Times calls, waiting for a GPU to finish."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def seconds(self, work: Callable[[], object]) -> float:
        """What one call takes."""
        self._wait()
        begun = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - begun

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def medians(arms: Arms, rounds: int, clock: Clock) -> dict[str, float]:
    """Seconds of every arm; the arms take turns, each round beginning with another."""
    taken: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for turn in range(rounds + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            seconds = clock.seconds(arms[name])
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def random_images(count: int, size: int, device: torch.device) -> Tensor:
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    return images.contiguous(memory_format=torch.channels_last)
