"""Which runs may fill a cell of a paper's table: only those made under the cell's own conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dfbench.evaluation.run import Run
from dfbench.models.registry import get_spec, model_names
from dfbench.protocols.files import load_protocol
from dfbench.protocols.reference import protocol_ref
from dfbench.report.papers.definition import Method, Ours, PaperTable
from dfbench.schema.result import MetricValue, ProtocolRef

FREE_OPTIONS = ("pretrained",)
"""Options of a detector that not every paper states: they may differ in a cell, and are printed under the table."""


@dataclass(frozen=True, eq=False)
class Fitting:
    """A run and its number for a cell."""

    run: Run
    value: MetricValue


def fitting(table: PaperTable, ours: Ours, row: Method, runs: Sequence[Run]) -> list[Fitting]:
    """The runs that belong in a cell, one a training seed (of several the latest), by seed."""
    found: dict[int | None, Fitting] = {}
    for run in sorted(runs, key=lambda r: r.result.started):
        value = number_of(run, ours)
        if value is not None and not refusal(table, ours, row, run):
            found[value.seed] = Fitting(run, value)
    return [found[seed] for seed in sorted(found, key=lambda s: -1 if s is None else s)]


def number_of(run: Run, ours: Ours) -> MetricValue | None:
    """The run's number for a cell, whatever else its conditions are; None where it has none."""
    wanted = (ours.metric, ours.dataset, ours.subset, ours.manipulation, ours.condition)
    for v in run.result.metrics:
        if (v.name, v.dataset, v.subset, v.manipulation, v.condition) == wanted:
            return v
    return None


def refusal(table: PaperTable, ours: Ours, row: Method, run: Run) -> str:
    """Why a run may not fill a cell of its protocol; empty where it may."""
    result = run.result
    card = result.weights.card if result.weights else {}
    if result.protocol is None or result.protocol.name != ours.protocol:
        return f"its protocol is {result.protocol.name if result.protocol else 'none'}, the cell's {ours.protocol}"
    rules = load_protocol(ours.protocol)
    if not result.protocol.same_content(protocol_ref(rules)):
        return f"its protocol {ours.protocol} (version {result.protocol.version}) had another content"
    if result.model != row.model or not same_options(row, options_of(run)):
        return f"it is of {described(result.model, options_of(run))}, not of {described(row.model, row.options)}"
    value = number_of(run, ours)
    if value is None:
        return f"it has no {ours.metric} of {ours.dataset}/{ours.subset} under {ours.condition}"
    if result.mini:
        return "its weights or data are invented faces"
    trained = (card.get("protocol") or {}).get("name")
    if trained not in (ours.protocol, *table.same_training.get(ours.protocol, ())):
        return f"its weights were trained by {trained or 'an unknown protocol'}, not by {ours.protocol}"
    if not ProtocolRef.model_validate(card["protocol"]).same_content(protocol_ref(load_protocol(trained))):
        return f"its weights were trained by another content of {trained}"
    usual = get_spec(row.model).recipe.batch_size if row.model in model_names() else 0
    own_batch = load_protocol(trained).training.batch_size or usual
    changed = changes_of(card, own_batch)
    if changed:
        return f"its weights were trained with {changed}, not by the recipe"
    if any(manifest.geometry != "own" for manifest in result.manifests):
        return "its faces were not found in each clip itself (shared geometry)"
    made = (value.train_condition, value.profile, value.size)
    asked = (rules.conditions.train, rules.crops.profile, rules.crops.size)
    words = ("training condition", "crop profile", "crop size")
    return "; ".join(
        f"its {word} is {mine}, the cell's {theirs}"
        for word, mine, theirs in zip(words, made, asked, strict=True)
        if mine != theirs
    )


def why_not(table: PaperTable, run: Run) -> str:
    """Why a run is in no cell of a table; empty where it is in some.

    Of the reasons, that of the cell which it comes nearest to is told: one of its own protocol, if there is one.
    """
    own = Method(model=run.result.model, options=options_of(run))
    rows = [*(row for row in table.row if row.model == run.result.model), own]
    cells = [(ours, row) for row in rows for column in table.column if (ours := table.ours(column, row))]
    reasons = [refusal(table, ours, row, run) for ours, row in cells]
    if not all(reasons):
        return ""
    name = run.result.protocol.name if run.result.protocol else None
    near = [why for (ours, row), why in zip(cells, reasons, strict=True) if ours.protocol == name and row is own]
    return next(iter(near), f"it was made by {name or 'no protocol'}, the table takes {', '.join(table.protocols())}")


def options_of(run: Run) -> dict[str, Any]:
    """The options that a run's detector was built with, as far as they were given."""
    card = run.result.weights.card if run.result.weights else {}
    found: dict[str, Any] = card.get("options") or {}
    return dict(found)


def same_options(row: Method, given: Mapping[str, Any]) -> bool:
    """Whether options mean the row's detector: alike, with the detector's defaults filled in."""
    defaults = dict(get_spec(row.model).options) if row.model in model_names() else {}
    mine, theirs = defaults | row.options, defaults | dict(given)
    return {k: v for k, v in mine.items() if k not in FREE_OPTIONS} == {
        k: v for k, v in theirs.items() if k not in FREE_OPTIONS
    }


def changes_of(card: Mapping[str, Any], own_batch: int) -> str:
    """What a training changed of its recipe; small batches whose gradients are added up to one of its own are none."""
    changed: dict[str, Any] = card.get("overrides") or {}
    if changed.keys() == {"batch_size", "accumulate"} and changed["batch_size"] * changed["accumulate"] == own_batch:
        return ""
    return ", ".join(f"{name}={value}" for name, value in changed.items())


def published_pretrained(model: str) -> bool:
    """Whether a registered detector was published with a training that starts from ImageNet weights."""
    return model in model_names() and get_spec(model).published_pretrained


def described(model: str, options: Mapping[str, Any]) -> str:
    """A detector with its options.

    >>> described("grnet", {"fusion": "sum"})
    'grnet fusion=sum'
    """
    return " ".join([model, *(f"{k}={v}" for k, v in sorted(options.items()))])
