"""One named random stream for every attribute, so that no draw depends on another."""

from __future__ import annotations

import numpy as np

from dfbench.schema.ids import seed_from


def stream(name: str, purpose: str, seed: int) -> np.random.Generator:
    """A generator that depends on whose attribute it is, which attribute, and the data set's seed only.

    >>> float(stream("person/7", "skin", 0).random()) == float(stream("person/7", "skin", 0).random())
    True
    """
    return np.random.default_rng(seed_from(f"mini/{name}", purpose, seed))
