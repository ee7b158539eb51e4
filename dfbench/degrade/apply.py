"""Apply a condition to an image or a clip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from dfbench.degrade.base import Draw, Image
from dfbench.degrade.condition import Condition, Step
from dfbench.degrade.parse import parse
from dfbench.media.images import checked
from dfbench.schema.ids import seed_from

STILL_FPS = 25.0
"""Frame rate of a still image that is encoded as a clip of one frame."""

_Identity = Callable[[int], str]
"""Frame number -> the id that seeds random degradations."""

_FACE = re.compile(r"(?<=#)(-?\d+)\.\d+$")


def apply(spec: str | Condition, image: Image, sample_id: str) -> Image:
    """Return an image under a condition.

    The same image, condition and id give the same result in any order, worker or process. Degradations of the whole
    frame (``@source``, ``@clip``) are seeded by the id without its face, so that all faces of a frame share one frame.

    Args:
        spec: a condition or its text.
        image: uint8 (height, width, 3), RGB: the crop, or for ``@source`` and ``@clip`` the frame. For ``@clip`` it is
            treated as a clip of one frame; use :func:`apply_clip` for the frames of a real clip.
        sample_id: seeds random degradations; ``dataset/subset/manipulation/name#FRAME.FACE``.

    Returns:
        uint8 of the same shape, RGB; under ``clean`` the image itself.

    Raises:
        UsageError: the text is not a condition.
        DataError: the array is not such an image, or a codec does not support its size.
        SetupError: a codec is not available; see :func:`available`.

    >>> grey = np.full((8, 8, 3), 100, np.uint8)
    >>> int(apply("brightness:add=26", grey, "mini/c23/real/000#000000.0").mean())
    126
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    result = _checked(image)
    identity = sample_id if condition.where == "crop" else _FACE.sub(r"\1", sample_id)
    if condition.where == "clip":
        (only,) = _through_clip(condition, [result], lambda index: identity, STILL_FPS)
        return only
    for step, purpose in _with_purposes(condition.steps):
        result = _on_image(step, result, identity, purpose)
    return result


def apply_clip(spec: str | Condition, frames: Sequence[Image], media_id: str, fps: float) -> list[Image]:
    """Return all frames of a clip under a condition, in their order; see :func:`apply_stream`."""
    return list(apply_stream(spec, frames, media_id, fps))


def apply_stream(spec: str | Condition, frames: Iterable[Image], media_id: str, fps: float) -> Iterator[Image]:
    """Yield the frames of a clip under a condition one by one, so that a long clip need not fit into memory.

    Steps that act on single frames are seeded by ``media_id#FRAME``, as they are for the same frame in :func:`apply`.

    Args:
        spec: a condition or its text, at any stage.
        frames: uint8 (height, width, 3), RGB, all of one size: the whole clip from its first frame.
        media_id: ``dataset/subset/manipulation/name``.
        fps: frames per second.

    Raises:
        UsageError: the text is not a condition.
        DataError: a frame is not such an image, or a codec does not support the clip.
        SetupError: a codec is not available; see :func:`available`.
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    return _through_clip(condition, map(_checked, frames), lambda index: f"{media_id}#{index:06d}", fps)


def available(condition: Condition) -> str | None:
    """Return ``None`` if this machine can apply the condition, else the reason why it cannot."""
    reasons = (step.degradation.missing(condition.where) for step in condition.steps)
    return next((reason for reason in reasons if reason), None)


def _through_clip(condition: Condition, frames: Iterable[Image], identity: _Identity, fps: float) -> Iterator[Image]:
    stream = iter(frames)
    for step, purpose in _with_purposes(condition.steps):
        if step.degradation.on_clip is not None and condition.where == "clip":
            stream = step.degradation.on_clip(stream, step.settings, fps)
        else:
            stream = _each(step, purpose, stream, identity)
    return stream


def _each(step: Step, purpose: str, frames: Iterable[Image], identity: _Identity) -> Iterator[Image]:
    for index, frame in enumerate(frames):
        yield _on_image(step, frame, identity(index), purpose)


def _on_image(step: Step, image: Image, identity: str, purpose: str) -> Image:
    function = step.degradation.on_image
    if function is None:
        raise AssertionError(f"{step.name} acts only on clips, which Condition checks")
    return function(image, step.settings, _draw(identity, purpose))


def _draw(identity: str, purpose: str) -> Draw:
    return lambda: np.random.Generator(np.random.PCG64(seed_from(identity, purpose)))


def _with_purposes(steps: Sequence[Step]) -> Iterator[tuple[Step, str]]:
    """Yield each step with the purpose of its random numbers: its name, numbered if it occurs several times."""
    names = [step.name for step in steps]
    for number, step in enumerate(steps):
        yield step, f"degrade/{step.name}/{names[:number].count(step.name)}"


def _checked(image: Image) -> Image:
    return checked(image, "a condition takes uint8 images")
