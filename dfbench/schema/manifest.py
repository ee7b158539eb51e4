"""The manifest table, one row per *requested* face sample, and ``manifest.json``, which describes how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from dfbench.errors import DfbenchError
from dfbench.schema.columns import Column, TableContract
from dfbench.schema.media import MEDIA
from dfbench.schema.random_media import RandomSubset
from dfbench.schema.sampling import make_rule

MANIFEST_VERSION = 3
READ_VERSIONS = (2, 3)
"""Formats that can be read. Format 2 lacks the optional columns, which are read as null."""

Status = Literal["ok", "no_face", "decode_error", "missing_media"]
STATUSES: tuple[Status, ...] = ("ok", "no_face", "decode_error", "missing_media")

_NUMBERS = pa.list_(pa.float32())
CROP_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

MANIFEST = TableContract(
    "manifest",
    (
        Column("sample_id", pa.string(), "media_id#FRAME.FACE"),
        *MEDIA.columns,
        Column("media_size", pa.int64(), "bytes of the file; of a sequence: of the images read", True, optional=True),
        Column(
            "media_sha256",
            pa.string(),
            "SHA-256 of the file; of a sequence: of lines 'SHA-256 name' of the images read, in order of frames",
            nullable=True,
            optional=True,
        ),
        Column("media_format", pa.string(), "container of a clip or format of an image", True, optional=True),
        Column("codec", pa.string(), "video codec; null for images", True, optional=True),
        Column("fps", pa.float64(), "average frames per second that the container states", True, optional=True),
        Column("pixel_aspect", pa.float32(), "width of a pixel divided by its height", True, optional=True),
        Column(
            "jpeg_quality",
            pa.int16(),
            "quality from 1 to 100 whose standard luminance table is nearest to that of a JPEG file",
            nullable=True,
            optional=True,
        ),
        Column(
            "clip_index",
            pa.int32(),
            "which run of consecutive frames (--sampling clips) the row belongs to, from 0; null for single frames",
            nullable=True,
            optional=True,
        ),
        Column(
            "base_shift",
            pa.float32(),
            "largest displacement between the clip and its base by registration, as a fraction of the longer side; "
            "null where it was not measured",
            nullable=True,
            optional=True,
        ),
        Column("frame_index", pa.int32(), "frame index in the clip from 0; negative if the clip did not open"),
        Column("time_s", pa.float64(), "presentation time of the frame in seconds", nullable=True),
        Column("frame_count", pa.int32(), "number of frames of the clip that decode", nullable=True),
        Column("width", pa.int32(), "width of the source in pixels", nullable=True),
        Column("height", pa.int32(), "height of the source in pixels", nullable=True),
        Column("face_index", pa.int16(), "index of the face in the frame; 0 for the selected face"),
        Column("face_count", pa.int16(), "number of faces detected in the frame", nullable=True),
        Column("status", pa.string(), "ok, no_face, decode_error or missing_media"),
        Column("reason", pa.string(), "why the status is not ok; empty if it is"),
        Column("face_score", pa.float32(), "confidence of the face detector in [0,1]", nullable=True),
        Column("box", _NUMBERS, "x1 y1 x2 y2 of the face in source pixels", nullable=True, length=4),
        Column(
            "landmarks",
            _NUMBERS,
            "x y of eyes (image left, image right), nose and mouth corners in source pixels",
            nullable=True,
            length=10,
        ),
        Column("geometry_from", pa.string(), "media id of the clip in which the face was found", nullable=True),
        Column(
            "matrix",
            _NUMBERS,
            "row-major 2x3 affine matrix from source pixels to pixels of the largest crop",
            nullable=True,
            length=6,
        ),
        Column("scale", pa.float32(), "crop pixels per source pixel at the largest size", nullable=True),
    ),
    key=("sample_id",),
)


def crop_columns(sizes: tuple[int, ...]) -> tuple[Column, ...]:
    """Return the two columns that every crop size adds: the lossless image and the hash of its pixels."""
    columns: list[Column] = []
    for size in sizes:
        columns += [
            Column(f"crop_{size}", CROP_TYPE, f"{size}x{size} RGB crop as a lossless image file", nullable=True),
            Column(
                f"sha256_{size}",
                pa.string(),
                f"SHA-256 of the decoded RGB bytes of crop_{size}",
                nullable=True,
            ),
        ]
    return tuple(columns)


EXTRA_COLUMNS: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "patch": (
            Column("patch", CROP_TYPE, "source around the face at its own resolution, lossless", nullable=True),
            Column(
                "patch_box",
                pa.list_(pa.int32()),
                "x1 y1 x2 y2 of the patch in integer source pixels, x2 and y2 exclusive",
                nullable=True,
                length=4,
            ),
            Column("sha256_patch", pa.string(), "SHA-256 of the decoded RGB bytes of patch", nullable=True),
        ),
        "dense": (
            Column("dense", _NUMBERS, "x y of each dense landmark in source pixels, interleaved", nullable=True),
        ),
    }
)
"""Optional columns by the name of their group in a recipe; they follow those of the crops."""


def mask_columns(sizes: tuple[int, ...]) -> tuple[Column, ...]:
    """Return the two columns that the group ``masks`` adds for every crop size."""
    columns: list[Column] = []
    for size in sizes:
        what = f"mask video of the fake, cropped like crop_{size}: white where manipulated; null for reals"
        columns += [
            Column(f"mask_{size}", CROP_TYPE, what, nullable=True),
            Column(
                f"sha256_mask_{size}", pa.string(), f"SHA-256 of the decoded RGB bytes of mask_{size}", nullable=True
            ),
        ]
    return tuple(columns)


def extra_columns(groups: Iterable[str], sizes: tuple[int, ...]) -> tuple[Column, ...]:
    """Return the optional columns of groups in the order of :data:`EXTRA_COLUMNS`, then masks of each size."""
    wanted = set(groups)
    plain = tuple(column for name, columns in EXTRA_COLUMNS.items() if name in wanted for column in columns)
    return plain + (mask_columns(sizes) if "masks" in wanted else ())


def row_columns(version: int = MANIFEST_VERSION) -> tuple[Column, ...]:
    """Return the columns that every shard of a format has, without crops; format 2 has none of the optional ones."""
    return tuple(column for column in MANIFEST.columns if version == MANIFEST_VERSION or not column.optional)


def row_schema(sizes: tuple[int, ...], extras: Iterable[str] = (), version: int = MANIFEST_VERSION) -> pa.Schema:
    """Return the Arrow schema of a shard, without the metadata of a file.

    Args:
        sizes: crop sizes in pixels.
        extras: groups of optional columns.
        version: of the format.
    """
    columns = (*row_columns(version), *crop_columns(sizes), *extra_columns(extras, sizes))
    return TableContract(MANIFEST.name, columns).schema()


SHARD_PATTERN = r"^shard-[0-9]{5,9}\.parquet$"
"""Names of shard files. No other name in a description becomes a path."""
_MOST_ROWS = 2**31 - 1
_SIZES = (1, 4096)

_Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f/\\]*$", max_length=255)]


class ShardInfo(BaseModel):
    """One finished shard file of a manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=SHARD_PATTERN, description="file name: shard-00000.parquet")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file")
    rows: int = Field(ge=0, le=_MOST_ROWS, description="number of rows")


class ManifestInfo(BaseModel):
    """``manifest.json``: the recipe that determines the pixels, the versions, the shards and the counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = Field(
        default=MANIFEST_VERSION, description="version of this format: 3, or 2, which dfbench upgrade converts"
    )
    name: str = Field(max_length=1024, description="name of the manifest's folder when it was made")
    dataset: _Word = Field(description="command-line name of the data set")
    complete: bool = Field(description="false while shards are missing")
    recipe: dict[str, Any] = Field(description="everything that determines rows and pixels")
    recipe_hash: str = Field(description="SHA-256 of the canonical JSON of the recipe")
    profile: _Word = Field(description="crop profile")
    sizes: tuple[int, ...] = Field(description="crop sizes in pixels")
    condition: str = Field(default="clean", description="degradation that was applied to the crops")
    extras: tuple[str, ...] = Field(default=(), description="groups of optional columns: patch, masks, dense")
    geometry: Literal["own", "shared"] = Field(
        description="own: faces detected in every clip; shared: faces of the real clip used for its fakes"
    )
    decoder: _Word = Field(description="name of the video reader")
    face_detector: _Word = Field(description="name of the face detector")
    face_detector_runtime: str = Field(
        default="", max_length=1024, description="what ran its networks, with version: onnxruntime 1.31.1"
    )
    align: Literal["frame", "clip"] = Field(
        default="frame",
        description="frame: every frame has a matrix of its own; clip: all frames of a run (clip_index) share one",
    )
    versions: dict[str, str] = Field(description="versions of the libraries that made the pixels")
    shards: tuple[ShardInfo, ...] = Field(default=(), description="shard files in the order of their rows")
    counts: dict[str, dict[str, dict[str, int]]] = Field(
        default_factory=dict, description="number of rows: split -> label -> status"
    )
    expected: dict[str, Any] = Field(
        default_factory=dict,
        description="number of media the data set should have: subset -> split -> label -> manipulation",
    )
    missing: dict[str, Any] = Field(
        default_factory=dict, description="number of expected media not found: subset -> split -> label -> manipulation"
    )
    left_out: dict[str, Any] = Field(default_factory=dict, description="files found but excluded, by reason")
    warnings: tuple[str, ...] = Field(default=(), description="warnings of the scan of the data set")
    recrop: dict[str, Any] = Field(
        default_factory=dict,
        description="for a manifest cut from another's patches: that manifest, and rows its patches did not cover",
    )
    shortfall: dict[str, Any] = Field(
        default_factory=dict,
        description="requested frames that clips did not have: subset -> split -> label -> manipulation",
    )
    geometry_groups: dict[str, int] = Field(
        default_factory=dict,
        description="with shared geometry: number of scene groups per compression with shared and own geometry",
    )
    unusual: dict[str, int] = Field(
        default_factory=dict,
        description="number of media whose frames are used as stored: pixels that are not square (pixels_not_square), "
        "frames of several sizes (frame_sizes)",
    )
    upgraded: dict[str, Any] = Field(
        default_factory=dict, description="for a manifest upgraded from an older format: its format_version and hash"
    )
    licence: str = Field(description="licence note of the data set")
    hash: str = Field(default="", description="SHA-256 over the shard hashes, which identifies the content")

    @field_validator("shards")
    @classmethod
    def _check_shards(cls, shards: tuple[ShardInfo, ...]) -> tuple[ShardInfo, ...]:
        files = [shard.file for shard in shards]
        if len(set(files)) < len(files):
            raise ValueError("a shard is listed twice")
        if sum(shard.rows for shard in shards) > _MOST_ROWS:
            raise ValueError(f"the shards have more than {_MOST_ROWS} rows")
        return shards

    @field_validator("sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        low, high = _SIZES
        if len(set(sizes)) < len(sizes) or not all(low <= size <= high for size in sizes):
            raise ValueError(f"sizes must differ and lie between {low} and {high}")
        return sizes

    @field_validator("extras")
    @classmethod
    def _check_extras(cls, extras: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(extras)) < len(extras) or not set(extras) <= {*EXTRA_COLUMNS, "masks"}:
            raise ValueError(f"groups of optional columns are {', '.join(EXTRA_COLUMNS)} and masks, each once")
        return extras

    @field_validator("recipe")
    @classmethod
    def _check_recipe(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        _check_rule(recipe.get("sampling"))
        parts = recipe.get("parts", [])
        if not isinstance(parts, list | tuple) or not all(isinstance(part, dict) for part in parts):
            raise ValueError("parts must be a list of objects")
        for part in parts:
            _check_rule(part.get("sampling"))
            _check_subset(part.get("take"))
            for names in (part.get(key, []) for key in ("splits", "subsets", "manipulations")):
                if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
                    raise ValueError("splits, subsets and manipulations must be lists of names")
        return recipe


def _check_rule(values: object) -> None:
    """Raise ValueError unless values of a recipe are a sampling rule; None is valid."""
    if values is None:
        return
    if not isinstance(values, Mapping):
        raise ValueError("sampling must be an object")
    for name, value in values.items():
        if value is not None and not isinstance(value, str if name in ("rule", "pick") else int):
            raise ValueError(f"sampling.{name} has the wrong type")
    try:
        make_rule(values)
    except DfbenchError as error:
        raise ValueError(f"sampling: {error.message}") from error


def _check_subset(values: object) -> None:
    """Raise ValueError unless values of a recipe are a random subset; None is valid."""
    if values is None:
        return
    if not isinstance(values, Mapping) or not set(values) <= {"real", "fake", "seed"}:
        raise ValueError("take must be an object with real, fake and seed")
    if not all(isinstance(value, int) or (value is None and name != "seed") for name, value in values.items()):
        raise ValueError("the values of take must be whole numbers")
    try:
        RandomSubset(**values)
    except DfbenchError as error:
        raise ValueError(f"take: {error.message}") from error
