"""The rows of a data part that its lots leave: media drawn in a certain number, and shares cut of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dfbench.schema.drawing import Share, Take, Unit

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest
    from dfbench.protocols.protocol import DataPart

_COLUMN: dict[Unit, str] = {"scene_group": "scene_group", "media": "media_id", "frame": "sample_id"}


def drawn(manifest: Manifest, part: DataPart, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Those of the rows of a data part that its ``take`` and its ``share`` leave: bool, as long as ``rows``.

    Media are drawn first, and the share is cut of what was drawn.
    """
    keep = rows.copy()
    if part.take is not None:
        keep[rows] &= _of_drawn_media(manifest, part.take, rows)
    if part.share is not None:
        keep[rows] &= _in_share(manifest, part.share, rows)
    return keep


def _of_drawn_media(manifest: Manifest, take: Take, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    table = manifest.table(["media_id", "label"]).filter(rows)
    names = table["media_id"].to_pylist()
    chosen = take.drawn(dict(zip(names, table["label"].to_pylist(), strict=True)).items())
    return np.array([name in chosen for name in names], bool)


def _in_share(manifest: Manifest, share: Share, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    column = _COLUMN[share.by]
    return share.holds(manifest.table([column]).filter(rows)[column].to_pylist())
