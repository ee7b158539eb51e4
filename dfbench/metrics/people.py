"""People who recur in several scene groups, which are then not independent.

Every fake shows the scene of one person and the identity or expression of another. In Celeb-DF and DFD a few dozen
people take both parts in hundreds of clips, so that clips share people in two ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dfbench.metrics.validation import Labels

Units = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class People:
    """The people of each sample.

    Attributes:
        targets: (N,) number of the person who provides the scene. Scene groups of one person count as one.
        sources: (N,) number of the person who provides identity or expression; for a real, one of its target's own.
        pairs: (N,) number of the pair of both.
        fewest: number of target people or of source people of fakes, whichever is smaller.
    """

    targets: Units
    sources: Units
    pairs: Units
    fewest: int

    def of(self, samples: Units) -> People:
        """Return the people of some samples, among which every person still occurs."""
        return People(self.targets[samples], self.sources[samples], self.pairs[samples], self.fewest)


_UNNAMED = ("dfdc/", "dfdcp/", "deepfakebench/DFDC")


def recur_unnamed(dataset: str, subset: str) -> bool:
    """Whether actors recur in several scene groups of a data set that does not name them in every clip.

    >>> recur_unnamed("dfdc", "all"), recur_unnamed("deepfakebench", "DFDCP"), recur_unnamed("ff++", "c23")
    (True, True, False)
    """
    return f"{dataset}/{subset}".startswith(_UNNAMED)


def people_of(
    labels: Labels, groups: Units, targets: NDArray[np.object_], sources: NDArray[np.object_]
) -> People | None:
    """Find the people who recur in several scene groups.

    Args:
        labels: (N,) 0 real, 1 fake.
        groups: (N,) scene group number, 0 to G - 1.
        targets: (N,) person who provides the scene; None where unknown.
        sources: (N,) person who provides identity or expression; None where unknown, and for reals.

    Returns:
        The people, or None where none recurs, or where a fake lacks one of its two people.
    """
    fake = labels == 1
    target, source = pd.factorize(targets)[0], pd.factorize(sources)[0]
    known = target >= 0
    if not len(labels):
        return None
    if not known.any() or (source[fake] < 0).any() or not known[fake].all():
        return None
    n_groups = int(groups.max()) + 1
    size = n_groups + int(target.max()) + 1
    links = coo_array((np.ones(int(known.sum())), (groups[known], n_groups + target[known])), shape=(size, size))
    joined = connected_components(links, directed=False)[1]
    scenes = np.unique(joined[:n_groups], return_inverse=True)[1][groups]
    shown = np.where(fake, source, int(source.max()) + 1 + scenes)
    pairs = np.unique(np.stack([scenes, shown]), axis=1, return_inverse=True)[1].ravel()
    n_scenes, n_sources = int(scenes.max()) + 1, len(np.unique(source[fake]))
    if n_scenes == n_groups and len(np.unique(pairs[fake])) == n_sources:
        return None
    fewest = min(n_scenes, n_sources) if fake.any() else n_scenes
    return People(scenes, np.unique(shown, return_inverse=True)[1], pairs, fewest)
