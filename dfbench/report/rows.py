"""Rows of the main table: one detector on one data set, subset, manipulation and condition at one level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dfbench.errors import UndefinedMetric
from dfbench.metrics import majority, parse_metric
from dfbench.schema.result import MAJORITY, MetricValue, ProtocolRef, RunResult


@dataclass(frozen=True)
class Row:
    """One row, with its rule in fields of its own.

    Attributes:
        model: what the table calls the detector.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        level: ``frame`` or ``video.mean`` and the like.
        values: metric (``acc``, ``auc``, ...) -> its number.
        n: frames or videos, by the level.
        n_media: clips they come from.
        n_positive: fakes among the n.
        coverage: scored / requested samples.
        coverage_real: the same of the reals; None where it is not known.
        coverage_fake: the same of the fakes.
        profile: crop profile.
        size: crop size in pixels.
        train_condition: condition the detector was trained under.
        seed: training seed.
        selection: how the weights were chosen.
        failure_policy: what a sample without a score counted as.
        protocol: name, version and short hash; empty without one.
        threshold: decision threshold of accuracies.
        cluster: unit of the intervals.
        mini: whether it is invented faces.
        caution: what its protocol says a reader must know.
        baseline: whether it costs nothing: always the larger class, or one fact about the files alone.
        classes: of a multi-class task.
        warnings: what looks wrong about the run's scores.
        training: by which protocol the weights were trained, and what of its recipe was changed.
        geometry: whether faces were found in each clip (own) or in its base (shared).
        crop_mismatch: crops the weights were trained on, where they are not :attr:`profile` and :attr:`size`.
    """

    model: str
    dataset: str
    subset: str
    manipulation: str
    condition: str
    level: str
    values: dict[str, MetricValue] = field(default_factory=dict)
    n: int = 0
    n_media: int = 0
    n_positive: int = 0
    coverage: float = 1.0
    coverage_real: float | None = None
    coverage_fake: float | None = None
    profile: str = ""
    size: int = 0
    train_condition: str = ""
    seed: int | None = None
    selection: str = ""
    failure_policy: str = ""
    protocol: str = ""
    threshold: float | None = None
    cluster: str = ""
    mini: bool = False
    caution: str = ""
    baseline: bool = False
    classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    training: str = ""
    geometry: str = ""
    crop_mismatch: str = ""

    @property
    def coverage_differs(self) -> bool:
        """Whether more of one class than of the other was scored."""
        return None not in (self.coverage_real, self.coverage_fake) and self.coverage_real != self.coverage_fake

    @property
    def data(self) -> str:
        """Data set and subset, as in ``ff++/c23``."""
        return f"{self.dataset}/{self.subset}"


def result_rows(results: Sequence[RunResult], labels: Sequence[str] | None = None) -> list[Row]:
    """Rows of several results, with the rows that cost nothing after the detectors of the same samples.

    Args:
        results: the results.
        labels: what to call each; None: its model's name.

    Returns:
        Rows sorted by level (in the order the protocol names them), data set, subset, condition and manipulation
        (``all`` first); detectors in the order given.
    """
    names = list(labels) if labels is not None else [result.model for result in results]
    rows = [row for result, name in zip(results, names, strict=True) for row in _rows_of(result, name, result.metrics)]
    cheap = [row for result in results for row in _baseline_rows(result)]
    levels = list(dict.fromkeys(row.level for row in rows))
    places: dict[tuple[object, ...], list[Row]] = {}
    for row in (*rows, *cheap):
        order = (levels.index(row.level), row.dataset, row.subset, row.condition != "clean", row.condition)
        places.setdefault((*order, row.manipulation != "all", row.manipulation), []).append(row)
    return [row for _, group in sorted(places.items()) for row in _with_baselines(group)]


def metrics_of(rows: Iterable[Row]) -> list[str]:
    """Metrics that occur in the rows, in the order they are first met."""
    return list(dict.fromkeys(metric for row in rows for metric in row.values))


def _with_baselines(group: Sequence[Row]) -> list[Row]:
    """Detectors, the majority, then facts alone; runs on the same samples have these in common."""
    ours = [row for row in group if not row.baseline]
    cheap = {(row.model, row.n, row.n_positive): row for row in group if row.baseline}
    return [*ours, *_majority_rows(ours), *cheap.values()]


def _baseline_rows(result: RunResult) -> list[Row]:
    rows = [row for b in result.baselines for row in _rows_of(result, b.name, b.metrics)]
    return [
        replace(row, baseline=True, selection="", protocol="", profile="", size=0, crop_mismatch="", warnings=())
        for row in rows
    ]


def _rows_of(result: RunResult, label: str, metrics: Sequence[MetricValue]) -> list[Row]:
    protocol = result.protocol
    geometry = {manifest.dataset: manifest.geometry for manifest in result.manifests}
    cells: dict[tuple[object, ...], list[MetricValue]] = {}
    for value in metrics:
        key = (parse_metric(value.name).rule, value.dataset, value.subset, value.condition, value.manipulation)
        cells.setdefault(key, []).append(value)
    rows: list[Row] = []
    for (level, *_), values in cells.items():
        first = values[0]
        by_metric = {parse_metric(v.name).column: v for v in values}
        judged = [
            v.threshold
            for v in values
            if parse_metric(v.name).definition.at_threshold and not parse_metric(v.name).reference
        ]
        rows.append(
            Row(
                model=label,
                dataset=first.dataset,
                subset=first.subset,
                manipulation=first.manipulation,
                condition=first.condition,
                level=str(level),
                values=by_metric,
                n=first.n,
                n_media=first.n_media,
                n_positive=first.n_positive,
                coverage=first.coverage,
                coverage_real=first.coverage_real,
                coverage_fake=first.coverage_fake,
                profile=first.profile,
                size=first.size,
                train_condition=first.train_condition,
                seed=first.seed,
                selection=_selection(result),
                failure_policy=result.failure_policy,
                protocol=f"{protocol.name} v{protocol.version} ({protocol.hash[:12]})" if protocol else "none",
                threshold=judged[0] if judged else None,
                cluster=first.cluster,
                mini=result.mini,
                caution=result.caution,
                classes=result.classes,
                warnings=result.warnings,
                training=training_of(result),
                geometry=geometry.get(first.dataset, "unknown"),
                crop_mismatch=result.crop_mismatch,
            )
        )
    return rows


def training_of(result: RunResult) -> str:
    """By which protocol the weights of a run were trained, and what of its recipe was changed: ``by the protocol``."""
    card = result.weights.card if result.weights else {}
    if not card.get("protocol"):
        return "unknown"
    by = ProtocolRef.model_validate(card["protocol"])
    here = result.protocol is not None and result.protocol.same_content(by)
    changed = ", ".join(f"{name}={value}" for name, value in (card.get("overrides") or {}).items())
    who = "by the protocol" if here else f"by {by.name} v{by.version} ({by.hash[:12]})"
    return f"{who}, but {changed}" if changed else who


def _selection(result: RunResult) -> str:
    split, metric = result.selection.get("split"), result.selection.get("metric")
    if not split or split == "none":
        return "no selection"
    if split == "unknown":
        note = result.selection.get("note")
        return f"unknown ({note})" if note else "unknown"
    return f"{metric} on {split}" if metric else f"on {split}"


def _majority_rows(group: Sequence[Row]) -> list[Row]:
    rows: dict[tuple[int, int], Row] = {}
    for row in group:
        sizes = (row.n, row.n_positive)
        base = row.values.get("acc") or row.values.get("bacc")
        if row.classes:  # which of several classes is the largest does not follow from the counts
            base = row.values.get("acc.collapsed")
        if base is None or sizes in rows:
            continue
        try:
            share = majority(*sizes)
        except UndefinedMetric:
            continue
        constant = {"acc": share, "bacc": 0.5 if 0 < row.n_positive < row.n else None}
        if row.classes:
            constant = {"acc.collapsed": share}
        values = {
            metric: base.model_copy(
                update={"name": f"{metric}.{row.level}", "value": value, "low": None, "high": None, "ties": None}
                | {"interval_note": None, "undefined": None if value is not None else "one class only"}
            )
            for metric, value in constant.items()
            if metric in row.values
        }
        rows[sizes] = Row(
            model=MAJORITY,
            dataset=row.dataset,
            subset=row.subset,
            manipulation=row.manipulation,
            condition=row.condition,
            level=row.level,
            values=values,
            n=row.n,
            n_media=row.n_media,
            n_positive=row.n_positive,
            coverage=row.coverage,
            coverage_real=row.coverage_real,
            coverage_fake=row.coverage_fake,
            mini=row.mini,
            baseline=True,
        )
    return list(rows.values())
