"""``result.json``: one run, its metrics and everything needed to trace or repeat it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RESULT_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricValue(_Frozen):
    """One number with its rule, its interval and what it was computed on."""

    name: str = Field(description="metric, level and aggregation: auc.video.mean")
    dataset: str
    subset: str
    manipulation: str = Field(description="'all', or one method against the reals")
    condition: str = Field(description="test condition, 'clean' or a degradation spec")
    value: float | None = Field(description="a fraction; null when undefined")
    low: float | None = Field(default=None, description="lower end of the 95 % interval")
    high: float | None = Field(default=None, description="upper end of the 95 % interval")
    n: int = Field(ge=0, description="frames or videos the value rests on, by the metric's level")
    n_media: int = Field(ge=0)
    n_positive: int = Field(ge=0, description="how many of the n are fake")
    coverage: float = Field(ge=0, le=1, description="scored samples / requested samples")
    undefined: str | None = Field(default=None, description="why value is null")
    interval_note: str | None = Field(default=None, description="why there is no interval, or what it can not tell")
    profile: str = Field(description="crop profile")
    size: int = Field(description="crop size in pixels")
    threshold: float | None = Field(default=None, description="decision threshold (acc) or operating point (eer)")
    ties: int | None = Field(default=None, description="scores exactly at the threshold")
    seed: int | None = Field(default=None, description="training seed")
    train_condition: str = "clean"
    cluster: str = Field(default="scene_group", description="unit of the bootstrap")
    n_clusters: int = Field(default=0, ge=0)


class ProtocolRef(_Frozen):
    """Which protocol a run followed."""

    name: str
    version: int
    hash: str


class ManifestRef(_Frozen):
    """Which manifest a run read."""

    name: str
    dataset: str
    hash: str
    profile: str
    sizes: tuple[int, ...]
    geometry: str
    decoder: str
    face_detector: str


class WeightsRef(_Frozen):
    """Which weights a run used."""

    sha256: str
    card: dict[str, Any]


class Coverage(_Frozen):
    """Requested and scored samples of one label and manipulation: nothing vanishes."""

    dataset: str
    subset: str
    manipulation: str
    label: int
    condition: str
    requested: int
    scored: int
    by_status: dict[str, int]


class RunResult(_Frozen):
    """The content of ``result.json``."""

    format_version: int = RESULT_VERSION
    run_id: str
    model: str
    protocol: ProtocolRef | None
    manifests: tuple[ManifestRef, ...]
    weights: WeightsRef | None
    versions: dict[str, str]
    device: str
    started: str = Field(description="UTC time, ISO 8601")
    seconds: float
    selection: dict[str, Any] = Field(description="split and metric the weights were selected on")
    failure_policy: Literal["exclude", "as-real", "as-fake", "as-chance"]
    published_comparisons: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = Field(default_factory=dict, description="every option that can change a number")
    coverage: tuple[Coverage, ...] = ()
    metrics: tuple[MetricValue, ...]
    scores_sha256: str = Field(default="", description="SHA-256 of the run's scores.parquet; checked when it is read")
    mini: bool = Field(description="True when any of it is invented faces: no ground for ranking detectors")
    crop_mismatch: str = Field(
        default="", description="crops the weights were trained on, where they are not the run's: 'dfb256 256 px'"
    )
