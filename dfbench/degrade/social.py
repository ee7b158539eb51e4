"""The processing of uploads by social networks: downscale and compress, twice, as for content that is shared again.

Platforms change their rules without notice and treat apps, websites and accounts differently. The sizes below have a
source; the JPEG qualities and CRFs are assumptions that follow the order of the sizes, and are marked as unverified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values
from dfbench.degrade.codecs import X264, transcode
from dfbench.degrade.compression import jpeg
from dfbench.degrade.spatial import resized


@dataclass(frozen=True)
class Platform:
    """A platform's treatment of uploads.

    Attributes:
        longest: longest side of an image in pixels.
        quality: JPEG quality of an image (unverified).
        video_longest: longest side of a clip in pixels (unverified).
        crf: H.264 rate factor of a clip (unverified).
        source: source of ``longest``.
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
"""Platforms from the mildest to the most severe."""


def social(image: Image, values: Values, draw: Draw) -> Image:
    """Downscale an image to the platform's size, compress it once per upload, and restore its size."""
    platform = PLATFORMS[str(values["platform"])]
    height, width = image.shape[:2]
    upload = _fitted(image, platform.longest)
    for _ in range(int(values["times"])):
        upload = jpeg(upload, {"q": platform.quality}, draw)
    return _restored(upload, width, height)


def social_clip(frames: Iterable[Image], values: Values, fps: float) -> Iterator[Image]:
    """Process a clip in the same way, with H.264."""
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
        yield _restored(frame, *sizes[number])


def _fitted(image: Image, longest: int) -> Image:
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    return resized(image, max(1, round(width * scale)), max(1, round(height * scale)), "lanczos")


def _restored(image: Image, width: int, height: int) -> Image:
    return image if image.shape[:2] == (height, width) else resized(image, width, height, "bicubic")


SOCIAL = Degradation(
    name="social",
    group="compression",
    summary="downscaled to a platform's size and compressed, twice",
    parameters=(
        Parameter("platform", "platform whose sizes and qualities are used", "whatsapp", choices=tuple(PLATFORMS)),
        Parameter("times", "number of uploads", 2, 1, 10, whole=True),
    ),
    levels=tuple(PLATFORMS),  # type: ignore[arg-type]
    rule="five platforms from the mildest to the most severe",
    source="; ".join(f"{name} {p.longest} px: {p.source}" for name, p in PLATFORMS.items()),
    note="Image sizes have the named sources; JPEG qualities, clip sizes and CRFs are assumptions (unverified). A "
    "face crop is smaller than every platform's limit: @crop tests only the compression, @source and @clip also the "
    "downscaling.",
    on_image=social,
    on_clip=social_clip,
    missing=X264.missing,
)
