"""``result.json``: one run, its metrics and everything needed to trace or repeat it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RESULT_VERSION = 1

MAJORITY = "majority class"
"""Name of the baseline that always gives the class that most samples have."""


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
    coverage_real: float | None = Field(
        default=None, description="the same of the reals alone; null where there is none"
    )
    coverage_fake: float | None = Field(
        default=None, description="the same of the fakes alone; null where there is none"
    )
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


class Baseline(_Frozen):
    """What one fact about the files reaches alone, without looking at a single pixel."""

    name: str = Field(description="what tables call it: 'size alone'")
    metrics: tuple[MetricValue, ...] = Field(description="of the data sets, subsets and conditions where it is best")


class ConditionDrop(_Frozen):
    """One condition against the baseline, on the same samples. Its own interval stands in the metrics."""

    condition: str
    family: str = Field(description="degradation, or the name of a combination")
    severity: int | None = Field(default=None, description="1 to 5 where the condition is one of the standard ones")
    value: float | None = Field(description="the metric under the condition; null when undefined")
    drop: float | None = Field(default=None, description="baseline - value; below 0 where the condition helps")
    low: float | None = Field(default=None, description="lower end of the drop's paired 95 % interval")
    high: float | None = Field(default=None, description="upper end of it")


class FamilyMean(_Frozen):
    """The mean of a metric over the conditions of one family."""

    family: str
    value: float
    conditions: int = Field(ge=1)


class Robustness(_Frozen):
    """What degradations do to one metric on one data set and subset, all manipulations together."""

    name: str = Field(description="metric, level and aggregation")
    dataset: str
    subset: str
    baseline: str = Field(default="clean", description="condition that drops are counted from")
    value: float | None = Field(description="the metric under the baseline")
    cells: tuple[ConditionDrop, ...]
    families: tuple[FamilyMean, ...] = Field(description="families with an undefined cell are left out")
    mean: float | None = Field(default=None, description="mean over families, each counting alike")
    mean_low: float | None = Field(default=None, description="lower end of its 95 % interval")
    mean_high: float | None = Field(default=None, description="upper end of it")
    drop: float | None = Field(default=None, description="baseline - mean")
    drop_low: float | None = Field(default=None, description="lower end of its paired 95 % interval")
    drop_high: float | None = Field(default=None, description="upper end of it")
    worst: str | None = Field(default=None, description="condition with the smallest value; of equals the first")
    interval_note: str | None = Field(default=None, description="why there are no intervals")


class ProtocolRef(_Frozen):
    """Which protocol a run followed."""

    name: str
    version: int
    hash: str
    earlier: tuple[str, ...] = Field(
        default=(), description="hashes of the same content by earlier versions of dfbench"
    )

    def same_content(self, other: ProtocolRef) -> bool:
        """Whether both mean protocols of the same content, also when they were written by different dfbench versions.

        >>> old = ProtocolRef(name="p", version=1, hash="a")
        >>> new = ProtocolRef(name="p", version=2, hash="b", earlier=("a",))
        >>> new.same_content(old), old.same_content(new), old.same_content(old)
        (True, True, True)
        """
        return self.hash == other.hash or self.hash in other.earlier or other.hash in self.earlier


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
    faces: Literal["largest", "max", "mean"] | None = Field(
        default=None, description="how several faces of a frame become one; null where a frame has one"
    )
    classes: tuple[str, ...] = Field(default=(), description="of a multi-class task, in the order of the logits")
    published_comparisons: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = Field(default_factory=dict, description="every option that can change a number")
    coverage: tuple[Coverage, ...] = ()
    metrics: tuple[MetricValue, ...]
    caution: str = Field(default="", description="what the protocol says a reader must know beside every number")
    baselines: tuple[Baseline, ...] = Field(default=(), description="what costs nothing: size, format, length alone")
    warnings: tuple[str, ...] = Field(default=(), description="what looks wrong about the scores, in sentences")
    robustness: tuple[Robustness, ...] = Field(
        default=(), description="drops, means over families and worst conditions, where several were evaluated"
    )
    unavailable: dict[str, str] = Field(
        default_factory=dict, description="conditions of a suite that were left out, and why they can not run here"
    )
    scores_sha256: str = Field(default="", description="SHA-256 of the run's scores.parquet; checked when it is read")
    mini: bool = Field(description="True when any of it is invented faces: no ground for ranking detectors")
    crop_mismatch: str = Field(
        default="", description="crops the weights were trained on, where they are not the run's: 'dfb256 256 px'"
    )
