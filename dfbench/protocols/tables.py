"""Tables of a protocol file: their base class, crops, selection, metrics and published numbers."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


class ProtocolModel(BaseModel):
    """An immutable table that refuses unknown keys.

    Attributes:
        optional: fields that are omitted from the content while they have their default. A field that is added to the
            format later belongs here, so that the hashes of protocols that do not use it stay the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    optional: ClassVar[tuple[str, ...]] = ()

    def optional_fields(self) -> tuple[str, ...]:
        """Return the names in :attr:`optional`, or others where they depend on the content."""
        return self.optional

    @model_serializer(mode="wrap")
    def _without_defaults(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = plain(self)
        fields = type(self).model_fields
        omitted = self.optional_fields()
        return {
            k: v
            for k, v in values.items()
            if k not in omitted or getattr(self, k) != fields[k].get_default(call_default_factory=True)
        }


class Crops(ProtocolModel):
    """Crop profile and size in pixels."""

    profile: str = "native"
    size: Annotated[int, Field(ge=16, le=1024)] = 128


class Selection(ProtocolModel):
    """Split and metric that select the weights. A protocol that selects on test does not load."""

    split: Literal["val", "none"] = "val"
    metric: str = "auc.video.mean"


FPR_RULE = re.compile(r"fpr=(0?\.\d+)")
"""Rule of a threshold with a largest false positive rate."""


class DecisionRule(ProtocolModel):
    """Decision threshold and temperature that a training chooses on validation data, in place of a fixed threshold.

    They are kept in the card of the weights. Evaluations by a protocol with the same rule use them.
    """

    split: Literal["val"] = Field(default="val", description="data that they are chosen on; no other split loads")
    rule: str | None = Field(
        default=None,
        description="max-bacc: the largest balanced accuracy; eer: equal error rates; fpr=X: at most this fraction of "
        "reals counted as fake; omitted: the threshold of [metrics]",
    )
    level: Literal["frame", "video.mean", "video.mean-logit", "video.max", "video.median"] = Field(
        default="video.mean", description="scores that the threshold is chosen on"
    )
    temperature: bool = Field(
        default=False, description="whether logits are divided by a temperature before P(fake) is computed"
    )

    @model_validator(mode="after")
    def _something_is_chosen(self) -> DecisionRule:
        if self.rule is None and not self.temperature:
            raise ValueError("give a rule, or temperature = true")
        if self.rule is not None and self.rule not in ("max-bacc", "eer") and not FPR_RULE.fullmatch(self.rule):
            raise ValueError(f"unknown rule {self.rule!r}: write 'max-bacc', 'eer' or 'fpr=0.01'")
        return self


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is listed twice")
    return names


class Metrics(ProtocolModel):
    """Metric names (metric.level.aggregation), decision threshold and intervals."""

    optional: ClassVar[tuple[str, ...]] = ("faces",)

    names: Annotated[tuple[str, ...], AfterValidator(_each_once)] = ("acc.frame", "auc.frame", "eer.frame")
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    resamples: Annotated[int, Field(ge=0)] = 2000
    per_manipulation: bool = True
    seed: int = 0
    faces: Literal["largest", "max", "mean"] | None = Field(
        default=None, description="aggregation of the faces of a frame; required with sampling.faces = 'all'"
    )


class Published(ProtocolModel):
    """Which published numbers are shown beside ours: filters on the columns of ``published_results.csv``."""

    where: dict[str, str] = Field(default_factory=dict)
