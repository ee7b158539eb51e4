"""A degradation of images, with a parameter and five severities."""

from __future__ import annotations

import numpy as np

from dfbench.degrade import Degradation, Parameter


def posterize(image, values, draw):  # type: ignore[no-untyped-def]
    """Keep the highest bits of every channel; ``draw()`` would give a random generator of the sample."""
    mask = 256 - 2 ** (8 - int(values["bits"]))
    return (image & np.uint8(mask)).astype(np.uint8)


POSTERIZE = Degradation(
    name="example-degradation",
    group="tone",
    summary="fewer grey levels in every channel",
    parameters=(Parameter("bits", "bits kept per channel", 4, 1, 8, whole=True),),
    levels=(6, 5, 4, 3, 2),
    rule="one bit less per severity",
    source="an example",
    on_image=posterize,
)
