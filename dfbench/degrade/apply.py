"""Apply a condition to a picture or a clip."""

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
"""Frame rate of a still picture that is coded as a clip of one frame."""

_Identity = Callable[[int], str]
"""Frame number -> the id that randomness is drawn from."""

_FACE = re.compile(r"(?<=#)(-?\d+)\.\d+$")


def apply(spec: str | Condition, image: Image, sample_id: str) -> Image:
    """The picture under a condition.

    The same picture, condition and id give the same result in any order, worker or process. What acts on the whole
    frame (``@source``, ``@clip``) draws from the id without its face, so that all faces of a frame see one frame.

    Args:
        spec: a condition or its text.
        image: uint8 (height, width, 3), RGB: the crop, or for ``@source`` and ``@clip`` the frame. Under ``@clip`` it
            is a clip of one frame; frames of a real clip go through :func:`apply_clip`.
        sample_id: what randomness is drawn from; ``dataset/subset/manipulation/name#FRAME.FACE``.

    Returns:
        uint8 of the same shape, RGB; under ``clean`` the picture itself.

    Raises:
        UsageError: the text is no condition.
        DataError: the array is not such a picture, or a codec can not take its size.
        SetupError: a codec is not there; see :func:`available`.
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    picture = _checked(image)
    identity = sample_id if condition.where == "crop" else _FACE.sub(r"\1", sample_id)
    if condition.where == "clip":
        (result,) = _through_clip(condition, [picture], lambda index: identity, STILL_FPS)
        return result
    for step, purpose in _with_purposes(condition.steps):
        picture = _on_image(step, picture, identity, purpose)
    return picture


def apply_clip(spec: str | Condition, frames: Sequence[Image], media_id: str, fps: float) -> list[Image]:
    """All frames of a clip under a condition, in their order and number; see :func:`apply_stream`."""
    return list(apply_stream(spec, frames, media_id, fps))


def apply_stream(spec: str | Condition, frames: Iterable[Image], media_id: str, fps: float) -> Iterator[Image]:
    """Frames of a clip under a condition, as they come, so that a long clip need not fit into memory.

    Picture-wise steps draw from ``media_id#FRAME``, as they do for the same frame in :func:`apply`.

    Args:
        spec: a condition or its text, at any place.
        frames: uint8 (height, width, 3), RGB, all of one size: the whole clip from its first frame.
        media_id: ``dataset/subset/manipulation/name``.
        fps: frames per second.

    Raises:
        UsageError: the text is no condition.
        DataError: a frame is not such a picture, or a codec can not take the clip.
        SetupError: a codec is not there; see :func:`available`.
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    return _through_clip(condition, map(_checked, frames), lambda index: f"{media_id}#{index:06d}", fps)


def available(condition: Condition) -> str | None:
    """``None`` where this machine can apply the condition, else the reason why it can not."""
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
        raise AssertionError(f"{step.name} acts on clips alone, which Condition checks")
    return function(image, step.settings, _draw(identity, purpose))


def _draw(identity: str, purpose: str) -> Draw:
    return lambda: np.random.Generator(np.random.PCG64(seed_from(identity, purpose)))


def _with_purposes(steps: Sequence[Step]) -> Iterator[tuple[Step, str]]:
    """Each step with what its draws are for: its name, numbered where a chain has the same one several times."""
    names = [step.name for step in steps]
    for number, step in enumerate(steps):
        yield step, f"degrade/{step.name}/{names[:number].count(step.name)}"


def _checked(image: Image) -> Image:
    return checked(image, "a condition takes uint8 pictures")
