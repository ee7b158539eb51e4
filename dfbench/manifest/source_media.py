"""Read the media that a manifest was made from again."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfbench.config import configured_roots, find_root, workspace
from dfbench.datasets.archives import ArchiveImages, list_images, load_images
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.manifest.row_checks import is_media_path
from dfbench.manifest.table import ManifestTable
from dfbench.media.frames import Chooser, Reading
from dfbench.media.reader import read
from dfbench.media.sequence import FolderImages, read_sequence
from dfbench.schema.media import sequence_order, split_archive_path
from dfbench.storage import StoredPath
from dfbench.storage.tree import copied
from dfbench.text import one_line


def find_media_root(manifest: ManifestTable, root: str | Path | None = None) -> Path:
    """Return the folder that the media paths of a manifest are relative to.

    Args:
        manifest: the manifest.
        root: the data set's folder or its parent; default: the configuration, and for ``mini`` where it is generated.

    Raises:
        DataError: no root is known, or it does not hold this manifest's media.
    """
    name = manifest.info.dataset
    generated = workspace() / "data" / name
    if root is None and name == "mini" and name not in configured_roots() and generated.is_dir():
        root = generated
    folder = find_root(name, root)
    shards = (manifest.shard_table(n, ["media_path"]) for n in range(len(manifest.info.shards)))
    first = next((str(table["media_path"][0]) for table in shards if len(table)), None)
    if first is None:
        raise DataError(f"the manifest {manifest.path} has no rows", "prepare the data set again")
    if not _exists(folder, first):
        if isinstance(folder, StoredPath):
            raise DataError(
                f"{folder} has no {first}, which the manifest {manifest.path} was made from",
                "give its exact URL: --root",
            )
        folder = get_adapter(name).scan(folder).root  # a parent was given, or unpacking doubled a level
    if not _exists(folder, first):
        raise DataError(
            f"{folder} does not hold the media of the manifest {manifest.path}: it has no {first}",
            "give the root that it was prepared from: --root DIR",
        )
    return folder


def _exists(root: Path, media_path: str) -> bool:
    inside = split_archive_path(media_path)
    return _on_disk(root, inside[0] if inside else media_path).exists()


def _on_disk(root: Path, path: str) -> Path:
    """Return where a path is, in the Unicode normal form that the file system of this copy has given its names."""
    forms = (path,) if path.isascii() else (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
    return next((found for form in forms if (found := root / form).exists()), root / path)


def read_medium(root: Path, media_path: str, choose: Chooser, decoder: str) -> Reading[Any]:
    """Read chosen frames of a clip, an image, a folder of images, or a folder of images inside an archive.

    Args:
        root: folder that media paths are relative to, or its URL.
        media_path: as in the manifest.
        choose: number of frames -> frame numbers to read; see :func:`dfbench.media.reader.read`.
        decoder: name of the video reader.

    Raises:
        DataError: it does not exist, the path leads out of the root, or nothing of it decodes.
    """
    if not is_media_path(media_path):
        raise DataError(f"the media path {one_line(media_path)!r} leads out of {root}", "see: dfbench verify")
    inside = split_archive_path(media_path)
    if isinstance(root, StoredPath):
        with copied(root, media_path if inside is None else inside[0]) as folder:
            return read_medium(folder, media_path, choose, decoder)
    if inside is not None:
        return read_sequence(_archived(_on_disk(root, inside[0]), inside[1], choose), choose, media_path)
    path = _on_disk(root, media_path)
    return read_sequence(FolderImages(path), choose, media_path) if path.is_dir() else read(path, choose, decoder)


def _archived(archive: Path, folder: str, choose: Chooser) -> ArchiveImages:
    names: Sequence[str] = sorted(list_images(archive, [folder]).get(folder, ()), key=sequence_order)
    wanted = [names[i] for i in sorted({0, *choose(len(names))}) if i < len(names)]
    return ArchiveImages(names, load_images(archive, {folder: wanted})[folder])
