"""Which runs belong in a cell of a paper table: those made under the conditions of the cell; and which differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError, UndefinedMetric
from dfbench.evaluation.run import Run
from dfbench.metrics import holm, seed_difference
from dfbench.models.options import current_options, full_options, preset_options, recorded_options
from dfbench.models.registry import get_spec, model_names
from dfbench.models.spec import TrainingDefaults
from dfbench.models.training_method import changed_method_options, described, method_of, own_method
from dfbench.protocols.files import load_protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.report.compare import check_comparable, declared_threshold
from dfbench.report.papers.definition import OwnResult, PaperMethod, PaperTable
from dfbench.schema.result import MetricValue, ProtocolRef

SIGNIFICANCE_LEVEL = 0.05
FREE_OPTIONS = ("pretrained",)
"""Detector options that not every paper states: they may differ from the cell, and are printed below the table."""


@dataclass(frozen=True, eq=False)
class MatchingRun:
    """A run and its value for a cell."""

    run: Run
    value: MetricValue


def matching_runs(table: PaperTable, ours: OwnResult, row: PaperMethod, runs: Sequence[Run]) -> list[MatchingRun]:
    """Return the runs that belong in a cell, sorted by training seed; of several with one seed the latest."""
    found: dict[int | None, MatchingRun] = {}
    for run in sorted(runs, key=lambda r: r.result.started):
        value = number_of(run, ours)
        if value is not None and not mismatch_reason(table, ours, row, run):
            found[value.seed] = MatchingRun(run, value)
    return [found[seed] for seed in sorted(found, key=lambda s: -1 if s is None else s)]


def number_of(run: Run, ours: OwnResult) -> MetricValue | None:
    """Return the value of a run for a cell, whatever its other conditions; None if it has none."""
    wanted = (ours.metric, ours.dataset, ours.subset, ours.manipulation, ours.condition)
    for v in run.result.metrics:
        if (v.name, v.dataset, v.subset, v.manipulation, v.condition) == wanted:
            return v
    return None


def mismatch_reason(table: PaperTable, ours: OwnResult, row: PaperMethod, run: Run) -> str:
    """Return why a run does not belong in a cell; empty if it does."""
    result = run.result
    card = result.weights.card if result.weights else {}
    if result.protocol is None or result.protocol.name != ours.protocol:
        return f"its protocol is {result.protocol.name if result.protocol else 'none'}, the cell's {ours.protocol}"
    rules = load_protocol(ours.protocol)
    if not result.protocol.same_content(protocol_ref(rules)):
        return f"its protocol {ours.protocol} (version {result.protocol.version}) had different content"
    different = _different_detector(row, run)
    if different:
        return different
    value = number_of(run, ours)
    if value is None:
        return f"it has no {ours.metric} of {ours.dataset}/{ours.subset} under {ours.condition}"
    if result.mini:
        return "its weights or data are invented faces"
    trained = (card.get("protocol") or {}).get("name")
    if trained not in (ours.protocol, *table.same_training.get(ours.protocol, ())):
        return f"its weights were trained by {trained or 'an unknown protocol'}, not by {ours.protocol}"
    if not ProtocolRef.model_validate(card["protocol"]).same_content(protocol_ref(load_protocol(trained))):
        return f"its weights were trained by {trained} with different content"
    different = _different_method(row, card)
    if different:
        return different
    recipe = _recipe_of(row.model, row.preset)
    if recipe != _recipe_of(row.model, card.get("preset", "")):
        used, wanted = (f"the preset {name}" if name else "no preset" for name in (card.get("preset"), row.preset))
        return f"its weights were trained by the recipe of {used}, the row's by that of {wanted}"
    own_batch = load_protocol(trained).training.batch_size or (recipe.batch_size if recipe else 0)
    changed = changes_of(card, own_batch)
    if changed:
        return f"its weights were trained with {changed}, which differs from the recipe"
    if any(manifest.geometry != "own" for manifest in result.manifests):
        return "its faces were detected in the base clips (shared geometry), not in each clip"
    made = (value.train_condition, value.profile, value.size)
    stated = (rules.conditions.train, rules.crops.profile, rules.crops.size)
    names = ("training condition", "crop profile", "crop size")
    return "; ".join(
        f"its {name} is {actual}, the cell's {expected}"
        for name, actual, expected in zip(names, made, stated, strict=True)
        if actual != expected
    )


def why_not(table: PaperTable, run: Run) -> str:
    """Return why a run is in no cell of a table; empty if it is in one.

    The reason is that of a cell with the protocol of the run, if there is one.
    """
    listed = [cell for row in table.row if row.model == run.result.model for cell in table.cells_of(row)]
    own = table.cells_of(row_of(run))
    if not all(mismatch_reason(table, ours, line, run) for ours, line in (*listed, *own)):
        return ""
    name = run.result.protocol.name if run.result.protocol else None
    near = [mismatch_reason(table, ours, line, run) for ours, line in own if ours.protocol == name]
    return next(iter(near), f"its protocol is {name or 'none'}, the table has {', '.join(table.protocols())}")


def options_of(run: Run) -> dict[str, Any]:
    """Return the options of the detector of a run: those of the card, and those that the evaluation replaced.

    Of a registered detector, these are all options; an option that an old card lacks has the value that it had then.
    """
    result = run.result
    card = result.weights.card if result.weights else {}
    recorded: dict[str, Any] = card.get("options") or {}
    changed: dict[str, Any] = result.options.get("model_options") or {}
    if result.model not in model_names():
        return recorded | changed
    spec = get_spec(result.model)
    return recorded_options(spec, recorded) | current_options(spec, changed)


def row_of(run: Run) -> PaperMethod:
    """Return the row of a run that belongs in none of the paper's: detector and training method with changed options.

    A preset is named where it decides the training; else its options say all.
    """
    model, card = run.result.model, run.result.weights.card if run.result.weights else {}
    preset = card.get("preset", "")
    method = method_of(card)
    own = PaperMethod(
        model=model,
        preset=preset if _recipe_of(model, preset) != _recipe_of(model, "") else "",
        training_method=method if method != own_method(model) else "",
        method_options=changed_method_options(card),
    )
    usual, found = options_of_row(own), options_of(run)
    return own.model_copy(update={"options": {k: v for k, v in found.items() if k not in usual or usual[k] != v}})


def options_of_row(row: PaperMethod) -> dict[str, Any]:
    """Return the options of the detector of a row; of a registered detector, these are all options."""
    if row.model not in model_names():
        return dict(row.options)
    spec = get_spec(row.model)
    return full_options(spec, preset_options(spec, row.preset, row.options))


def _different_method(row: PaperMethod, card: Mapping[str, Any]) -> str:
    """Return how the training method of a weight card differs from that of a row; empty if it does not."""
    method, other = row.training_method or own_method(row.model), method_of(card)
    if method != other:
        return f"its weights were trained by the method {other}, the row's by {method}"
    found = changed_method_options(card)
    if found == row.method_options:
        return ""
    actual, expected = described(method, found), described(method, row.method_options)
    return f"its weights were trained by the method {actual}, the row's by {expected}"


def _recipe_of(model: str, preset: str) -> TrainingDefaults | None:
    """Return the training of a registered detector with a preset; that of the detector if the preset is unknown."""
    if model not in model_names():
        return None
    spec = get_spec(model)
    chosen = spec.presets.get(preset)
    return chosen.recipe if chosen is not None and chosen.recipe is not None else spec.recipe


def _different_detector(row: PaperMethod, run: Run) -> str:
    """Return how the detector of a run differs from that of a row; empty if it does not."""
    model, found, wanted = run.result.model, options_of(run), options_of_row(row)
    names = sorted(found.keys() | wanted.keys()) if model == row.model else []
    other = [name for name in names if name not in FREE_OPTIONS and found.get(name) != wanted.get(name)]
    if model == row.model and not other:
        return ""
    actual = described(model, {name: found[name] for name in other if name in found})
    expected = described(row.model, {name: wanted[name] for name in other if name in wanted})
    return f"its detector is {actual}, the row has {expected}"


def changes_of(card: Mapping[str, Any], own_batch: int) -> str:
    """Return the changes to the recipe of a training; accumulating gradients to the same batch size is none.

    Options of the training method are no part of it: they make another row.
    """
    all_changed: dict[str, Any] = card.get("overrides") or {}
    prefix = f"{method_of(card)}."
    changed = {name: value for name, value in all_changed.items() if not name.startswith(prefix)}
    if changed.keys() == {"batch_size", "accumulate"} and changed["batch_size"] * changed["accumulate"] == own_batch:
        return ""
    return ", ".join(f"{name}={value}" for name, value in changed.items())


def published_pretrained(model: str) -> bool:
    """Check whether a registered detector was published with training from ImageNet weights."""
    return model in model_names() and get_spec(model).published_pretrained


def differing(best: Sequence[MatchingRun], others: Sequence[Sequence[MatchingRun]]) -> list[bool | None]:
    """Test whether detectors differ from the best one on the same samples, with Holm's correction over all.

    Args:
        best: the runs of the best detector, one per training seed.
        others: the runs of each other detector. The means over the seeds are compared, with the variance of the samples
            and of the trainings, see :func:`dfbench.metrics.seed_difference`.

    Returns:
        One answer per other detector; None where the test is not possible: other samples or crops, or too few scene
        groups.
    """
    p_values = [_p_value(best, other) for other in others]
    known = [p for p in p_values if p is not None]
    corrected = iter(holm(known))
    return [None if p is None else next(corrected) < SIGNIFICANCE_LEVEL for p in p_values]


def _p_value(best: Sequence[MatchingRun], other: Sequence[MatchingRun]) -> float | None:
    value, rules = best[0].value, best[0].run.result
    try:
        for fit in (*best[1:], *other):
            check_comparable(best[0].run, fit.run)
        return seed_difference(
            [_slice_of(fit) for fit in best],
            [_slice_of(fit) for fit in other],
            value.name,
            manipulation=value.manipulation,
            threshold=declared_threshold(rules),
            failure_policy=rules.failure_policy,
            face_aggregation=rules.faces,
            classes=rules.classes,
            real_classes=rules.real_classes,
        ).p
    except (DataError, UndefinedMetric):
        return None


def _slice_of(fit: MatchingRun) -> pa.Table:
    """Return the scores of the value's data set, subset and condition."""
    value, scores = fit.value, fit.run.scores_table
    keep = pc.and_(
        pc.equal(scores["dataset"], value.dataset),
        pc.and_(pc.equal(scores["subset"], value.subset), pc.equal(scores["condition"], value.condition)),
    )
    return scores.filter(keep)
