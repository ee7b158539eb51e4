"""Settings of the mini data set, and its named random streams."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench import io
from dfbench.config import mini_options
from dfbench.errors import UsageError, unknown_name
from dfbench.schema.ids import seed_from

MANIPULATIONS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
CRF = {"raw": 0, "c23": 23, "c40": 40}
"""Constant rate factor of each subset; ``raw`` is lossless except for chroma subsampling."""
PRESET = "superfast"
"""x264's preset: fast, and without the macroblock tree, whose result can vary from run to run on some processors."""
LARGEST = {"train": 360, "val": 70, "test": 70}
"""Number of pairs in FaceForensics++'s official splits."""
CONTENT_VERSION = 4
"""Raised whenever the same settings would give other images."""


@dataclass(frozen=True)
class MiniSettings:
    """What to generate; the same settings give the same decoded images.

    Attributes:
        train_pairs: number of FF++'s official training pairs, in their published order (at most 360).
        val_pairs: validation pairs (at most 70).
        test_pairs: test pairs (at most 70).
        frames: shortest and longest clip, in frames.
        size: width and height in pixels, both even.
        seed: another seed gives other people, scenes and forgeries.
        subsets: compression levels, of ``raw``, ``c23``, ``c40``.
        manipulations: forging methods, of FF++'s four.
        republished: whether every file is published with its own framing, exposure, grain and keyframes. If not, a fake
            is identical to its original outside the face, as in FF++, so that single statistics separate them.
    """

    train_pairs: int = 80
    val_pairs: int = 12
    test_pairs: int = 24
    frames: tuple[int, int] = (10, 16)
    size: tuple[int, int] = (320, 240)
    seed: int = 0
    subsets: tuple[str, ...] = ("c23", "c40")
    manipulations: tuple[str, ...] = MANIPULATIONS
    republished: bool = True

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UsageError: a value is out of range or a name is unknown.
        """
        for name in ("frames", "size", "subsets", "manipulations"):
            # Settings read back from the marker file come as lists.
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for split, count in self.pairs().items():
            if not 0 <= count <= LARGEST[split]:
                raise UsageError(
                    f"{split} pairs must be between 0 and {LARGEST[split]}, not {count}", "FF++ has 360/70/70 pairs"
                )
        if sum(self.pairs().values()) == 0:
            raise UsageError("the mini data set needs at least one pair", "give train_pairs, val_pairs or test_pairs")
        low, high = self.frames
        if not 4 <= low <= high <= 1000:
            raise UsageError(
                f"clip lengths must be 4 <= shortest <= longest <= 1000 frames, not {low} and {high}",
                "for example (10, 16)",
            )
        width, height = self.size
        if width % 2 or height % 2 or not (160 <= width <= 1920 and 120 <= height <= 1080):
            raise UsageError(
                f"the size must be even, from 160x120 to 1920x1080, not {width}x{height}", "for example (320, 240)"
            )
        for subset in self.subsets:
            if subset not in CRF:
                raise unknown_name("mini subset", subset, CRF)
        for method in self.manipulations:
            if method not in MANIPULATIONS:
                raise unknown_name("mini manipulation", method, MANIPULATIONS)
        if not self.subsets or len(set(self.subsets)) != len(self.subsets):
            raise UsageError("subsets must name each compression level once", f"choose from {', '.join(CRF)}")
        if len(set(self.manipulations)) != len(self.manipulations):
            raise UsageError("manipulations must name each method once", f"choose from {', '.join(MANIPULATIONS)}")

    def pairs(self) -> dict[str, int]:
        """Return the number of pairs of each split."""
        return {"train": self.train_pairs, "val": self.val_pairs, "test": self.test_pairs}

    def to_json(self) -> dict[str, object]:
        """Return the settings as the marker file contains them."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    def hash(self, model_sha256: str) -> str:
        """Return the hash of everything that determines the images: settings, face model, content version."""
        settings = self.to_json()
        if self.republished:
            del settings["republished"]  # data sets from before this setting keep their hash
        content = {"settings": settings, "face_model": model_sha256, "content_version": CONTENT_VERSION}
        return io.canonical_hash(content, compact=False)


def stream(name: str, purpose: str, seed: int) -> np.random.Generator:
    """Return the random stream of one attribute.

    Every attribute has its own stream, so that no random number depends on another attribute.

    Args:
        name: whose attribute it is: a person, clip or file.
        purpose: the attribute.
        seed: the data set's seed.

    >>> float(stream("person/7", "skin", 0).random()) == float(stream("person/7", "skin", 0).random())
    True
    """
    return np.random.default_rng(seed_from(f"mini/{name}", purpose, seed))


def normals(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Return normal random numbers of a shape, float32, for the noise of images.

    Inversion of 16 random bits each, about seven times as fast as ``Generator.standard_normal``; the largest magnitude
    is 4.3.

    >>> noise = normals(stream("person/7", "pores", 0), 200, 300)
    >>> noise.shape, bool(abs(noise.mean()) < 0.01), bool(abs(noise.std() - 1) < 0.01)
    ((200, 300), True, True)
    """
    count = math.prod(shape)
    words: NDArray[np.uint64] = rng.bit_generator.random_raw(-(-count // 4))
    numbers = words.astype("<u8", copy=False).view("<u2")[:count]
    return _quantiles().take(numbers, mode="clip").reshape(shape)


def channel_noise(rng: np.random.Generator, height: int, width: int, common: float, own: float) -> NDArray[np.float32]:
    """Return noise (height, width, 3) of variance ``common**2 + own**2``, of which the channels share ``common**2``."""
    # The symmetric mixing matrix with this covariance: own + shift on the diagonal, shift elsewhere.
    shift = (math.sqrt(own**2 + 3 * common**2) - own) / 3
    mixing = own * np.eye(3) + shift
    return np.asarray(cv2.transform(normals(rng, height, width, 3), mixing), np.float32)


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float32]:
    """Return the quantiles of the normal distribution in the middle of 65,536 equal parts of (0, 1)."""
    upper = [NormalDist().inv_cdf((number + 0.5) / 65536) for number in range(32768, 65536)]
    return np.array([-value for value in reversed(upper)] + upper, np.float32)


def default_settings() -> MiniSettings:
    """Return the usual settings, with the numbers of pairs of the table ``[mini]`` in ``dfbench.toml``.

    Raises:
        UsageError: that table is not valid.
    """
    train, val, test = mini_options().pairs or (
        MiniSettings.train_pairs,
        MiniSettings.val_pairs,
        MiniSettings.test_pairs,
    )
    return MiniSettings(train_pairs=train, val_pairs=val, test_pairs=test)
