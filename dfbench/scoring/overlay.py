"""Draw boxes and scores of the scored faces on a clip or image."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.io import make_folder, write_bytes
from dfbench.media.encode import write_clip
from dfbench.media.images import encode_png
from dfbench.media.reader import read
from dfbench.media.stream import stream_frames
from dfbench.report.figures.svg import COLOURS
from dfbench.scoring.results import CAUTION_SHORT, FaceScore, FileScore

Image = NDArray[np.uint8]

CRF = 20
DEFAULT_FPS = 25.0
"""Frame rate of clips that do not state one."""

_PAPER, _INK = (20, 20, 20), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class DrawnBox:
    """A face as drawn on a frame.

    Attributes:
        track: number of the track.
        box: x1, y1, x2, y2 in pixels of the frame.
        p_fake: the most recent score.
        scored: whether this frame was scored.
    """

    track: int
    box: tuple[float, ...]
    p_fake: float
    scored: bool


class InterpolatedTracks:
    """The box and most recent score of every track on any frame of a clip.

    Args:
        file: scores of the clip. Between two requested frames, a box is interpolated linearly and the score is kept; a
            face that is missing in the next one keeps its box until then.
    """

    def __init__(self, file: FileScore) -> None:
        self._requested = [frame.frame for frame in file.frames]
        self._tracks: dict[int, dict[int, FaceScore]] = {}
        for frame in file.frames:
            for face in frame.faces:
                if face.track is not None:
                    self._tracks.setdefault(face.track, {})[frame.frame] = face

    def at(self, frame: int) -> list[DrawnBox]:
        """Return the boxes to draw on a frame, sorted by track."""
        index = bisect_right(self._requested, frame) - 1
        if index < 0:
            return []
        before = self._requested[index]
        after = self._requested[index + 1] if index + 1 < len(self._requested) else before
        found = []
        for track, faces in sorted(self._tracks.items()):
            current = faces.get(before)
            if current is not None and current.p_fake is not None:
                following = faces.get(after, current)
                weight = (frame - before) / (after - before) if after > before else 0.0
                box = tuple((1 - weight) * a + weight * b for a, b in zip(current.box, following.box, strict=True))
                found.append(DrawnBox(track, box, current.p_fake, frame == before))
        return found


def write_overlay(
    path: Path,
    file: FileScore,
    out: Path,
    marks: Sequence[str],
    decoder: str = "pyav",
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Write a clip (H.264, without sound) or image with boxes and scores, atomically.

    Args:
        path: the clip or image.
        file: its scores.
        out: ``*.png`` for an image, else ``*.mp4``.
        marks: notes that must accompany the scores.
        decoder: name of the video decoder.
        advance: called after every frame.

    Raises:
        DataError: the clip can no longer be decoded.
        SetupError: the file cannot be written.
    """
    faces, footer = InterpolatedTracks(file), (*marks, CAUTION_SHORT)
    if out.suffix.lower() == ".png":
        (image,) = _drawn(path, faces, footer, decoder, advance)
        write_bytes(out, encode_png(image), sync=False)
        return
    fps = read(path, lambda _: [], decoder).fps or DEFAULT_FPS
    make_folder(out.parent)
    write_clip(out, _even_sized(_drawn(path, faces, footer, decoder, advance)), fps, CRF)


def _drawn(
    path: Path, faces: InterpolatedTracks, footer: Sequence[str], decoder: str, advance: Callable[[], None]
) -> Iterator[Image]:
    for frame in stream_frames(path, decoder):
        yield draw(frame.image, faces.at(frame.index), footer)
        advance()


def draw(image: Image, faces: Sequence[DrawnBox], footer: Sequence[str]) -> Image:
    """Draw boxes, scores and a footer on a copy of a frame, uint8 (height, width, 3) RGB.

    The colour of a box is that of the track in the timeline and does not depend on the score. Boxes are thick on
    scored frames and thin between them.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 800)
    for face in faces:
        name = COLOURS[(face.track - 1) % len(COLOURS)]
        colour = (int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16))
        x1, y1, x2, y2 = (round(value) for value in face.box)
        line_width = max(1, round(2 * scale))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2 * line_width if face.scored else line_width, cv2.LINE_AA)
        _label(canvas, f"face {face.track}  P(fake) {face.p_fake:.2f}", x1, y1, scale, colour)
    for line in reversed(footer):
        height = _label(canvas, line, 0, height, _fitting(line, width, 0.7 * scale), _PAPER)
    return canvas


def _label(canvas: Image, text: str, left: int, bottom: int, scale: float, paper: tuple[int, int, int]) -> int:
    """Draw white text on a strip above row ``bottom``, moved inside the image; return the top row of the strip."""
    (wide, high), under = cv2.getTextSize(text, _FONT, scale, 1)
    height, width = canvas.shape[:2]
    left = max(0, min(left, width - wide))
    bottom = max(high + 2 * under, min(bottom, height))
    top = bottom - high - 2 * under
    cv2.rectangle(canvas, (left, top), (left + wide, bottom), paper, cv2.FILLED)
    cv2.putText(canvas, text, (left, bottom - under), _FONT, scale, _INK, 1, cv2.LINE_AA)
    return top


def _fitting(text: str, width: int, scale: float) -> float:
    (wide, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return scale * min(1.0, width / wide)


def _even_sized(frames: Iterator[Image]) -> Iterator[Image]:
    """Yield frames of one size with even sides, as H.264 needs: pad by a row or column, resize other sizes."""
    height = width = 0
    for image in frames:
        if not height:
            height, width = image.shape[:2]
        same = image if image.shape[:2] == (height, width) else cv2.resize(image, (width, height))
        yield np.pad(same, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
