"""Notes of a table: its rules, and warnings where runs differ in one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dfbench.report.rows import ResultRow
from dfbench.schema.result import MAJORITY

MINI_NOTE = "mini: invented faces"
CROP_MARK = "†"  # marks detectors whose weights were trained on other crops

_BASELINES = (
    "Trivial baselines (size, format, length or frame rate alone) score a sample by the fraction of fakes among other "
    "scene groups with the same value; the best of them is shown where the interval of its AUC lies above 50 %."
)
NO_FACT = (
    "No metadata field alone (size, format, length or frame rate) separates real from fake: no interval of its AUC "
    "lies above 50 %."
)

_POLICIES = {
    "exclude": "excluded",
    "as-real": "count as real (score 0)",
    "as-fake": "count as fake (score 1)",
    "as-chance": "count as a guess (score 0.5, half right)",
}
_RULES: tuple[tuple[str, Callable[[ResultRow], str]], ...] = (
    ("level", lambda row: row.level),
    ("test condition", lambda row: row.condition),
    ("crop profile", lambda row: row.profile or "unknown"),
    ("crop size", lambda row: f"{row.size} px" if row.size else "unknown"),
    ("face geometry", lambda row: row.geometry or "unknown"),
    ("training", lambda row: row.training or "unknown"),
    ("training method", lambda row: row.training_method),
    ("training condition", lambda row: row.train_condition),
    ("training seed", lambda row: "unknown" if row.seed is None else str(row.seed)),
    ("selection", lambda row: row.selection),
    ("samples without a score", lambda row: _POLICIES.get(row.failure_policy, row.failure_policy)),
    ("protocol", lambda row: row.protocol),
    ("threshold", lambda row: "" if row.threshold is None else f"fake from {row.threshold:g} on"),
)
UNITS = {"scene_group": "scene groups"}
"""What is taken as independent, as ``cluster`` names it -> its name in text."""
# An empty value: the rule does not apply to the row, for example a threshold to an AUC.
_PER_ROW = {"level", "test condition"}


def rules(rows: Sequence[ResultRow]) -> list[tuple[str, str]]:
    """Return every rule of the table with its value; several values are joined by a comma.

    Args:
        rows: rows from :func:`dfbench.report.rows.result_rows`.
    """
    ours = [row for row in rows if not row.baseline]
    found = [(name, _listed(list(dict.fromkeys(filter(None, map(read, ours)))) or ["none"])) for name, read in _RULES]
    units = ", ".join(dict.fromkeys(UNITS.get(row.cluster, row.cluster) for row in ours))
    return [*found, ("intervals", f"95 %, over {units}")]


def _listed(values: Sequence[str]) -> str:
    most = 12
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def differences(rows: Sequence[ResultRow]) -> list[str]:
    """Return one sentence per rule in which the runs of the table differ."""
    ours = [row for row in rows if not row.baseline]
    sentences: list[str] = []
    for name, read in _RULES:
        by_value: dict[str, list[str]] = {}
        for row in ours:
            value = read(row)
            if value and row.model not in by_value.setdefault(value, []):
                by_value[value].append(row.model)
        if name in _PER_ROW or len(by_value) < 2:
            continue
        who = "; ".join(f"{value}: {', '.join(models)}" for value, models in by_value.items())
        sentences.append(f"The runs differ in {name} ({who}): their numbers are not directly comparable.")
    return sentences


def notes(rows: Sequence[ResultRow]) -> list[str]:
    """Return the notes of a table: rules, differences, reasons of missing values, warnings."""
    lines = ["; ".join(f"{name}: {value}" for name, value in rules(rows)) + "."]
    lines += differences(rows)
    lines += _reasons(rows)
    if any(row.coverage_differs for row in rows):
        lines.append("Coverage: scored / requested samples (reals / fakes).")
    lines += _score_warnings(rows)
    if any(row.baseline and row.model != MAJORITY for row in rows):
        lines.append(_BASELINES)
    elif any(row.no_fact for row in rows):
        lines.append(NO_FACT)
    lines += _mismatches(rows)
    for row in rows:
        number = row.values.get("acc")
        if number and number.ties and row.manipulation == "all" and not row.baseline:
            lines.append(
                f"{row.model} {row.data} {row.condition} {row.level}: {number.ties} scores exactly at the threshold."
            )
    lines += _cautions(rows)
    if any(row.mini for row in rows):
        lines.append(f"{MINI_NOTE}; no substitute for real forgeries, not suitable for ranking detectors.")
    return lines


def warnings(rows: Sequence[ResultRow]) -> list[str]:
    """Return the most important notes: differences between runs, warnings, crop mismatches, cautions."""
    return [*differences(rows), *_score_warnings(rows), *_mismatches(rows), *_cautions(rows)]


def _score_warnings(rows: Sequence[ResultRow]) -> list[str]:
    return list(dict.fromkeys(f"{row.model}: {warning}." for row in rows for warning in row.warnings))


def _mismatches(rows: Sequence[ResultRow]) -> list[str]:
    others = {(r.model, r.crop_mismatch, r.profile, r.size) for r in rows if r.crop_mismatch}
    return [f"{CROP_MARK} {mismatch_sentence(*other)}" for other in sorted(others)]


def mismatch_sentence(label: str, trained: str, profile: str, size: int) -> str:
    """Return the note on a run whose weights were trained on other crops than those it was evaluated on."""
    return f"{label}: weights trained on {trained} crops, evaluated on {profile} {size} px (crop mismatch)."


def _cautions(rows: Sequence[ResultRow]) -> list[str]:
    cautions = dict.fromkeys((row.model, row.caution) for row in rows if row.caution)
    return [f"Caution, {model}: {text}." for model, text in cautions]


def _reasons(rows: Sequence[ResultRow]) -> list[str]:
    found: dict[str, list[str]] = {}
    for row in rows:
        for value in row.values.values():
            where = f"{row.data} {row.manipulation} {value.name}"
            if value.undefined:
                found.setdefault(f"No value: {value.undefined}", []).append(where)
            elif value.interval_note:
                text = "No interval" if value.low is None else "Interval"
                found.setdefault(f"{text}: {value.interval_note}", []).append(where)
    lines: list[str] = []
    for reason, slices in found.items():
        unique = list(dict.fromkeys(slices))
        more = f" and {len(unique) - 3} more" if len(unique) > 3 else ""
        lines.append(f"{reason} ({', '.join(unique[:3])}{more}).")
    return lines
