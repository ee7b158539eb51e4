"""``compare``: two runs on the same samples, or the reason why they cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pyarrow.compute as pc

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.evaluation.run import Run, open_run
from dfbench.metrics import parse_metric
from dfbench.metrics.paired_tests import MetricDifference, paired_differences
from dfbench.report.formats import csv_text, escape_markdown, markdown_lines, p_text, text_lines
from dfbench.report.rows import training_of
from dfbench.report.table_notes import mismatch_sentence
from dfbench.report.tables import in_percent
from dfbench.schema.result import RunResult
from dfbench.text import terminal_text

FORMATS = ("text", "md", "csv")
_NAMES = ["metric", "data", "manipulation", "condition", "n"]
_HEADS = [*_NAMES, "first", "second", "difference", "p", "Holm", "videos", "p", "Holm"]


@dataclass(frozen=True)
class Comparison:
    """The differences between two runs.

    Attributes:
        first: label of the first run.
        second: label of the second run.
        differences: one per metric and slice.
        notes: sentences to print below the table.
    """

    first: str
    second: str
    differences: tuple[MetricDifference, ...]
    notes: tuple[str, ...]


def compare_runs(
    first: Path,
    second: Path,
    names: Sequence[str] = (),
    *,
    resamples: int = 2000,
    seed: int = 0,
    per_manipulation: bool = False,
) -> Comparison:
    """Compare two run folders, paired on the same samples.

    Args:
        first: a run folder.
        second: another run folder.
        names: metrics; default: those of both runs, except the rules of reference implementations.
        resamples: number of resamples, for metrics other than the AUC; 0: no intervals and p-values.
        seed: bootstrap seed.
        per_manipulation: whether to compare each manipulation as well.

    Raises:
        UsageError: a run is compared with itself, or an unknown metric.
        DataError: the runs have different protocols, rules, manifests or samples.
    """
    a, b = open_run(first), open_run(second)
    check_comparable(a, b)
    common = [v.name for v in a.result.metrics if v.name in {w.name for w in b.result.metrics}]
    wanted = list(names) or [n for n in dict.fromkeys(common) if not parse_metric(n).reference]
    if not wanted:
        raise DataError("the runs have no metric in common", "choose one: --metric auc.video.mean")
    rules = a.result
    differences = paired_differences(
        a.scores_table,
        b.scores_table,
        wanted,
        threshold=declared_threshold(rules),
        resamples=resamples,
        seed=seed,
        per_manipulation=per_manipulation,
        failure_policy=rules.failure_policy,
        face_aggregation=rules.faces,
        classes=rules.classes,
        real_classes=rules.real_classes,
    )
    labels = [r.label if a.label != b.label else f"{r.label} ({r.result.run_id})" for r in (a, b)]
    return Comparison(labels[0], labels[1], tuple(differences), tuple(_notes(a, b, labels, differences)))


def check_comparable(a: Run, b: Run) -> None:
    """Raise with the reason if two runs cannot be compared.

    Runs of imported scores may have no protocol and no manifest; then only the sample ids are checked.

    Raises:
        UsageError: both are the same run.
        DataError: they differ in protocol, manifest or rules.
    """
    one, other = a.result, b.result
    if one.run_id == other.run_id:
        raise UsageError(f"both are the run {one.run_id}", "name two different runs")
    if one.protocol and other.protocol and not one.protocol.same_content(other.protocol):
        names = [f"{p.name!r} version {p.version} ({p.hash[:12]})" for p in (one.protocol, other.protocol)]
        raise DataError(
            f"the runs follow different protocols: {names[0]} and {names[1]}",
            "evaluate both with the same protocol: dfbench evaluate --protocol P",
        )
    hashes = [{(m.dataset, m.hash) for m in r.manifests} for r in (one, other)]
    if hashes[0] and hashes[1] and hashes[0] != hashes[1]:
        dataset = min(hashes[0] ^ hashes[1])[0]
        raise DataError(
            f"the runs read different manifests of {dataset!r}: their crops differ",
            "evaluate both on the same manifest: dfbench evaluate --manifest DIR",
        )
    for rule in ("failure_policy", "faces", "classes"):
        if getattr(one, rule) != getattr(other, rule):
            name = {"faces": "face aggregation"}.get(rule, rule.replace("_", " "))
            raise DataError(
                f"the runs differ in {name}: {getattr(one, rule)} and {getattr(other, rule)}",
                f"rerun one of them with the {name} of the other",
            )
    if declared_threshold(one) != declared_threshold(other):
        raise DataError(
            f"the runs have different thresholds: {declared_threshold(one):g} and {declared_threshold(other):g}",
            "rerun one of them with the threshold of the other",
        )


def declared_threshold(result: RunResult) -> float:
    """Return the decision threshold of a run; 0.5 if it has no metric with a threshold."""
    for value in result.metrics:
        name = parse_metric(value.name)
        if value.threshold is not None and name.definition.at_threshold and not name.reference:
            return value.threshold
    return 0.5


def check_format(fmt: str) -> None:
    """Raise :class:`UsageError` for an unknown format."""
    if fmt not in FORMATS:
        raise unknown_name("table format", fmt, FORMATS)


def render_comparison(comparison: Comparison, fmt: str = "text") -> str:
    """Render a comparison as ``text``, ``md`` or ``csv`` (fractions in full precision).

    Raises:
        UsageError: an unknown format.
    """
    check_format(fmt)
    if fmt == "csv":
        return _csv(comparison)
    table = [_line(d) for d in comparison.differences]
    if fmt == "md":
        lines = markdown_lines(_HEADS, [[escape_markdown(cell) for cell in row] for row in table])
    else:
        lines = text_lines(_HEADS, table)
    return terminal_text("\n".join([*lines, "", *comparison.notes]) + "\n")


def _line(d: MetricDifference) -> list[str]:
    interval = "" if d.low is None or d.high is None else f" [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    value = "-" if d.value is None else f"{100 * d.value:+.1f}{interval}"
    names = [d.name, f"{d.dataset}/{d.subset}", d.manipulation, d.condition, str(d.n)]
    p, holm, video_p, video_holm = (p_text(found, "-") for found in (d.p, d.holm, d.video_p, d.video_holm))
    numbers = [in_percent(d.first, dash="-"), in_percent(d.second, dash="-"), value, p, holm]
    return [*names, *numbers, d.video_test or "-", video_p, video_holm]


def _csv(comparison: Comparison) -> str:
    runs = (comparison.first, comparison.second)
    names = [field.name for field in fields(MetricDifference)]
    return csv_text(
        ["first_run", "second_run", *names],
        [[*runs, *(getattr(d, name) for name in names)] for d in comparison.differences],
    )


def _failed(run: Run) -> set[tuple[str, str]]:
    rows = run.scores_table.filter(pc.not_equal(run.scores_table["status"], "ok"))
    return set(zip(rows["sample_id"].to_pylist(), rows["condition"].to_pylist(), strict=True))


def _notes(a: Run, b: Run, labels: Sequence[str], differences: Sequence[MetricDifference]) -> list[str]:
    units = " and ".join(sorted({"people" if d.cluster == "people" else "scene groups" for d in differences}))
    found = [
        f"first: {labels[0]}; second: {labels[1]}. Percent; difference = first - second, with its 95 % interval from "
        f"the paired t test over {units}. p is two-sided; Holm is p corrected over the slices of the metric.",
        "DeLong and McNemar assume independent videos; videos of one scene group are not.",
    ]
    trained = [training_of(run.result) for run in (a, b)]
    if trained[0] != trained[1]:
        found.append("; ".join(f"{label}: training {text}" for label, text in zip(labels, trained, strict=True)) + ".")
    for label, run in zip(labels, (a, b), strict=True):
        if run.result.crop_mismatch:
            crops = run.result.metrics[0]
            found.append(mismatch_sentence(label, run.result.crop_mismatch, crops.profile, crops.size))
    lost = len(_failed(a) | _failed(b))
    if lost and a.result.failure_policy == "exclude":
        found.append(f"{lost} samples without a score in one of the runs are excluded for both.")
    if a.result.protocol is None or b.result.protocol is None:
        found.append("A run of imported scores has no protocol: only the sample ids were compared.")
    reasons = dict.fromkeys(f"{d.note} ({d.name} {d.dataset}/{d.subset})" for d in differences if d.note)
    found += [f"Note: {reason}." for reason in reasons]
    if a.result.mini or b.result.mini:
        found.append("mini: invented faces; not suitable for ranking detectors.")
    return found
