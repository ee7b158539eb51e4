"""Tables of a protocol file: their base class, crops, selection, metrics and published numbers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
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
