"""``result.json``: one run, its metrics, and everything needed to trace or repeat it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RESULT_VERSION = 1

MAJORITY = "majority class"
"""Name of the baseline that always predicts the most frequent class."""


class _ResultModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricValue(_ResultModel):
    """One number with its rule, its interval and the data it was computed on."""

    name: str = Field(description="metric, level and aggregation: auc.video.mean")
    dataset: str = Field(description="data set, as in scores.parquet")
    subset: str = Field(description="subset, as in scores.parquet")
    manipulation: str = Field(description="'all', or one method against the reals")
    condition: str = Field(description="test condition: 'clean' or a degradation spec")
    value: float | None = Field(description="the value as a fraction; null if undefined")
    low: float | None = Field(default=None, description="lower end of the 95 % interval")
    high: float | None = Field(default=None, description="upper end of the 95 % interval")
    n: int = Field(ge=0, description="number of frames or videos, by the metric's level")
    n_media: int = Field(ge=0, description="number of clips and images")
    requested_media: int | None = Field(
        default=None, ge=0, description="number of requested clips and images; null in results of version 0.1.0"
    )
    n_positive: int = Field(ge=0, description="number of fakes among n")
    coverage: float = Field(
        ge=0, le=1, description="scored / requested samples: frames at frame level, clips and images at video level"
    )
    coverage_real: float | None = Field(default=None, description="coverage of the reals; null if there are none")
    coverage_fake: float | None = Field(default=None, description="coverage of the fakes; null if there are none")
    undefined: str | None = Field(default=None, description="why value is null")
    interval_note: str | None = Field(default=None, description="why there is no interval, or its limitation")
    interval_method: str | None = Field(
        default=None, description="method of the interval: clustered-delong, bootstrap-t or one-sided"
    )
    profile: str = Field(description="crop profile")
    size: int = Field(description="crop size in pixels")
    threshold: float | None = Field(default=None, description="decision threshold (acc) or operating point (eer)")
    ties: int | None = Field(default=None, description="scores exactly at the threshold")
    seed: int | None = Field(default=None, description="training seed")
    train_condition: str = Field(default="clean", description="condition of the training crops")
    training_method: str = Field(
        default="supervised",
        description="training method of the weights with its changed options; 'unknown' without a weight card",
    )
    cluster: str = Field(
        default="scene_group",
        description="unit that intervals treat as independent: scene_group; people: two-way, target and source person",
    )
    n_clusters: int = Field(
        default=0, ge=0, description="number of these units; of target or of source people, whichever is smaller"
    )


class Baseline(_ResultModel):
    """A trivial baseline: what one metadata field reaches alone, without any pixels."""

    name: str = Field(description="its name in tables: 'size alone'")
    metrics: tuple[MetricValue, ...] = Field(
        description="values for the data sets, subsets and conditions where it is the best baseline"
    )


class ConditionDrop(_ResultModel):
    """One condition against the baseline on the same samples. The interval of its value is in the metrics."""

    condition: str = Field(description="the condition")
    family: str = Field(description="name of the degradation, or of the combination")
    severity: int | None = Field(default=None, description="1 to 5 if the condition is a standard one")
    value: float | None = Field(description="the metric under the condition; null if undefined")
    drop: float | None = Field(
        default=None, description="baseline - value; negative if the condition improves the metric"
    )
    low: float | None = Field(default=None, description="lower end of the drop's paired 95 % interval")
    high: float | None = Field(default=None, description="upper end of that interval")


class FamilyMean(_ResultModel):
    """The mean of a metric over the conditions of one family."""

    family: str = Field(description="name of the degradation or combination")
    value: float = Field(description="the mean")
    conditions: int = Field(ge=1, description="number of conditions")


class Robustness(_ResultModel):
    """The effect of degradations on one metric, for one data set and subset, over all manipulations."""

    name: str = Field(description="metric, level and aggregation")
    dataset: str = Field(description="data set")
    subset: str = Field(description="subset")
    baseline: str = Field(default="clean", description="condition that drops refer to")
    value: float | None = Field(description="the metric under the baseline")
    cells: tuple[ConditionDrop, ...] = Field(description="the conditions")
    families: tuple[FamilyMean, ...] = Field(
        description="means by family; families with an undefined value are excluded"
    )
    mean: float | None = Field(default=None, description="mean over families with equal weights")
    mean_low: float | None = Field(default=None, description="lower end of its 95 % interval")
    mean_high: float | None = Field(default=None, description="upper end of its 95 % interval")
    drop: float | None = Field(default=None, description="baseline - mean")
    drop_low: float | None = Field(default=None, description="lower end of its paired 95 % interval")
    drop_high: float | None = Field(default=None, description="upper end of its paired 95 % interval")
    worst: str | None = Field(default=None, description="condition with the smallest value; the first of equal ones")
    interval_method: str | None = Field(
        default=None, description="how the variance of the mean and of drops was computed, as in the metrics"
    )
    cluster: str = Field(default="scene_group", description="what is taken as independent, as in the metrics")
    n_clusters: int = Field(default=0, description="number of these units")
    interval_note: str | None = Field(default=None, description="why intervals are missing, or what limits them")


class ProtocolRef(_ResultModel):
    """The protocol of a run."""

    name: str = Field(description="name of the protocol")
    version: int = Field(description="version of the protocol")
    hash: str = Field(description="SHA-256 of its normalised content")
    earlier: tuple[str, ...] = Field(
        default=(), description="hashes of the same content by earlier versions of dfbench"
    )

    def same_content(self, other: ProtocolRef) -> bool:
        """Whether both refer to protocols of the same content, even if written by different versions of dfbench.

        >>> old = ProtocolRef(name="p", version=1, hash="a")
        >>> new = ProtocolRef(name="p", version=2, hash="b", earlier=("a",))
        >>> new.same_content(old), old.same_content(new), old.same_content(old)
        (True, True, True)
        """
        return self.hash == other.hash or self.hash in other.earlier or other.hash in self.earlier


class ManifestRef(_ResultModel):
    """A manifest that a run read."""

    name: str = Field(description="name of its folder")
    dataset: str = Field(description="command-line name of the data set")
    hash: str = Field(description="hash of its content")
    profile: str = Field(description="crop profile")
    sizes: tuple[int, ...] = Field(description="crop sizes in pixels")
    geometry: str = Field(description="own or shared")
    decoder: str = Field(description="name of the video reader")
    face_detector: str = Field(description="name of the face detector")


class WeightsRef(_ResultModel):
    """The weights of a run."""

    sha256: str = Field(description="SHA-256 of the weights file")
    card: dict[str, Any] = Field(description="content of their card")


class Coverage(_ResultModel):
    """Requested and scored samples of one label and manipulation."""

    dataset: str = Field(description="data set")
    subset: str = Field(description="subset")
    manipulation: str = Field(description="forging method; 'real' for reals")
    label: int = Field(description="0 real, 1 fake")
    condition: str = Field(description="test condition")
    requested: int = Field(description="number of requested samples")
    scored: int = Field(description="number of samples with a score")
    by_status: dict[str, int] = Field(description="number of samples by status")


class RunResult(_ResultModel):
    """The content of ``result.json``."""

    format_version: int = Field(default=RESULT_VERSION, description="version of this format; others are refused")
    run_id: str = Field(description="hash of model, weights, protocol, manifests and options")
    model: str = Field(description="name of the detector")
    protocol: ProtocolRef | None = Field(description="the protocol; null for imported scores without one")
    manifests: tuple[ManifestRef, ...] = Field(description="the manifests that were read")
    weights: WeightsRef | None = Field(description="the weights; null if there are none")
    versions: dict[str, str] = Field(description="versions of the libraries that determine scores")
    device: str = Field(description="device of the model")
    started: str = Field(description="UTC time, ISO 8601")
    seconds: float = Field(description="duration in seconds")
    selection: dict[str, Any] = Field(description="split and metric that the weights were selected on")
    failure_policy: Literal["exclude", "as-real", "as-fake", "as-chance"] = Field(
        description="how samples without a score count"
    )
    faces: Literal["largest", "max", "mean"] | None = Field(
        default=None, description="how the faces of a frame are aggregated; null if every frame has one row"
    )
    classes: tuple[str, ...] = Field(default=(), description="classes of a multi-class task in the order of the logits")
    real_classes: tuple[str, ...] = Field(default=(), description="those of classes that are of real faces")
    published_comparisons: tuple[dict[str, Any], ...] = Field(
        default=(), description="published numbers that the protocol compares with"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="every option that can change a number")
    coverage: tuple[Coverage, ...] = Field(default=(), description="requested and scored samples")
    metrics: tuple[MetricValue, ...] = Field(description="all metrics")
    caution: str = Field(default="", description="warnings of protocol and detector on how to read the numbers")
    baselines: tuple[Baseline, ...] = Field(default=(), description="trivial baselines: size, format, length alone")
    warnings: tuple[str, ...] = Field(default=(), description="sanity checks of the scores that failed, as sentences")
    robustness: tuple[Robustness, ...] = Field(
        default=(), description="drops, means over families and worst conditions, if several were evaluated"
    )
    unavailable: dict[str, str] = Field(
        default_factory=dict, description="conditions of a suite that were skipped, and why they are not available"
    )
    scores_sha256: str = Field(default="", description="SHA-256 of the run's scores.parquet; checked when it is read")
    mini: bool = Field(description="true if any data are invented faces, which do not rank detectors")
    crop_mismatch: str = Field(
        default="", description="crops that the weights were trained on, if they differ from the run's: 'dfb256 256 px'"
    )
