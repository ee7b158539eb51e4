"""A video decoder: exact frames of a clip by another library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from dfbench.errors import DataError
from dfbench.media import Decoder, Frame, FrameCollector, Reading, requested_frames


def read(path: Path, choose: Any, callback: Any) -> Reading[Any]:
    """Decode every frame with OpenCV and collect the requested ones."""
    capture, images = cv2.VideoCapture(str(path)), []
    while (found := capture.read())[0]:
        images.append(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
    if not images:
        raise DataError(f"{path} has no frame that decodes", "check that it is a clip")
    numbers = requested_frames(choose, len(images), path)
    collected = FrameCollector(callback)
    collected.size = images[0].shape[0], images[0].shape[1]
    for number in numbers:
        collected.add(Frame(number, None, images[number]))
    collected.flush()
    return collected.reading(numbers, len(images), None, "sequential")


DECODER = Decoder(read, "OpenCV, frame by frame")
