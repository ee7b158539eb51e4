"""An explanation as tables, sentences and figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfbench.report.figures.explanations import (
    confusion_figure,
    maps_figure,
    means_figure,
    reconstructions_figure,
    residuals_figure,
)
from dfbench.report.formats import escape_markdown, markdown_lines, p_text
from dfbench.report.table_notes import MINI_NOTE

if TYPE_CHECKING:
    from dfbench.explain.explain import ExplanationFindings
    from dfbench.explain.record import ExplanationRecord, Reconstructions, TechniqueDifference, Techniques

TITLES = {
    "fam": "FAM",
    "cam": "CAM, fake - real",
    "fam untrained": "FAM of the untrained network",
    "crop": "raw crop",
    "centre": "nearness to the middle of the crop",
}
"""Kinds of maps -> how tables and figures name them."""

TECHNIQUE_HEAD = ("compared with its means", "accuracy, %", "FAM better by, points", "p", "cosines of the means")
PIXEL_HEAD = ("map", "manipulation", "pixel AUC, %", "images", "scene groups")
FACES_HEAD = (
    "manipulation",
    "distance of source and target",
    "AUC against reals, %",
    "weight of source, target",
    "images",
    "scene groups",
)


def technique_rows(techniques: Techniques) -> list[tuple[str, ...]]:
    """Return the cells of :data:`TECHNIQUE_HEAD`, one row for each way of naming techniques."""
    by_name = {difference.second: difference for difference in techniques.differences}
    rows: list[tuple[str, ...]] = []
    for way in techniques.accuracies:
        other = by_name.get(way.name)
        low, high = way.cosines
        rows.append(
            (
                TITLES[way.name],
                _percent(way.accuracy, way.low, way.high),
                _points(other) if other is not None else "",
                p_text(other.p) if other is not None else "",
                f"{low:.3f} to {high:.3f}",
            )
        )
    return rows


def pixel_rows(record: ExplanationRecord) -> list[tuple[str, ...]]:
    """Return the cells of :data:`PIXEL_HEAD`."""
    return [
        (TITLES[v.name], v.manipulation, _percent(v.value, v.low, v.high), str(v.n), str(v.n_groups))
        for v in record.pixel_auc
    ]


def face_rows(found: Reconstructions) -> list[tuple[str, ...]]:
    """Return the cells of :data:`FACES_HEAD`."""
    return [
        (
            row.manipulation,
            f"{row.distance:.4f}",
            "" if row.auc is None else _percent(row.auc, row.low, row.high),
            "" if row.source_weight is None else f"{row.source_weight:.3f}, {row.target_weight:.3f}",
            str(row.n),
            str(row.n_groups),
        )
        for row in found.rows
    ]


def face_verdicts(record: ExplanationRecord) -> list[str]:
    """Return what the distance of reconstructed faces says about fakes, as sentences."""
    found = record.reconstructions
    if found is None:
        return []
    rows = {row.manipulation: row for row in found.rows}
    fakes, reals = rows.get("all"), rows.get("real")
    cautions = [f"Caution: {found.caution}."] if found.caution else []
    if fakes is None or reals is None or fakes.auc is None:
        return ["Whether reconstructed faces tell fakes from reals is open: images of one class alone.", *cautions]
    begin = (
        f"By the distance of the reconstructed source and target face, {fakes.n} fakes are distinguished from "
        f"{reals.n} reals with an AUC of {_percent(fakes.auc, fakes.low, fakes.high)} %"
    )
    if fakes.low is None or fakes.high is None:
        return [f"{begin}; whether that is better than chance is open ({fakes.interval_note}).", *cautions]
    if fakes.low > 0.5:
        return [f"{begin}: the faces of fakes differ more, and the interval is above 50 %.", *cautions]
    if fakes.high < 0.5:
        return [f"{begin}: the faces of fakes differ less, and the interval is below 50 %.", *cautions]
    return [f"{begin}: not better than chance, 50 % is in the interval.", *cautions]


def verdicts(record: ExplanationRecord) -> list[str]:
    """Return what the numbers say about naming the technique, as sentences: against chance, then against the others."""
    found = record.techniques
    if found is None:
        return []
    way = found.accuracies[0]
    count, chance = sum(found.classified.values()), 100 * found.chance
    begin = (
        f"By its FAM, the technique of {100 * way.accuracy:.1f} % of {count} fakes ({found.n_groups} scene groups, "
        f"{len(found.names)} techniques) is named correctly; always naming the most frequent one reaches {chance:.1f} %"
    )
    if way.low is None or way.high is None:
        sentences = [f"{begin}. Whether that is more than chance is open: no interval ({way.interval_note})."]
    elif way.low > found.chance:
        sentences = [f"{begin}: better than chance, whose value is below the interval."]
    elif way.high < found.chance:
        sentences = [f"{begin}: worse than chance, whose value is above the interval."]
    else:
        sentences = [f"{begin}: not better than chance, whose value is in the interval."]
    return [*sentences, *(_verdict(difference) for difference in found.differences)]


def conclusions(record: ExplanationRecord) -> list[str]:
    """Return everything that the numbers say, as sentences: :func:`verdicts` and :func:`face_verdicts`."""
    return [*verdicts(record), *face_verdicts(record)]


def limits(record: ExplanationRecord) -> list[str]:
    """Return what is missing or limits the numbers: the notes and the caution, without full stops."""
    return [*record.notes, *([f"Caution: {record.caution}"] if record.caution else [])]


def summary_text(record: ExplanationRecord) -> str:
    """Return the text of ``explain.md``: tables and sentences to be pasted."""
    card = record.weights.card
    trained = f"training seed {card['seed']}" if card.get("seed") is not None else "no training seed"
    about = (
        f"{record.model} ({trained}), protocol {record.protocol.name} version {record.protocol.version} "
        f"({record.protocol.hash[:12]}), crops {record.profile} {record.size} px, condition {record.condition}, maps "
        f"{record.map_size} px, seed {record.options['explain']['seed']}, run {record.run_id}."
    )
    lines = [f"# {escape_markdown(record.model)} explained", "", escape_markdown(about), ""]
    if record.techniques is not None:
        lines += ["## Technique of the fakes", "", *map(escape_markdown, verdicts(record)), ""]
        rows = [[escape_markdown(cell) for cell in row] for row in technique_rows(record.techniques)]
        lines += [*markdown_lines(TECHNIQUE_HEAD, rows, right={1, 2, 3, 4}), ""]
        how = "after the grand mean was subtracted" if record.techniques.centred else "of the maps as they are"
        lines += [f"Cosine similarity {how}; 95 % intervals over scene groups; paired t test.", ""]
        lines += [*_confusion_lines(record.techniques), ""]
    if record.pixel_auc:
        rows = [[escape_markdown(cell) for cell in row] for row in pixel_rows(record)]
        lines += ["## Maps against masks", "", *markdown_lines(PIXEL_HEAD, rows, right={2, 3, 4}), ""]
        lines += ["Mean of the AUC within an image; 95 % intervals over scene groups.", ""]
    if record.reconstructions is not None:
        lines += [*_face_lines(record, record.reconstructions), ""]
    notes = limits(record)
    if record.mini:
        notes.append(f"{MINI_NOTE}; no substitute for real forgeries, not suitable for ranking detectors")
    if notes:
        lines += ["## Notes", "", *(f"- {escape_markdown(note)}." for note in notes), ""]
    return "\n".join(lines)


def explanation_figures(findings: ExplanationFindings, factor: float) -> dict[str, bytes]:
    """Return the figures of an explanation as PNG, by the name of their file.

    Args:
        findings: what was found.
        factor: amplification of the residuals.
    """
    record = findings.record
    drawn: dict[str, bytes | None] = {}
    for name in dict.fromkeys(example.manipulation for example in findings.examples):
        shown = [example for example in findings.examples if example.manipulation == name]
        drawn[f"maps-{_file_name(name)}.png"] = maps_figure(shown, f"{record.model}: {name}", record.mini)
    whose = f"residual of {record.residual}"
    drawn["residuals.png"] = residuals_figure(findings.residuals, factor, whose, record.mini)
    if record.reconstructions is not None:
        title = f"{record.model}: faces reconstructed by {record.reconstructions.method}"
        drawn["reconstructions.png"] = reconstructions_figure(findings.reconstructed, title, record.mini)
    drawn["mean-maps.png"] = means_figure(findings.means, f"{record.model}: mean maps", record.mini)
    if record.techniques is not None:
        drawn["confusion.png"] = confusion_figure(record.techniques, TITLES, record.mini)
    return {name: data for name, data in drawn.items() if data is not None}


def _face_lines(record: ExplanationRecord, found: Reconstructions) -> list[str]:
    rows = [[escape_markdown(cell) for cell in row] for row in face_rows(found)]
    how = (
        f"Method {found.method}, sampler {found.sampler}, {found.steps} steps, seed {found.seed}, faces of "
        f"{found.size} px. Distance: {found.distance}. 95 % intervals over scene groups. Weight: how similar the "
        "method estimates image and face to be."
    )
    return [
        "## Reconstructed faces",
        "",
        *map(escape_markdown, face_verdicts(record)),
        "",
        *markdown_lines(FACES_HEAD, rows, right={1, 2, 3, 4, 5}),
        "",
        escape_markdown(how),
    ]


def _confusion_lines(techniques: Techniques) -> list[str]:
    first = techniques.accuracies[0]
    names = [escape_markdown(name) for name in techniques.names]
    header = [f"{TITLES[first.name]}: true, named", *names]
    rows = [
        [f"{names[i]} ({techniques.classified[techniques.names[i]]})", *map(str, line)]
        for i, line in enumerate(first.matrix)
    ]
    return markdown_lines(header, rows, right=set(range(1, len(header))))


def _verdict(difference: TechniqueDifference) -> str:
    other = TITLES[difference.second]
    points = f"{100 * difference.value:+.1f} points"
    if difference.low is None or difference.high is None:
        return f"FAM against {other}: {points}; whether they differ is open ({difference.note})."
    if difference.low > 0:
        return f"FAM is better than {other}: {points}, and the interval is above 0."
    if difference.high < 0:
        return f"FAM is worse than {other}: {points}, and the interval is below 0."
    return f"FAM is not better than {other}: {points}, and the interval contains 0."


def _percent(value: float, low: float | None, high: float | None) -> str:
    interval = "" if low is None or high is None else f" [{100 * low:.1f}-{100 * high:.1f}]"
    return f"{100 * value:.1f}{interval}"


def _points(difference: TechniqueDifference) -> str:
    interval = ""
    if difference.low is not None and difference.high is not None:
        interval = f" [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    return f"{100 * difference.value:+.1f}{interval}"


def _file_name(manipulation: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", manipulation).strip(".-") or "manipulation"


def result_tables(record: ExplanationRecord) -> list[tuple[str, Sequence[str], list[tuple[str, ...]]]]:
    """Return the tables of the command line: title, header and rows."""
    tables: list[tuple[str, Sequence[str], list[tuple[str, ...]]]] = []
    if record.techniques is not None:
        tables.append(("Technique of the fakes", TECHNIQUE_HEAD, technique_rows(record.techniques)))
    if record.pixel_auc:
        tables.append(("Maps against masks", PIXEL_HEAD, pixel_rows(record)))
    if record.reconstructions is not None:
        tables.append(("Reconstructed faces", FACES_HEAD, face_rows(record.reconstructions)))
    return tables
