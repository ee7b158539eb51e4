"""A contact sheet: face crops of every manipulation in rows, in one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfbench.errors import DataError
from dfbench.io import check_output_file, write_bytes
from dfbench.manifest.manifest import Manifest
from dfbench.media.images import encode_png

_MARGIN, _TITLE, _CAPTION = 6, 26, 20
_INK, _PAPER = (20, 20, 20), 255


def write_contact_sheet(manifest: Manifest, file: Path, per_row: int = 8, size: int | None = None) -> None:
    """Write a PNG with faces of every (subset, manipulation), spaced evenly over the clips.

    Args:
        manifest: with crops.
        file: PNG to write.
        per_row: faces per row.
        size: crop size in pixels; default: the smallest of the manifest.

    Raises:
        DataError: no sample has a crop.
        SetupError: the file cannot be written.
    """
    check_output_file(file, "--faces FILE.png")
    side = size or min(manifest.info.sizes)
    rows = choose(manifest.table(["sample_id", "subset", "manipulation", "label", "status"]), per_row)
    if not rows:
        raise DataError(
            f"the manifest {manifest.path} has no crops to draw", "see: dfbench inspect " + str(manifest.path)
        )
    ids = [sample for _, samples in rows for sample in samples]
    images = dict(zip(ids, manifest.crops(ids, side), strict=True))
    info = manifest.info
    name = "mini: invented faces" if info.dataset == "mini" else info.name
    title = f"{name}, crop profile {info.profile}, {side} px"
    sheet = draw(title, [(caption, [images[s] for s in samples]) for caption, samples in rows], side, per_row)
    write_bytes(file, encode_png(sheet))


def choose(table: pa.Table, per_row: int) -> list[tuple[str, list[str]]]:
    """Return caption and sample ids of every row of the sheet: reals first, then by manipulation and subset."""
    frame = table.to_pandas()
    frame = frame[frame["status"] == "ok"]
    out = []
    for (label, manipulation, subset), rows in frame.groupby(["label", "manipulation", "subset"], sort=True):
        chosen = np.unique(np.round(np.linspace(0, len(rows) - 1, min(per_row, len(rows)))).astype(int))
        caption = f"{manipulation} {subset} ({'fake' if label else 'real'})"
        out.append((caption, rows["sample_id"].iloc[chosen].tolist()))
    return out


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
