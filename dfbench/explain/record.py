"""``explanations.json``: all numbers of an explanation, and everything needed to trace or repeat it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from dfbench.schema.result import ManifestRef, ProtocolRef, WeightsRef

EXPLANATION_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TechniqueAccuracy(_Record):
    """One way of naming the technique of fakes."""

    name: str = Field(description="'fam', 'fam untrained' or 'crop': what is compared with its mean per technique")
    accuracy: float = Field(description="share of the fakes whose technique is named correctly")
    low: float | None = Field(description="lower end of the 95 % interval")
    high: float | None = Field(description="upper end of the 95 % interval")
    interval_method: str | None = Field(default=None, description="method of the interval, as in result.json")
    interval_note: str | None = Field(default=None, description="why there is no interval, or its limitation")
    matrix: tuple[tuple[int, ...], ...] = Field(description="rows: true techniques, columns: named ones")
    undecided: int = Field(ge=0, description="fakes without a decision, which count as errors: their map is zero")
    cosines: tuple[float, float] = Field(
        description="smallest and largest cosine between the mean maps of two techniques, before any subtraction"
    )


class TechniqueDifference(_Record):
    """Two ways compared on the same fakes: the first is ``fam``."""

    second: str = Field(description="what ``fam`` is compared with")
    value: float = Field(description="accuracy of fam minus that of the second")
    low: float | None = Field(description="lower end of the 95 % interval of the paired t test")
    high: float | None = Field(description="upper end")
    p: float | None = Field(description="two-sided p-value of no difference")
    note: str | None = Field(default=None, description="why there is no interval")


class Techniques(_Record):
    """The technique of fakes from the cosine of a map with the mean map of every technique."""

    names: tuple[str, ...] = Field(description="the techniques, in the order of the matrices")
    centred: bool = Field(description="whether the grand mean was subtracted")
    mean_images: dict[str, int] = Field(description="technique -> number of images of its mean")
    classified: dict[str, int] = Field(description="technique -> number of fakes whose technique was to be named")
    n_groups: int = Field(description="number of scene groups of these fakes")
    chance: float = Field(description="share of the most frequent technique: what naming always the same one reaches")
    accuracies: tuple[TechniqueAccuracy, ...] = Field(description="by what is compared; 'fam' is first")
    differences: tuple[TechniqueDifference, ...] = Field(description="of fam to the others")


class PixelAuc(_Record):
    """How well a map finds the manipulated pixels of fakes with a mask."""

    name: str = Field(description="'fam', 'cam', 'fam untrained', or 'centre': nearness to the middle of the crop")
    manipulation: str = Field(description="'all', or one technique")
    value: float = Field(description="mean over the images of the AUC within an image")
    low: float | None = Field(description="lower end of the 95 % interval over scene groups")
    high: float | None = Field(description="upper end")
    n: int = Field(ge=0, description="number of images with a mask that has both kinds of pixels")
    n_groups: int = Field(ge=0, description="number of scene groups")
    interval_note: str | None = Field(default=None, description="why there is no interval")


class ExplainedExample(_Record):
    """An image that the figures show."""

    sample_id: str = Field(description="its id")
    manipulation: str = Field(description="'real', or the technique")
    score: float = Field(description="P(fake)")


class ReconstructionRow(_Record):
    """The distance of the reconstructed source and target over some images."""

    manipulation: str = Field(description="'real', 'all' for all fakes, or one technique")
    n: int = Field(ge=0, description="number of these images")
    n_groups: int = Field(ge=0, description="number of their scene groups")
    distance: float = Field(description="mean distance")
    source_weight: float | None = Field(description="mean estimate of how similar image and source are; null: none")
    target_weight: float | None = Field(description="likewise of the target")
    auc: float | None = Field(default=None, description="AUC of the distance, these fakes against all reals")
    low: float | None = Field(default=None, description="lower end of its 95 % interval over scene groups")
    high: float | None = Field(default=None, description="upper end")
    interval_method: str | None = Field(default=None, description="method of the interval, as in result.json")
    interval_note: str | None = Field(default=None, description="why there is no AUC or interval, or its limitation")


class Reconstructions(_Record):
    """How well the distance of the reconstructed source and target tells fakes from reals."""

    method: str = Field(description="training method whose kept weights reconstruct")
    sampler: str = Field(description="how the faces are sampled")
    steps: int = Field(description="number of its steps")
    seed: int = Field(description="of the noise")
    size: int = Field(description="height and width of the faces in pixels")
    distance: str = Field(description="definition of the distance")
    method_weights: str = Field(description="SHA-256 of the file of the kept weights")
    method_record: dict[str, Any] = Field(
        description="what the card's recipe tells, such as the diffusion model's hash"
    )
    rows: tuple[ReconstructionRow, ...] = Field(description="reals, all fakes, and every manipulation of several")
    caution: str = Field(default="", description="warning of the method on how to read the numbers")


class ExplanationRecord(_Record):
    """The content of ``explanations.json``."""

    format_version: int = Field(default=EXPLANATION_VERSION, description="version of this format; others are refused")
    run_id: str = Field(description="hash of model, weights, protocol, manifests and options")
    model: str = Field(description="name of the detector")
    protocol: ProtocolRef = Field(description="the protocol")
    manifests: tuple[ManifestRef, ...] = Field(description="the manifests that were read")
    weights: WeightsRef = Field(description="the weights")
    versions: dict[str, str] = Field(description="versions of the libraries that determine maps")
    device: str = Field(description="device of the model")
    started: str = Field(description="UTC time, ISO 8601")
    seconds: float = Field(description="duration in seconds")
    options: dict[str, Any] = Field(description="every option that can change a number")
    condition: str = Field(description="condition of the crops: 'clean' or a degradation spec")
    profile: str = Field(description="crop profile")
    size: int = Field(description="crop size in pixels")
    map_size: int = Field(description="height and width of the stored and compared maps")
    cam_module: str | None = Field(description="module with the final feature map; null: no class activation maps")
    residual: str | None = Field(default=None, description="whose residual is shown; null: none was requested")
    techniques: Techniques | None = Field(description="naming the technique; null: not possible, see notes")
    pixel_auc: tuple[PixelAuc, ...] = Field(description="maps against masks; empty without masks")
    reconstructions: Reconstructions | None = Field(
        default=None, description="distances of reconstructed faces; null: none were requested"
    )
    examples: tuple[ExplainedExample, ...] = Field(description="images in the figures")
    notes: tuple[str, ...] = Field(description="what is missing or limits the numbers, as sentences")
    caution: str = Field(default="", description="warnings of protocol and detector on how to read the numbers")
    mini: bool = Field(description="true if any data are invented faces")
    maps_sha256: str = Field(default="", description="SHA-256 of maps.npz")
