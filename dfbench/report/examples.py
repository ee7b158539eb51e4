"""Example crops stored in a run folder, with the residuals of the detector."""

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
MAX_ERRORS = 12
"""Number of the worst samples of a run on the page."""

PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Example:
    """One crop and its score.

    Attributes:
        sample_id: id of the sample.
        manipulation: the forging method, or ``real``.
        label: 0 real, 1 fake.
        score: P(fake).
        kind: ``typical`` (score nearest the median of its method) or ``worst`` (farthest from the label).
        crop: the crop, a PNG file.
        residual: the residual, a PNG file; None if the detector has none.
        residual_factor: amplification of the residual for display; None if not stored.
        condition: test condition; ``clean`` if not stored.
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
    def error(self) -> float:
        """Distance of the score from the label."""
        return abs(self.score - self.label)


@dataclass(frozen=True)
class ExampleImage:
    """An example with images for the page.

    Attributes:
        example: the example.
        called: predicted class, ``fake`` or ``real``.
        crop: the crop as a data URI.
        residual: the residual as a data URI; None if there is none.
    """

    example: Example
    called: str
    crop: str
    residual: str | None


@dataclass(frozen=True)
class RunExamples:
    """The examples of one run on the page.

    Attributes:
        label: label of the run.
        worst: samples with the largest errors, at most :data:`MAX_ERRORS`, in descending order.
        typical: one sample per manipulation with its median score.
        stored: number of worst samples in the run folder.
    """

    label: str
    worst: tuple[ExampleImage, ...]
    typical: tuple[ExampleImage, ...]
    stored: int


def load_examples(folder: Path) -> list[Example]:
    """Read the examples of a run folder; empty if it has none.

    Raises:
        DataError: the file is damaged, lacks columns, or has images other than PNG.
    """
    file = folder / EXAMPLES_FILE
    if not file.is_file():
        return []
    try:
        table = pq.read_table(file)
        table.validate(full=True)  # texts of a damaged file need not be UTF-8
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{file} is not a readable Parquet file: {error}",
            "remove it to write the report without example crops, or rerun the evaluation: dfbench evaluate",
        ) from error
    EXAMPLES.check(table, str(file))
    names = ["sample_id", "manipulation", "label", "score", "kind", "crop", "residual"]
    names += [name for name in ("residual_factor", "condition") if name in table.column_names]
    examples = [Example(**row) for row in table.select(names).to_pylist()]
    for example in examples:
        for image in (example.crop, example.residual):
            if image is not None and not image.startswith(PNG_START):
                raise DataError(f"{file}: the image of {example.sample_id} is not a PNG file")
    return examples


def run_examples(label: str, examples: Sequence[Example], threshold: float) -> RunExamples:
    """Select and order the examples of a run for the page.

    Args:
        label: label of the run.
        examples: from :func:`load_examples`.
        threshold: decision threshold.
    """
    shown = [
        ExampleImage(
            example=e,
            called="fake" if e.score >= threshold else "real",
            crop=data_uri(e.crop),
            residual=data_uri(e.residual) if e.residual else None,
        )
        for e in examples
    ]
    worst = sorted((p for p in shown if p.example.kind == "worst"), key=lambda p: -p.example.error)
    typical = tuple(p for p in shown if p.example.kind != "worst")
    return RunExamples(label, tuple(worst[:MAX_ERRORS]), typical, len(worst))


def data_uri(png: bytes) -> str:
    """Encode a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
