"""A contact sheet: face crops of every manipulation in rows, in one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.io import check_output_file, write_bytes
from dfbench.manifest.crops import stored_crops
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.table import ManifestTable
from dfbench.media.images import decode_crop, encode_png
from dfbench.text import one_line

_MARGIN, _TITLE, _CAPTION = 6, 26, 20
_MOST_LINES = 200
_Kind = tuple[int, str, str]
"""Label, manipulation and subset."""
_INK, _PAPER = (20, 20, 20), 255


def write_contact_sheet(manifest: Manifest, file: Path, per_row: int = 8, size: int | None = None) -> None:
    """Write a PNG with faces of every (subset, manipulation), spaced evenly over the clips.

    Args:
        manifest: with crops.
        file: PNG to write.
        per_row: faces per row.
        size: crop size in pixels; default: the smallest of the manifest.

    Raises:
        DataError: no sample has a crop, or a crop is damaged.
        SetupError: the file cannot be written.
    """
    check_output_file(file, "--faces FILE.png")
    if not manifest.info.sizes:
        raise DataError(f"the manifest {manifest.path} has no crops to draw", "prepare it with crops: --size S")
    side = size or min(manifest.info.sizes)
    manifest.check_size(side)
    rows = choose(manifest, per_row)
    if not rows:
        raise DataError(
            f"the manifest {manifest.path} has no crops to draw", "see: dfbench inspect " + str(manifest.path)
        )
    chosen = np.array([row for _, numbers in rows for row in numbers], np.int64)
    stored = stored_crops(manifest, chosen, side)
    images = iter([decode_crop(stored[n], side) for n in range(len(chosen))])
    info = manifest.info
    name = "mini: invented faces" if info.dataset == "mini" else one_line(info.name)[:80]
    title = f"{name}, crop profile {info.profile}, {side} px"
    sheet = draw(title, [(caption, [next(images) for _ in numbers]) for caption, numbers in rows], side, per_row)
    write_bytes(file, encode_png(sheet))


def choose(manifest: ManifestTable, per_row: int) -> list[tuple[str, list[int]]]:
    """Return caption and rows of every line of the sheet: reals first, then by manipulation and subset.

    Shards are read one after the other, twice.

    Args:
        manifest: the manifest.
        per_row: largest number of faces per line.

    Returns:
        Rows are counted over all shards.
    """
    counts: Counter[_Kind] = Counter()
    for _, kinds in _crops_by_kind(manifest):
        counts.update({kind: len(rows) for kind, rows in kinds.items()})
    if len(counts) > _MOST_LINES:
        raise DataError(
            f"the manifest {manifest.path} has {len(counts)} manipulations and subsets, too many for one image",
            f"at most {_MOST_LINES} are drawn",
        )
    wanted = {
        kind: np.unique(np.round(np.linspace(0, count - 1, min(per_row, count))).astype(np.int64))
        for kind, count in counts.items()
    }
    begun: Counter[_Kind] = Counter()
    found: dict[_Kind, list[int]] = {kind: [] for kind in counts}
    for start, kinds in _crops_by_kind(manifest):
        for kind, rows in kinds.items():
            within = wanted[kind] - begun[kind]
            found[kind] += (start + rows[within[(within >= 0) & (within < len(rows))]]).tolist()
            begun[kind] += len(rows)
    return [
        (f"{manipulation} {subset} ({'fake' if label else 'real'})", found[label, manipulation, subset])
        for label, manipulation, subset in sorted(counts)
    ]


def _crops_by_kind(manifest: ManifestTable) -> Iterator[tuple[int, dict[_Kind, npt.NDArray[np.int64]]]]:
    """Yield, for every shard, its first row and the rows in it that have a crop, by kind."""
    start = 0
    for number, shard in enumerate(manifest.info.shards):
        frame = manifest.shard_table(number, ["label", "manipulation", "subset", "status"]).to_pandas()
        ok = frame[frame["status"] == "ok"]
        grouped = ok.groupby(["label", "manipulation", "subset"], sort=True).indices
        yield start, {kind: ok.index.to_numpy(np.int64)[rows] for kind, rows in grouped.items()}
        start += shard.rows


def draw(
    title: str, rows: list[tuple[str, list[npt.NDArray[np.uint8]]]], side: int, per_row: int
) -> npt.NDArray[np.uint8]:
    """Return the sheet as a uint8 (height, width, 3) RGB image, with a caption above every row."""
    step = side + _MARGIN
    wide = max(per_row * step + _MARGIN, 10 * len(title))
    sheet = np.full((_TITLE + len(rows) * (step + _CAPTION), wide, 3), _PAPER, np.uint8)
    _text(sheet, title, _MARGIN, _TITLE - 8, 0.5)
    for n, (caption, images) in enumerate(rows):
        top = _TITLE + n * (step + _CAPTION)
        _text(sheet, caption, _MARGIN, top + _CAPTION - 6, 0.45)
        for m, image in enumerate(images):
            left = _MARGIN + m * step
            sheet[top + _CAPTION : top + _CAPTION + side, left : left + side] = image
    return sheet


def _text(sheet: npt.NDArray[np.uint8], text: str, x: int, y: int, scale: float) -> None:
    import cv2

    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
