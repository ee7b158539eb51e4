"""The commands that fill the empty cells of a paper table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dfbench.report.papers.definition import OwnResult, PaperMethod
from dfbench.report.papers.matching import published_pretrained


@dataclass
class FillCommands:
    """The commands collected so far; rows that differ only in the model share one."""

    models: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def number(self, ours: OwnResult, row: PaperMethod) -> int:
        """Return the number of the command that fills a cell, counted from 1."""
        chosen = dict(row.options)
        if published_pretrained(row.model):
            chosen.setdefault("pretrained", "true")
        words = [f"--preset {row.preset}"] if row.preset else []
        words += [f"--method {row.training_method}"] if row.training_method else []
        words += [_option("--method-option", *pair) for pair in row.method_options.items()]
        options = " ".join([*words, *(_option("--option", *pair) for pair in chosen.items())])
        models = self.models.setdefault((ours.protocol, options), [])
        if row.model not in models:
            models.append(row.model)
        return list(self.models).index((ours.protocol, options)) + 1

    def texts(self) -> tuple[str, ...]:
        """Return the commands with the models they apply to."""
        return tuple(self._text(*key, models) for key, models in self.models.items())

    @staticmethod
    def _text(protocol: str, options: str, models: Sequence[str]) -> str:
        model = models[0] if len(models) == 1 else "M"
        train = f"dfbench train --model {model} --protocol {protocol}"
        evaluate = f"dfbench evaluate --model {model} --protocol {protocol}"
        if options:
            named = "-".join(part for part in options.split() if not part.startswith("--"))
            weights = f"weights/{protocol}/{model}-{named}.safetensors"
            train, evaluate = f"{train} {options} --out {weights}", f"{evaluate} --weights {weights}"
        models_note = "" if len(models) == 1 else f"   (M = {', '.join(models)})"
        return f"{train} && {evaluate}{models_note}"


def _option(flag: str, name: str, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{flag} {shlex.quote(f'{name}={text}')}"
