"""Labels of scored files, from folders ``real`` and ``fake`` or a ``media.csv``, and the metrics they allow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfbench.datasets.folder_labels import SPELLINGS
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics import IntervalEstimate, bootstrap_interval, majority
from dfbench.schema.media import FAKE, REAL, Media

THRESHOLD = 0.5
"""A file counts as fake from this score on: the default of evaluations, not calibrated on any data."""

METRICS = ("auc", "acc")


@dataclass(frozen=True)
class ScoreThreshold:
    """From which score on a frame or a file counts as fake.

    Attributes:
        value: the score.
        chosen: how it was chosen on validation data; empty: it is :data:`THRESHOLD`.
    """

    value: float = THRESHOLD
    chosen: str = ""

    def of_files(self, aggregation: str) -> ScoreThreshold:
        """Return the threshold of the scores of files: of a fraction of votes it is 0.5, as in evaluations."""
        return replace(self, value=THRESHOLD) if aggregation == "vote" else self


UNCALIBRATED = ScoreThreshold()
"""The threshold without a choice on validation data."""


@dataclass(frozen=True)
class FileLabel:
    """What is known of one file.

    Attributes:
        label: 0 real, 1 fake.
        group: files with the same group are not independent: they come from the same original.
    """

    label: int
    group: str


@dataclass(frozen=True)
class FoundLabels:
    """The labels of the files to score.

    Attributes:
        by_file: file -> label, for the files that have one.
        notes: why labels of a folder were not used, or which spellings of real and fake were read as which.
    """

    by_file: Mapping[Path, FileLabel]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileMetric:
    """One metric over files.

    Attributes:
        name: ``auc`` or ``acc``.
        value: the metric, a fraction; None where it is undefined.
        low: lower end of the 95 % interval; None where there is none.
        high: upper end of the interval; None where there is none.
        note: why the metric is undefined or has no interval, or what limits the interval; else empty.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True)
class LabelledMetrics:
    """The metrics of labelled files; every file counts once, with its aggregated score.

    Attributes:
        level: always ``file``.
        n: labelled files with a score; the metrics are computed on them.
        n_real: how many of them are real.
        n_fake: how many of them are fake.
        n_groups: independent groups among them, the units of the bootstrap.
        excluded: labelled files without a score.
        unlabelled: scored files without a label.
        threshold: a file counts as fake from this score on.
        threshold_chosen: how it was chosen on validation data; empty: it is the default.
        majority: accuracy of a classifier that always answers the more frequent class.
        values: the metrics.
    """

    level: str
    n: int
    n_real: int
    n_fake: int
    n_groups: int
    excluded: int
    unlabelled: int
    threshold: float
    majority: float
    values: tuple[FileMetric, ...]
    threshold_chosen: str = ""


def find_labels(words: Sequence[str | Path], files: Sequence[Path]) -> FoundLabels:
    """Find the labels of files, from the folders among ``words``.

    A folder is labelled if the adapter of user-defined data sets can read it: it has subfolders ``real`` and ``fake``
    in one of their spellings (or is one of them), or a ``media.csv`` (``labels.csv``) with the columns ``path`` and
    ``label``. Media files are not opened.

    Args:
        words: the inputs as given by the user.
        files: the files to score.
    """
    of_path: dict[str, FileLabel] = {}
    notes: list[str] = []
    for root in _roots(words):
        try:
            scan = get_adapter("folder").scan(root)
        except DataError as error:
            if _has_labels(root):
                notes.append(f"the labels in {root} are not used: {error.message}")
            continue
        notes += [warning for warning in scan.warnings if warning.startswith(SPELLINGS)]
        for media in scan.media:
            of_path |= dict.fromkeys(_paths(scan.root, media), FileLabel(media.label, media.scene_group))
    found = {path: of_path.get(os.path.realpath(path)) for path in files}
    return FoundLabels({path: label for path, label in found.items() if label is not None}, tuple(notes))


def compute_file_metrics(
    labels: Sequence[FileLabel | None], scores: Sequence[float | None], threshold: ScoreThreshold = UNCALIBRATED
) -> LabelledMetrics | None:
    """Compute AUC and ACC over labelled files, with bootstrap intervals over groups.

    Args:
        labels: (N,) labels of the files; None: unlabelled.
        scores: (N,) P(fake) of the files; None: without a score.
        threshold: of the scores of files, for ACC.

    Returns:
        The metrics; None if no file with a score has a label.
    """
    known = [(label, score) for label, score in zip(labels, scores, strict=True) if label is not None]
    pairs = [(label, score) for label, score in known if score is not None]
    if not pairs:
        return None
    truth, groups = [label.label for label, _ in pairs], [label.group for label, _ in pairs]
    values = [score for _, score in pairs]
    n_fake = truth.count(FAKE)
    return LabelledMetrics(
        level="file",
        n=len(pairs),
        n_real=truth.count(REAL),
        n_fake=n_fake,
        n_groups=len(set(groups)),
        excluded=len(known) - len(pairs),
        unlabelled=sum(score is not None for label, score in zip(labels, scores, strict=True) if label is None),
        threshold=threshold.value,
        threshold_chosen=threshold.chosen,
        majority=majority(len(pairs), n_fake),
        values=tuple(_metric(name, truth, values, groups, threshold.value) for name in METRICS),
    )


def metric_lines(metrics: LabelledMetrics) -> list[str]:
    """Describe the metrics for people, one fact per line."""
    counts = f"{metrics.n} labelled files ({metrics.n_real} real, {metrics.n_fake} fake)"
    others = [(metrics.excluded, "labelled files without a score"), (metrics.unlabelled, "files without a label")]
    excluded = "; ".join(f"{number} {what} excluded" for number, what in others if number)
    lines = [counts + (f"; {excluded}" if excluded else "")]
    for metric in metrics.values:
        note = f"; {metric.note}" if metric.note else ""
        if metric.value is None:
            lines.append(f"{metric.name.upper()} undefined{note}")
            continue
        interval = "" if metric.low is None or metric.high is None else f" [{metric.low:.3f}, {metric.high:.3f}]"
        lines.append(f"{metric.name.upper()} {metric.value:.3f}{interval} (per file, n={metrics.n}{note})")
    origin = metrics.threshold_chosen or "a threshold that is not calibrated"
    lines.append(
        f"ACC counts a file as fake from a score of {metrics.threshold:g} on, {origin}; "
        f"always answering the more frequent class gives {metrics.majority:.3f}. Intervals: 95 %, over "
        f"{metrics.n_groups} groups."
    )
    return lines


def _metric(
    name: str, truth: Sequence[int], values: Sequence[float], groups: Sequence[str], threshold: float
) -> FileMetric:
    try:
        found: IntervalEstimate = bootstrap_interval(name, truth, values, groups, threshold=threshold)
    except UndefinedMetric as error:
        return FileMetric(name, None, None, None, str(error))
    return FileMetric(name, found.value, found.low, found.high, found.note or "")


def _roots(words: Sequence[str | Path]) -> list[Path]:
    """The folders to look for labels in; for a folder ``real`` or ``fake``, the folder above it."""
    folders = [path for path in (Path(word).expanduser() for word in words) if path.is_dir()]
    roots = [f.resolve().parent if f.resolve().name.casefold() in ("real", "fake") else f for f in folders]
    return list(dict.fromkeys(roots))


def _has_labels(root: Path) -> bool:
    try:
        return any(entry.name.casefold() in ("media.csv", "labels.csv") for entry in root.iterdir())
    except OSError:
        return False


def _paths(root: Path, media: Media) -> list[str]:
    """The real paths of a medium: of a sequence, all its files."""
    path = root / media.path
    if media.kind != "sequence":
        return [os.path.realpath(path)]
    return [os.path.realpath(file) for file in path.iterdir()]
