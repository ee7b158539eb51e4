"""Read and write ``manifest.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dfbench.errors import DataError
from dfbench.io import data_sha256, translate_os_errors, write_json
from dfbench.schema.manifest import READ_VERSIONS, ManifestInfo, ShardInfo
from dfbench.text import one_line
from dfbench.untrusted import leads_outside, read_json

MANIFEST_FILE = "manifest.json"
PART_FILES = "part-*-of-*.json"  # in a folder that holds array-job parts of a manifest


def read_info(folder: Path) -> ManifestInfo:
    """Read a manifest's description.

    Raises:
        DataError: the folder is not a manifest, its description is damaged, or it has another format version.
    """
    file = folder / MANIFEST_FILE
    hint = "give the folder that dfbench prepare wrote"
    with translate_os_errors(folder, "cannot be read"):  # of a store; a disk answers no
        is_folder = folder.is_dir()
    if not is_folder:
        raise DataError(f"there is no manifest folder {folder}", f"prepare one: dfbench prepare DATASET --out {folder}")
    if not file.is_file():
        parts = sorted(folder.glob(PART_FILES))
        if parts:
            raise DataError(
                f"{folder} holds array-job parts of a manifest ({', '.join(p.stem for p in parts[:3])}), "
                "not a complete one",
                f"when all parts are finished: dfbench merge {folder} ...",
            )
        raise DataError(f"{folder} is not a manifest: it has no {MANIFEST_FILE}", hint)
    check_inside(file)
    raw = read_json(file, hint)
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if version not in READ_VERSIONS:
        raise DataError(
            f"{file} has format version {one_line(version)[:20]}, this dfbench reads versions "
            f"{' and '.join(map(str, READ_VERSIONS))}",
            "prepare the data set again, or use the version of dfbench that made it",
        )
    try:
        return ManifestInfo.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(one_line(name)[:80] for name in first["loc"])
        raise DataError(f"{file} is damaged: {where}: {first['msg']}", hint) from error


def check_inside(file: Path) -> None:
    """Raise if a file of a manifest is a link that leads out of its folder.

    Raises:
        DataError: it is; a manifest of a stranger could otherwise make any file of this machine its content.
    """
    if leads_outside(file):
        raise DataError(
            f"{file} is a link to a file outside its folder", "copy the file that it points to into the folder"
        )


def write_info(folder: Path, info: ManifestInfo) -> None:
    """Write a manifest's description; the old one stays until the new one is complete.

    Raises:
        SetupError: the file cannot be written.
    """
    write_description(folder / MANIFEST_FILE, info)


def write_description(file: Path, content: BaseModel) -> None:
    """Write a JSON file beside the shards; the old one stays until the new one is complete.

    Raises:
        SetupError: the file cannot be written.
    """
    write_json(file, content.model_dump(mode="json"), indent=1)


def content_hash(shards: Iterable[ShardInfo]) -> str:
    """Return the SHA-256 over the shard hashes in order, which identifies a manifest's content."""
    text = "".join(f"{s.file} {s.sha256} {s.rows}\n" for s in shards)
    return data_sha256(text)
