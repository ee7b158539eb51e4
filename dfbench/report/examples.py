"""Sample crops that evaluation has stored in a run folder, with the detector's residual beside them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.errors import DataError
from dfbench.schema.scores import EXAMPLES

EXAMPLES_FILE = "examples.parquet"
MOST_ERRORS = 12
"""Worst samples of a run that the page shows."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Example:
    """One crop and what the detector made of it.

    Attributes:
        sample_id: which sample.
        manipulation: the forging method, or ``real``.
        label: 0 real, 1 fake.
        score: P(fake).
        kind: ``typical`` (score nearest the median of its method) or ``worst`` (farthest from the label).
        crop: the crop, a PNG file.
        residual: the residual, a PNG file; None where the detector has none.
        residual_factor: how much the residual is amplified for display; None where that is not stored.
        condition: under which it was seen; ``clean`` where that is not stored.
    """

    sample_id: str
    manipulation: str
    label: int
    score: float
    kind: str
    crop: bytes
    residual: bytes | None
    residual_factor: float | None = None
    condition: str = "clean"

    @property
    def truth(self) -> str:
        """``real`` or ``fake``."""
        return "fake" if self.label else "real"

    @property
    def off_by(self) -> float:
        """Distance of the score from the label."""
        return abs(self.score - self.label)


@dataclass(frozen=True)
class Picture:
    """An example as the page shows it.

    Attributes:
        example: what it is.
        called: ``fake`` from the threshold on, else ``real``.
        crop: the crop as a data URI.
        residual: the residual as a data URI; None where there is none.
    """

    example: Example
    called: str
    crop: str
    residual: str | None


@dataclass(frozen=True)
class Pictures:
    """The pictures of one run.

    Attributes:
        label: what the report calls the detector.
        worst: samples farthest from their label, at most :data:`MOST_ERRORS`, the farthest first.
        typical: one sample of each manipulation with its median score.
        stored: how many of the worst samples the run holds.
    """

    label: str
    worst: tuple[Picture, ...]
    typical: tuple[Picture, ...]
    stored: int


def load_examples(folder: Path) -> list[Example]:
    """The examples of a run folder; empty where it holds none.

    Raises:
        DataError: the file is damaged, lacks columns, or holds something else than PNG pictures.
    """
    file = folder / EXAMPLES_FILE
    if not file.is_file():
        return []
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file} is not a readable Parquet file: {error}",
            "remove it to report without pictures, or make the run again: dfbench evaluate",
        ) from error
    EXAMPLES.check(table, str(file))
    names = ["sample_id", "manipulation", "label", "score", "kind", "crop", "residual"]
    names += [name for name in ("residual_factor", "condition") if name in table.column_names]
    examples = [Example(**row) for row in table.select(names).to_pylist()]
    for example in examples:
        for picture in (example.crop, example.residual):
            if picture is not None and not picture.startswith(_PNG):
                raise DataError(f"{file}: the picture of {example.sample_id} is not a PNG file")
    return examples


def pictures(label: str, examples: Sequence[Example], threshold: float) -> Pictures:
    """Choose and order what the page shows of a run.

    Args:
        label: what the report calls the detector.
        examples: of :func:`load_examples`.
        threshold: from where on a sample is called fake.
    """
    shown = [
        Picture(
            example=e,
            called="fake" if e.score >= threshold else "real",
            crop=data_uri(e.crop),
            residual=data_uri(e.residual) if e.residual else None,
        )
        for e in examples
    ]
    worst = sorted((p for p in shown if p.example.kind == "worst"), key=lambda p: -p.example.off_by)
    typical = tuple(p for p in shown if p.example.kind != "worst")
    return Pictures(label, tuple(worst[:MOST_ERRORS]), typical, len(worst))


def data_uri(png: bytes) -> str:
    """A PNG file as a URI that needs no network."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
