"""Metrics, intervals and tests on plain arrays of labels and scores; no data set and no detector is needed.

python examples/intervals_on_arrays.py
"""

from __future__ import annotations

import numpy as np

from dfbench import metrics

VIDEOS, FRAMES = 200, 8


def two_detectors(seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Media ids, labels (0 real, 1 fake) and P(fake) of two detectors for every frame of simulated videos."""
    rng = np.random.default_rng(seed)
    fake = np.arange(VIDEOS) % 2
    video = rng.normal(size=VIDEOS)  # what both detectors see in a video, in all of its frames
    logits = [
        np.repeat(gain * fake + video, FRAMES) + rng.normal(scale=0.7, size=VIDEOS * FRAMES) - gain / 2
        for gain in (1.6, 2.4)
    ]
    media = [f"simulated/all/any/{number:04d}" for number in range(VIDEOS) for _ in range(FRAMES)]
    return media, np.repeat(fake, FRAMES), *(1 / (1 + np.exp(-values)) for values in logits)


def main() -> None:
    """Compare two simulated detectors."""
    media, labels, first, second = two_detectors()

    print(f"frame AUC       {metrics.auc(labels, first):.3f}   {metrics.auc(labels, second):.3f}")
    print(f"frame EER       {metrics.eer(labels, first):.3f}   {metrics.eer(labels, second):.3f}")

    # Frames of a video are correlated: the bootstrap draws whole videos. Without groups the interval is too narrow.
    print(f"by videos       {metrics.bootstrap_interval('auc', labels, first, groups=media)}")
    print(f"by frames       {metrics.bootstrap_interval('auc', labels, first)}   (wrong)")

    # Two detectors on the same samples: the difference is more certain than both numbers.
    difference = metrics.paired_difference("auc", labels, second, first, groups=media)
    print(f"second - first  {difference}   p = {difference.p:.4f}")

    # At video level, DeLong's interval and test need no resampling.
    videos = [metrics.aggregate(media, labels, scores, "mean") for scores in (first, second)]
    for name, found in zip(("first", "second"), videos, strict=True):
        result = metrics.delong(found.labels, found.scores)
        print(f"{name:<6} video AUC {result.value:.3f}, 95 % interval {result.low:.3f} to {result.high:.3f}")
    test = metrics.delong_test(videos[1].labels, videos[1].scores, videos[0].scores)
    print(f"difference {test.difference:+.3f}, p = {test.p:.4f} (DeLong, paired over {VIDEOS} videos)")
    print(f"p of three comparisons after Holm: {[round(p, 3) for p in metrics.holm([test.p, 0.02, 0.04])]}")


if __name__ == "__main__":
    main()
