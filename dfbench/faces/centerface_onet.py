"""The default face detectors: CenterFace's boxes with O-Net's landmarks. They need no extra and no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfbench.faces.base import Face, check_frames, largest_first
from dfbench.faces.bundled_weights import CENTERFACE, ONET
from dfbench.faces.centerface import LONG_SIDE, THRESHOLD, CenterFace, larger_long_side, smaller_long_side
from dfbench.faces.onet import ONet


class FullCenterFaceDetector:
    """CenterFace's boxes with O-Net's landmarks; the weights come from installed packages.

    CenterFace alone is fast and misses few faces, but its landmarks are coarse; those of O-Net are three times more
    accurate. A box with an O-Net score of at most 0.3 is dropped. Frames and faces pass the networks one by one: a
    batch is no faster on a CPU.

    A frame in which nothing is found is searched again: turned by a quarter to either side, for people who lie and
    clips that lack their rotation; then at its own size (at most 1920 pixels), for small faces in a large frame.

    Args:
        threads: CPU threads of the networks.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        SetupError: a weight file is missing or not the expected one, or the device is not available.
    """

    name = "centerface-full"

    VERSION: ClassVar[str] = "2"
    SMALLEST_ONET_SCORE = 0.3

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._boxes = CenterFace(threads, device)
        self._landmarks = ONet(threads, device)
        self.runtime = self._boxes.runtime
        self.fingerprint = (
            f"{self.name}-v{self.VERSION}:{CENTERFACE.file}={CENTERFACE.sha256},{ONET.file}={ONET.sha256}"
            f"{self._boxes.fingerprint}"
        )

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces; see :meth:`dfbench.faces.base.FaceDetector.detect`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        return [self._search(np.ascontiguousarray(frame)) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of each frame by itself, as :meth:`detect`."""
        return self.detect(frames)

    def _search(self, frame: NDArray[np.uint8]) -> list[Face]:
        """Find the faces of one frame, as far as needed by several searches."""
        faces, _ = self._look(frame, LONG_SIDE)
        # Turned first: without being shrunk, a face on its side is often found, but its landmarks are wrong.
        faces = faces or self._search_turned(frame)
        long_side = larger_long_side(frame.shape[1], frame.shape[0])
        if not faces and long_side is not None:
            faces, _ = self._look(frame, long_side)
        return faces

    def _search_turned(self, frame: NDArray[np.uint8]) -> list[Face]:
        """Find faces that lie on their side: those of the quarter turn, to the left or right, with the best score."""
        best: list[Face] = []
        for turns in (1, 3):
            turned, _ = self._look(np.ascontiguousarray(np.rot90(frame, turns)), LONG_SIDE)
            # The other turn shows them upside down, which CenterFace often finds as well, with a lower score.
            if max((face.score for face in turned), default=0.0) > max((face.score for face in best), default=0.0):
                best = [_turned_back(face, turns, frame.shape[1], frame.shape[0]) for face in turned]
        return largest_first(best)

    def _look(self, frame: NDArray[np.uint8], long_side: int, threshold: float = THRESHOLD) -> tuple[list[Face], float]:
        """Find faces in one search.

        Returns:
            The faces; and the best score above ``threshold`` of a place that is no face but might be one, else 0.
        """
        faces = []
        known: list[NDArray[np.float32]] = []
        doubt = 0.0
        for box, score in zip(*self._boxes.boxes(frame, long_side, threshold), strict=True):
            if score > THRESHOLD:
                known.append(box)
                landmarks, second = self._landmarks.landmarks(frame, box)
                if second > self.SMALLEST_ONET_SCORE:
                    faces.append(Face(box, float(score), landmarks))
            elif not any(_centre_in(box, other) for other in known):
                doubt = max(doubt, float(score))
        return largest_first(faces), doubt


class CenterFaceDetector(FullCenterFaceDetector):
    """The same networks, with the frames of a clip shrunk as far as the size of its faces allows.

    The first and the last of every :data:`BLOCK` frames are searched as ``centerface-full`` searches all of them. If
    they show as many faces, the frames between them are shrunk until the narrowest of these faces is :data:`SMALLEST`
    pixels wide in the network's input; if not, the frame in the middle is searched fully as well, and so on, so that
    every face that comes or goes is found. A shrunk frame is searched fully if it gives another number of faces, a
    score below :data:`SURE`, or a second place with a score above :data:`POSSIBLE`. Lost is only a face that comes and
    goes within one block and is too small to leave that trace. Single frames are always searched fully.
    """

    name = "centerface"

    VERSION = "3"
    SMALLEST = 40
    BLOCK = 16
    SURE = 0.6
    POSSIBLE = 0.15

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of one clip's frames; see :meth:`dfbench.faces.base.FaceDetector.detect_clip`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        return self._detect_clip(frames, every=False)

    def detect_every_face(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """As :meth:`detect_clip`, but every frame is searched fully as well, so that no face can be lost.

        Where both ways find as many faces, the result is that of :meth:`detect_clip`: the largest face of a frame does
        not depend on which of them was called.
        """
        return self._detect_clip(frames, every=True)

    def _detect_clip(self, frames: Sequence[NDArray[np.uint8]], every: bool) -> list[list[Face]]:
        check_frames(frames)
        found: list[list[Face]] = []
        for start in range(0, len(frames), self.BLOCK):
            block = [np.ascontiguousarray(frame) for frame in frames[start : start + self.BLOCK]]
            quick = self._detect_block(block)
            full = self.detect(block) if every else quick
            found += [one if len(one) == len(other) else other for one, other in zip(quick, full, strict=True)]
        return found

    def _detect_block(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        last = len(frames) - 1
        found = {n: self._search(frames[n]) for n in sorted({0, last})}
        spans = [(0, last)]  # both ends of each were searched fully
        while spans:
            start, stop = spans.pop()
            if stop - start < 2:
                continue
            if len(found[start]) == len(found[stop]):
                changed = self._fill(frames, found, start, stop)
            else:
                changed = (start + stop) // 2
                found[changed] = self._search(frames[changed])
            if changed is not None:
                spans += [(start, changed), (changed, stop)]
        return [found[n] for n in range(len(frames))]

    def _fill(
        self, frames: Sequence[NDArray[np.uint8]], found: dict[int, list[Face]], start: int, stop: int
    ) -> int | None:
        """Find the faces of the frames between two that show as many faces.

        Returns:
            The first frame that shows another number of faces, searched fully; None if there is none.
        """
        count = len(found[start])
        height, width = frames[start].shape[:2]
        small = self._smaller_side([*found[start], *found[stop]], width, height)
        possible = self.POSSIBLE
        for n in range(start + 1, stop):
            doubt = 0.0
            if small is not None:
                found[n], doubt = self._look(frames[n], small, self.POSSIBLE)
                alike = len(found[n]) == count and all(face.score >= self.SURE for face in found[n])
                if alike and doubt <= possible:
                    continue
            found[n] = self._search(frames[n])
            if len(found[n]) != count:
                return n
            possible = max(possible, doubt)  # what looks like a face and is none is often in the next frame as well
        return None

    def _smaller_side(self, faces: Sequence[Face], width: int, height: int) -> int | None:
        """Return the longer side at which the narrowest face is SMALLEST pixels wide; None for full size."""
        if not faces:
            return None
        narrowest = min(float(face.box[2] - face.box[0]) for face in faces)
        return smaller_long_side(width, height, self.SMALLEST / max(narrowest, 1.0))


def _centre_in(box: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    centre = (box[:2] + box[2:]) / 2
    return bool((other[:2] <= centre).all() and (centre <= other[2:]).all())


def _turned_back(face: Face, turns: int, width: int, height: int) -> Face:
    """Return a face found in a frame of this size after ``numpy.rot90(frame, turns)``, in pixels of the frame.

    Landmarks keep their order: the first is the left eye as seen with the face upright.
    """
    box = face.box.astype(np.float64).reshape(2, 2)
    # Boxes bound pixels: an edge x becomes width - x. Landmarks are relative to pixel centres: x becomes width - 1 - x.
    corners = _points_back(box, turns, width, height)
    points = _points_back(face.landmarks.astype(np.float64), turns, width - 1, height - 1)
    bounds = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return Face(bounds.astype(np.float32), face.score, points.astype(np.float32))


def _points_back(points: NDArray[np.float64], turns: int, width: float, height: float) -> NDArray[np.float64]:
    # rot90 once, against the clock: the right edge of the frame becomes the top one.
    x, y = points[:, 0], points[:, 1]
    return np.stack([width - y, x], axis=1) if turns == 1 else np.stack([y, height - x], axis=1)
