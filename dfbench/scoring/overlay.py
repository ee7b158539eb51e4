"""A clip or picture again, with a box and a score on every face that was scored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.io import write_bytes
from dfbench.media.encode import write_clip
from dfbench.media.images import encode_png
from dfbench.media.reader import read
from dfbench.media.stream import stream_frames
from dfbench.report.figures.svg import COLOURS
from dfbench.scoring.disclaimer import CAUTION_SHORT
from dfbench.scoring.outputs import PICTURE
from dfbench.scoring.results import FaceScore, FileScore

Picture = NDArray[np.uint8]

CRF = 20
DEFAULT_FPS = 25.0
"""Of clips that do not say."""

_PAPER, _INK = (20, 20, 20), (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Drawn:
    """One face as it is drawn on a frame.

    Attributes:
        track: its number.
        box: x1, y1, x2, y2 in pixels of the frame.
        p_fake: the last score it has.
        fresh: whether this very frame was scored.
    """

    track: int
    box: tuple[float, ...]
    p_fake: float
    fresh: bool


class Faces:
    """Where each followed face is on any frame of a clip, and its last score.

    Args:
        file: the clip. Between two frames that were asked for, a box moves in a straight line and the score stays; a
            face that is not in the next one keeps its place until there.
    """

    def __init__(self, file: FileScore) -> None:
        self._asked = [frame.frame for frame in file.frames]
        self._tracks: dict[int, dict[int, FaceScore]] = {}
        for frame in file.frames:
            for face in frame.faces:
                if face.track is not None:
                    self._tracks.setdefault(face.track, {})[frame.frame] = face

    def at(self, frame: int) -> list[Drawn]:
        """The faces to draw on a frame, by track."""
        place = bisect_right(self._asked, frame) - 1
        if place < 0:
            return []
        before = self._asked[place]
        after = self._asked[place + 1] if place + 1 < len(self._asked) else before
        found = []
        for track, faces in sorted(self._tracks.items()):
            here = faces.get(before)
            if here is not None and here.p_fake is not None:
                there = faces.get(after, here)
                share = (frame - before) / (after - before) if after > before else 0.0
                box = tuple((1 - share) * a + share * b for a, b in zip(here.box, there.box, strict=True))
                found.append(Drawn(track, box, here.p_fake, frame == before))
        return found


def write_overlay(
    path: Path,
    file: FileScore,
    out: Path,
    marks: Sequence[str],
    decoder: str = "pyav",
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Write a clip (H.264, without sound) or picture with boxes and scores, whole or not at all.

    Args:
        path: the clip or picture.
        file: its scores.
        out: ``*.png`` for a picture, else an mp4.
        marks: what must stand beside the scores.
        decoder: name of the video reader.
        advance: called for every frame that is drawn.

    Raises:
        DataError: the clip does not decode any more.
        SetupError: the file can not be written.
    """
    faces, footer = Faces(file), (*marks, CAUTION_SHORT)
    if out.suffix.lower() == PICTURE:
        (image,) = _drawn(path, faces, footer, decoder, advance)
        write_bytes(out, encode_png(image))
        return
    fps = read(path, lambda _: [], decoder).fps or DEFAULT_FPS
    write_clip(out, _alike(_drawn(path, faces, footer, decoder, advance)), fps, CRF)


def _drawn(
    path: Path, faces: Faces, footer: Sequence[str], decoder: str, advance: Callable[[], None]
) -> Iterator[Picture]:
    for frame in stream_frames(path, decoder):
        yield draw(frame.image, faces.at(frame.index), footer)
        advance()


def draw(image: Picture, faces: Sequence[Drawn], footer: Sequence[str]) -> Picture:
    """A copy of a frame, uint8 (height, width, 3) RGB, with boxes, scores and lines at the foot.

    Boxes have the colour of the face's line in the timeline, which says nothing of the score: thick on frames that
    were scored, thin between them.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 800)
    for face in faces:
        name = COLOURS[(face.track - 1) % len(COLOURS)]
        colour = (int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16))
        x1, y1, x2, y2 = (round(value) for value in face.box)
        thick = max(1, round(2 * scale))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2 * thick if face.fresh else thick, cv2.LINE_AA)
        _label(canvas, f"face {face.track}  P(fake) {face.p_fake:.2f}", x1, y1, scale, colour)
    for line in reversed(footer):
        height = _label(canvas, line, 0, height, _fitting(line, width, 0.7 * scale), _PAPER)
    return canvas


def _label(canvas: Picture, text: str, left: int, bottom: int, scale: float, paper: tuple[int, int, int]) -> int:
    """White text on a coloured strip above a line, moved inside the picture; returns the row where the strip begins."""
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


def _alike(frames: Iterator[Picture]) -> Iterator[Picture]:
    """Frames of one size with even sides, which H.264 needs: one row or column is repeated, other sizes are scaled."""
    height = width = 0
    for image in frames:
        if not height:
            height, width = image.shape[:2]
        same = image if image.shape[:2] == (height, width) else cv2.resize(image, (width, height))
        yield np.pad(same, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
