"""The manifest table, one row per *requested* face sample, and ``manifest.json``, which describes how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from dfbench.schema.columns import Column, TableContract
from dfbench.schema.media import MEDIA

MANIFEST_VERSION = 2

Status = Literal["ok", "no_face", "decode_error", "missing_media"]
STATUSES: tuple[Status, ...] = ("ok", "no_face", "decode_error", "missing_media")

_NUMBERS = pa.list_(pa.float32())
CROP_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

MANIFEST = TableContract(
    "manifest",
    (
        Column("sample_id", pa.string(), "media_id#FRAME.FACE"),
        *MEDIA.columns,
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


class ShardInfo(BaseModel):
    """One finished shard file of a manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(description="file name: shard-00000.parquet")
    sha256: str = Field(description="SHA-256 of the file")
    rows: int = Field(ge=0, description="number of rows")


class ManifestInfo(BaseModel):
    """``manifest.json``: the recipe that determines the pixels, the versions, the shards and the counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = Field(default=MANIFEST_VERSION, description="version of this format; others are refused")
    name: str = Field(description="name of the manifest's folder when it was made")
    dataset: str = Field(description="command-line name of the data set")
    complete: bool = Field(description="false while shards are missing")
    recipe: dict[str, Any] = Field(description="everything that determines rows and pixels")
    recipe_hash: str = Field(description="SHA-256 of the canonical JSON of the recipe")
    profile: str = Field(description="crop profile")
    sizes: tuple[int, ...] = Field(description="crop sizes in pixels")
    condition: str = Field(default="clean", description="degradation that was applied to the crops")
    extras: tuple[str, ...] = Field(default=(), description="groups of optional columns: patch, masks, dense")
    geometry: Literal["own", "shared"] = Field(
        description="own: faces detected in every clip; shared: faces of the real clip used for its fakes"
    )
    decoder: str = Field(description="name of the video reader")
    face_detector: str = Field(description="name of the face detector")
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
    licence: str = Field(description="licence note of the data set")
    hash: str = Field(default="", description="SHA-256 over the shard hashes, which identifies the content")
