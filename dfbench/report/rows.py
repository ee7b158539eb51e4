"""Rows of the main table: one detector on one slice at one level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dfbench.errors import UndefinedMetric
from dfbench.metrics import majority, parse_metric
from dfbench.schema.result import MAJORITY, Baseline, MetricValue, ProtocolRef, RunResult


@dataclass(frozen=True)
class ResultRow:
    """One row with its values and the rules they were computed by.

    Attributes:
        model: label of the detector.
        dataset: data set.
        subset: compression.
        manipulation: ``all``, or one method against the reals.
        condition: test condition.
        level: ``frame`` or ``video.mean`` and the like.
        values: metric (``acc``, ``auc``, ...) -> value.
        n: number of frames or videos.
        n_media: number of clips or images.
        requested_media: number of requested clips or images; None if unknown.
        n_positive: number of fakes among the n.
        coverage: scored / requested samples of the level.
        coverage_real: coverage of the reals; None if unknown.
        coverage_fake: coverage of the fakes; None if unknown.
        profile: crop profile.
        size: crop size in pixels.
        train_condition: condition the detector was trained under.
        training_method: how it was trained.
        seed: training seed.
        selection: how the weights were chosen.
        failure_policy: how a sample without a score counts.
        protocol: name, version and short hash; empty without protocol.
        threshold: decision threshold of accuracies.
        cluster: resampling unit of the intervals.
        mini: whether the data are invented faces.
        caution: warnings of protocol and detector to readers.
        baseline: whether it is a trivial baseline: the majority class, or one metadata field alone.
        classes: class names of a multi-class task.
        warnings: warnings about the scores of the run.
        training: protocol of the training, and changes to its recipe.
        geometry: whether faces were detected in each clip (own) or in its base clip (shared).
        crop_mismatch: crops of the training, if they differ from :attr:`profile` and :attr:`size`.
        no_fact: whether the metadata fields were examined and none alone is informative on these samples.
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
    requested_media: int | None = None
    n_positive: int = 0
    coverage: float = 1.0
    coverage_real: float | None = None
    coverage_fake: float | None = None
    profile: str = ""
    size: int = 0
    train_condition: str = ""
    training_method: str = ""
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
    no_fact: bool = False

    @property
    def coverage_differs(self) -> bool:
        """Whether the classes have different coverage."""
        return None not in (self.coverage_real, self.coverage_fake) and self.coverage_real != self.coverage_fake

    @property
    def data(self) -> str:
        """Data set and subset, as in ``ff++/c23``."""
        return f"{self.dataset}/{self.subset}"


def result_rows(results: Sequence[RunResult], labels: Sequence[str] | None = None) -> list[ResultRow]:
    """Build the rows of several results; trivial baselines follow the detectors on the same samples.

    Metadata fields alone get a row where they are informative, see :func:`informative_metrics`.

    Args:
        results: the results.
        labels: label of each result; None: the name of its model.

    Returns:
        Rows sorted by level (in the order of the protocol), data set, subset, condition and manipulation (``all``
        first); detectors in the order given.
    """
    names = list(labels) if labels is not None else [result.model for result in results]
    rows = [row for result, name in zip(results, names, strict=True) for row in _detector_rows(result, name)]
    trivial = [row for result in results for row in _baseline_rows(result)]
    levels = list(dict.fromkeys(row.level for row in rows))
    groups: dict[tuple[object, ...], list[ResultRow]] = {}
    for row in (*rows, *trivial):
        order = (levels.index(row.level), row.dataset, row.subset, row.condition != "clean", row.condition)
        groups.setdefault((*order, row.manipulation != "all", row.manipulation), []).append(row)
    return [row for _, group in sorted(groups.items()) for row in _with_baselines(group)]


def distinct_rows(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Drop rows by manipulation where there is only one manipulation, since they repeat those over all of them."""
    manipulations: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        manipulations.setdefault((row.level, row.data, row.condition), set()).add(row.manipulation)
    several = {key for key, names in manipulations.items() if len(names - {"all"}) > 1}
    return [r for r in rows if r.manipulation == "all" or (r.level, r.data, r.condition) in several]


def metrics_of(rows: Iterable[ResultRow]) -> list[str]:
    """Return the metrics of the rows in order of first occurrence."""
    return list(dict.fromkeys(metric for row in rows for metric in row.values))


def _with_baselines(group: Sequence[ResultRow]) -> list[ResultRow]:
    """Order: detectors, majority class, metadata baselines; runs on the same samples share their baselines."""
    ours = [row for row in group if not row.baseline]
    trivial = {(row.model, row.n, row.n_positive): row for row in group if row.baseline}
    return [*ours, *_majority_rows(ours), *trivial.values()]


def informative_metrics(baseline: Baseline) -> list[MetricValue]:
    """Return the numbers of a metadata field alone on the samples where it tells real from fake.

    That is on the data sets, subsets, conditions and manipulations on which an interval of its AUC (bACC where there is
    no AUC) lies above 0.5. Where a run has neither metric, the numbers are returned.
    """
    judged: dict[tuple[str, ...], list[MetricValue]] = {}
    for metric in ("auc", "bacc"):
        found: dict[tuple[str, ...], list[MetricValue]] = {}
        for value in baseline.metrics:
            if parse_metric(value.name).metric == metric:
                found.setdefault(_samples_of(value), []).append(value)
        judged = found | judged
    hidden = {key for key, found in judged.items() if not any(v.low is not None and v.low > 0.5 for v in found)}
    return [value for value in baseline.metrics if _samples_of(value) not in hidden]


def _samples_of(value: MetricValue) -> tuple[str, ...]:
    return (value.dataset, value.subset, value.condition, value.manipulation)


def _detector_rows(result: RunResult, label: str) -> list[ResultRow]:
    rows = _rows_of(result, label, result.metrics)
    if not result.manifests:  # imported scores: nothing is known about the files
        return rows
    shown = {_samples_of(v) for b in result.baselines if b.name != MAJORITY for v in informative_metrics(b)}
    return [replace(r, no_fact=(r.dataset, r.subset, r.condition, r.manipulation) not in shown) for r in rows]


def _baseline_rows(result: RunResult) -> list[ResultRow]:
    numbers = [(b.name, b.metrics if b.name == MAJORITY else informative_metrics(b)) for b in result.baselines]
    rows = [row for name, metrics in numbers for row in _rows_of(result, name, metrics)]
    return [
        replace(row, baseline=True, selection="", protocol="", profile="", size=0, crop_mismatch="", warnings=())
        for row in rows
    ]


def _rows_of(result: RunResult, label: str, metrics: Sequence[MetricValue]) -> list[ResultRow]:
    protocol = result.protocol
    geometry = {manifest.dataset: manifest.geometry for manifest in result.manifests}
    slices: dict[tuple[object, ...], list[MetricValue]] = {}
    for value in metrics:
        key = (parse_metric(value.name).rule, value.dataset, value.subset, value.condition, value.manipulation)
        slices.setdefault(key, []).append(value)
    rows: list[ResultRow] = []
    for (level, *_), values in slices.items():
        first = values[0]
        by_metric = {parse_metric(v.name).column: v for v in values}
        thresholds = [
            v.threshold
            for v in values
            if parse_metric(v.name).definition.at_threshold and not parse_metric(v.name).reference
        ]
        rows.append(
            ResultRow(
                model=label,
                dataset=first.dataset,
                subset=first.subset,
                manipulation=first.manipulation,
                condition=first.condition,
                level=str(level),
                values=by_metric,
                n=first.n,
                n_media=first.n_media,
                requested_media=first.requested_media,
                n_positive=first.n_positive,
                coverage=first.coverage,
                coverage_real=first.coverage_real,
                coverage_fake=first.coverage_fake,
                profile=first.profile,
                size=first.size,
                train_condition=first.train_condition,
                training_method=first.training_method,
                seed=first.seed,
                selection=_selection(result),
                failure_policy=result.failure_policy,
                protocol=f"{protocol.name} v{protocol.version} ({protocol.hash[:12]})" if protocol else "none",
                threshold=thresholds[0] if thresholds else None,
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
    """Return the protocol of the training and the changes to its recipe, for example ``by the protocol``."""
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


def _majority_rows(group: Sequence[ResultRow]) -> list[ResultRow]:
    rows: dict[tuple[int, int], ResultRow] = {}
    for row in group:
        sizes = (row.n, row.n_positive)
        base = row.values.get("acc") or row.values.get("bacc")
        if row.classes:  # the counts of reals and fakes do not give the largest of several classes
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
        rows[sizes] = ResultRow(
            model=MAJORITY,
            dataset=row.dataset,
            subset=row.subset,
            manipulation=row.manipulation,
            condition=row.condition,
            level=row.level,
            values=values,
            n=row.n,
            n_media=row.n_media,
            requested_media=row.requested_media,
            n_positive=row.n_positive,
            coverage=row.coverage,
            coverage_real=row.coverage_real,
            coverage_fake=row.coverage_fake,
            mini=row.mini,
            baseline=True,
        )
    return list(rows.values())
