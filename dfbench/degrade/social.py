"""What a social network does to an upload: shrink to its size, compress; twice, as when something is shared on.

Platforms change their rules without notice and treat apps, websites and accounts differently. The sizes below have a
source; the JPEG qualities and CRFs are assumptions in the order of the sizes, marked so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values
from dfbench.degrade.codecs import X264, transcode
from dfbench.degrade.compression import jpeg
from dfbench.degrade.geometry import resized


@dataclass(frozen=True)
class Platform:
    """A platform's treatment of uploads.

    Attributes:
        longest: longest side of a picture, in pixels.
        quality: JPEG quality of a picture (unverified).
        video_longest: longest side of a clip, in pixels (unverified).
        crf: H.264 rate factor of a clip (unverified).
        source: where ``longest`` comes from.
    """

    longest: int
    quality: int
    video_longest: int
    crf: int
    source: str


PLATFORMS = {
    "x": Platform(4096, 85, 1280, 28, "J. Harmon, Photo Taco 2021, uploads of 5120 pixels measured"),
    "facebook": Platform(1920, 78, 1280, 31, "J. Harmon, Photo Taco 2021, uploads of 5120 pixels measured"),
    "whatsapp": Platform(1280, 70, 848, 34, "itchban.com 2015, one upload of 3264 pixels; newer apps keep more"),
    "instagram": Platform(1080, 62, 720, 37, "J. Harmon, Photo Taco 2021, uploads of 5120 pixels measured"),
    "facebook-low": Platform(960, 50, 640, 40, "unverified: the standard quality of older Facebook uploads"),
}
"""From the mildest to the hardest."""


def social(image: Image, values: Values, draw: Draw) -> Image:
    """Shrink a picture to the platform's size, compress it as often as it is uploaded, bring it back to its size."""
    platform = PLATFORMS[str(values["platform"])]
    height, width = image.shape[:2]
    picture = _fitted(image, platform.longest)
    for _ in range(int(values["times"])):
        picture = jpeg(picture, {"q": platform.quality}, draw)
    return _back(picture, width, height)


def social_clip(frames: Iterable[Image], values: Values, fps: float) -> Iterator[Image]:
    """The same of a clip, with H.264."""
    platform = PLATFORMS[str(values["platform"])]
    sizes: list[tuple[int, int]] = []

    def shrunk() -> Iterator[Image]:
        for frame in frames:
            sizes.append((frame.shape[1], frame.shape[0]))
            yield _fitted(frame, platform.video_longest)

    stream = shrunk()
    for _ in range(int(values["times"])):
        stream = transcode(stream, X264, platform.crf, fps)
    for number, frame in enumerate(stream):
        yield _back(frame, *sizes[number])


def _fitted(image: Image, longest: int) -> Image:
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    return resized(image, max(1, round(width * scale)), max(1, round(height * scale)), "lanczos")


def _back(image: Image, width: int, height: int) -> Image:
    return image if image.shape[:2] == (height, width) else resized(image, width, height, "bicubic")


SOCIAL = Degradation(
    name="social",
    group="compression",
    summary="shrunk to a platform's size and compressed, twice",
    parameters=(
        Parameter("platform", "whose sizes and qualities", "whatsapp", choices=tuple(PLATFORMS)),
        Parameter("times", "how often it is uploaded", 2, 1, 10, whole=True),
    ),
    levels=tuple(PLATFORMS),  # type: ignore[arg-type]
    rule="five platforms from the mildest to the hardest",
    source="; ".join(f"{name} {p.longest} px: {p.source}" for name, p in PLATFORMS.items()),
    note="Picture sizes have the sources named; JPEG qualities, clip sizes and CRFs are assumptions (unverified). A "
    "face crop is smaller than any platform's limit: @crop tests the compression alone, @source and @clip also the "
    "shrinking.",
    on_image=social,
    on_clip=social_clip,
    missing=X264.missing,
)
