"""The samples of one role of a protocol over all its manifests: rows, classes, and images in the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench import storage
from dfbench.config import find_manifest
from dfbench.degrade import Condition
from dfbench.errors import DataError, UsageError
from dfbench.faces.profile_match import serves
from dfbench.manifest.degraded import Degrader, degraded_dataset, make_degrader
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.samples import Samples
from dfbench.progress import progress
from dfbench.protocols.files import load_protocol
from dfbench.protocols.protocol import Protocol
from dfbench.schema.result import ManifestRef
from dfbench.schema.scores import FROM_MANIFEST

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    from dfbench.evaluation.torch_datasets import ConcatenatedImages

CLEAN_CONDITION = Condition()
MINI = "mini"
MOST_HELD = 2 << 30
"""Largest total size of decoded crops that are held in memory, in bytes."""


def as_path(value: str | Path, what: str) -> Path:
    """Return a path, also of a URL; anything but text or a path raises :class:`UsageError`, which calls it ``what``."""
    if not isinstance(value, str | Path):
        raise UsageError(f"{what} is given by its path, not as {type(value).__name__}", "pass a str or a Path")
    return storage.as_path(value)


def as_protocol(protocol: Protocol | str | Path) -> Protocol:
    """Return a protocol from itself, its name or its file.

    Raises:
        UsageError: it is none of these, or there is no protocol of that name.
        DataError: the file is not a valid protocol.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if not isinstance(protocol, str | Path):
        raise UsageError(
            f"a protocol is a name, a file or a Protocol, not {type(protocol).__name__}", "see: dfbench list protocols"
        )
    return load_protocol(protocol)


def find_manifests(
    protocol: Protocol,
    given: Sequence[str | Path | Manifest] | str | Path | Manifest,
    roles: Sequence[str],
    prepare_options: str = "",
) -> dict[str, Manifest | None]:
    """Open the manifests of the data sets that a protocol uses for some roles, in the protocol's order.

    Args:
        protocol: the protocol.
        given: manifests or their folders; for a data set without one, the folder of its name in the workspace is used.
        roles: ``train``, ``val``, ``test``.
        prepare_options: what the command that makes a missing manifest has further, such as ``--patch``.

    Returns:
        Data set -> manifest; None where it must be prepared first, which is possible for ``mini`` alone.

    Raises:
        UsageError: a given manifest belongs to a data set that the protocol does not use, or two to the same one.
        DataError: a manifest is missing or cannot be read.
    """
    items = [given] if isinstance(given, str | Path | Manifest) else list(given)
    by_name: dict[str, Manifest] = {}
    for item in items:
        manifest = item if isinstance(item, Manifest) else open_manifest(as_path(item, "a manifest"))
        name = manifest.info.dataset
        if name not in protocol.datasets():
            raise UsageError(
                f"the manifest {manifest.path} is of {name!r}, which protocol {protocol.name!r} does not use",
                f"it uses: {', '.join(protocol.datasets())}",
            )
        if name in by_name:
            raise UsageError(f"two manifests of {name!r}: {by_name[name].path} and {manifest.path}", "give one of them")
        by_name[name] = manifest
    wanted = [name for name in protocol.datasets() if any(name in protocol.datasets(role) for role in roles)]
    return {
        name: by_name[name] if name in by_name else _manifest_of_workspace(protocol, name, prepare_options)
        for name in wanted
    }


def _manifest_of_workspace(protocol: Protocol, dataset: str, prepare_options: str) -> Manifest | None:
    folder = find_manifest(dataset, protocol.name)
    if (folder / "manifest.json").is_file():
        manifest = open_manifest(folder, allow_incomplete=dataset == MINI)
        return manifest if manifest.info.complete else None
    if dataset == MINI:
        return None
    words = [dataset, "--protocol", protocol.typed, *prepare_options.split(), "--root DIR"]
    raise DataError(
        f"protocol {protocol.name!r} needs a manifest of {dataset!r}; none was given, and {folder} has none",
        f"make it: dfbench prepare {' '.join(words)}; or give --manifest DIR",
    )


def crop_profile(protocol: Protocol, manifests: Sequence[Manifest]) -> str:
    """Return the profile that the crops really have: the protocol's, or its approximate form (``~``).

    Raises:
        DataError: some manifests are exact and some approximate.
    """
    asked = protocol.crops.profile
    by_profile = {m.info.profile: m for m in manifests if serves(m.info.profile, asked)}
    if len(by_profile) > 1:
        each = ", ".join(f"{manifest.path} has {profile}" for profile, manifest in sorted(by_profile.items()))
        raise DataError(
            f"the manifests for protocol {protocol.name!r} have different crop profiles: {each}",
            "prepare all of them with dlib, or all of them without",
        )
    return next(iter(by_profile), asked)


def manifest_ref(manifest: Manifest) -> ManifestRef:
    """Return what results and cards record about a manifest."""
    info = manifest.info
    return ManifestRef(
        name=info.name,
        dataset=info.dataset,
        hash=info.hash,
        profile=info.profile,
        sizes=info.sizes,
        geometry=info.geometry,
        decoder=info.decoder,
        face_detector=info.face_detector,
    )


@dataclass(frozen=True, eq=False)
class RoleData:
    """All rows of one role, including those without a crop.

    Attributes:
        role: train, val or test.
        protocol: the protocol.
        parts: manifest and rows of each data set.
        condition: condition of :attr:`images`.
        roots: data set -> root of its media, for conditions that act before cropping.
        decoded: read stored crops from the store of decoded crops in the cache.
    """

    role: str
    protocol: Protocol
    parts: tuple[tuple[Manifest, Samples], ...]
    condition: Condition = CLEAN_CONDITION
    roots: Mapping[str, str | Path] = field(default_factory=dict)
    decoded: bool = False

    @cached_property
    def table(self) -> pa.Table:
        """Every row, in the order of manifests and shards; without crops. Classes are merged as the protocol says."""
        wanted = [*FROM_MANIFEST, "base_media_id"]
        rows = pa.concat_tables([s.select(wanted) for _, s in self.parts]).combine_chunks()
        merge = self.protocol.merge
        if not merge:
            return rows
        classes = pa.array([merge.get(name, name) for name in rows["class"].to_pylist()], pa.string())
        return rows.set_column(rows.schema.get_field_index("class"), rows.schema.field("class"), classes)

    @cached_property
    def ok(self) -> NDArray[np.int64]:
        """Indices of the rows that have a crop, (N,)."""
        return np.flatnonzero(np.concatenate([s.has_crop for _, s in self.parts]))

    @cached_property
    def ok_table(self) -> pa.Table:
        """The rows that have a crop; item ``i`` of :attr:`images` is row ``i``."""
        return self.table if len(self.ok) == len(self.table) else self.table.take(self.ok)

    @cached_property
    def ok_parts(self) -> tuple[tuple[Manifest, Samples, NDArray[np.int64]], ...]:
        """The rows of :attr:`ok_table` by manifest: the manifest, its samples with a crop, and their row numbers."""
        usable = [samples.ok() for _, samples in self.parts]
        ends = np.cumsum([len(samples) for samples in usable])
        return tuple(
            (manifest, samples, np.arange(end - len(samples), end))
            for (manifest, _), samples, end in zip(self.parts, usable, ends, strict=True)
        )

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return columns of the manifests, rows as in :attr:`ok_table`."""
        return pa.concat_tables([s.select(names) for _, s in self.parts]).take(self.ok)

    @cached_property
    def images(self) -> Dataset[tuple[Any, int]]:
        """A torch dataset of (uint8 3,S,S RGB, row of :attr:`ok_table`) at the protocol's crop size."""
        return self.images_under(self.condition)

    @cached_property
    def stored_images(self) -> ConcatenatedImages:
        """:attr:`images` as stored in the manifests."""
        from dfbench.evaluation.torch_datasets import ConcatenatedImages

        size = self.protocol.crops.size
        return ConcatenatedImages([m.torch_dataset(s, size, decoded=self.decoded) for m, s, _ in self.ok_parts])

    @cached_property
    def held_images(self) -> Dataset[tuple[Any, int]]:
        """:attr:`stored_images`, decoded once and held in memory if they fit into :data:`MOST_HELD`."""
        from dfbench.evaluation.torch_datasets import CropsInMemory

        size = self.protocol.crops.size
        fits = len(self.ok) * 3 * size * size <= MOST_HELD
        return CropsInMemory(self.stored_images, size) if fits else self.stored_images

    def images_under(self, condition: Condition, *, hold: bool = False, quiet: bool = True) -> Dataset[tuple[Any, int]]:
        """Return :attr:`images` under another condition.

        Args:
            condition: if it acts before cropping, the crops are cut again from the media and kept in the cache.
            hold: keep the decoded stored crops in memory, since other conditions follow.
            quiet: no progress bar for crops that are cut again.

        Raises:
            DataError: the media are needed and not available, or a manifest is already degraded.
        """
        from dfbench.evaluation.torch_datasets import ConcatenatedImages, DegradedCrops

        if condition.is_clean or condition.where == "crop":
            self.degraders(condition)
            stored = self.held_images if hold else self.stored_images
            return stored if condition.is_clean else DegradedCrops(stored, condition, self.sample_ids)
        size, total = self.protocol.crops.size, len(self.ok)
        with progress(f"crop again under {condition.name}", total, "img", quiet=quiet) as advance:
            parts = zip(self.ok_parts, self.degraders(condition), strict=True)
            return ConcatenatedImages(
                [degraded_dataset(m, s, size, degrader, advance) for (m, s, _), degrader in parts]
            )

    def degraders(self, condition: Condition) -> list[Degrader]:
        """Return what makes the crops of each manifest under a condition; none for ``clean``.

        Raises:
            DataError: the media are needed and not available, or a manifest is already degraded.
        """
        if condition.is_clean:
            return []
        sizes = (self.protocol.crops.size,)
        return [make_degrader(m, condition, sizes, self.roots.get(m.info.dataset)) for m, _ in self.parts]

    def conditions(self, condition: Condition) -> list[str]:
        """Return the condition of every row of :attr:`table`: for ``clean``, the one its manifest was made under."""
        counts = [(m.info.condition if condition.is_clean else condition.name, len(s)) for m, s in self.parts]
        return [name for name, count in counts for _ in range(count)]

    @cached_property
    def sample_ids(self) -> list[str]:
        """Ids of the rows of :attr:`ok_table`."""
        ids: list[str] = self.ok_table["sample_id"].to_pylist()
        return ids

    def bases(self) -> list[str]:
        """Return for every row of :attr:`ok_table` the real clip that it is or was made from (itself if unknown)."""
        rows = self.ok_table
        pairs = zip(rows["media_id"].to_pylist(), rows["base_media_id"].to_pylist(), strict=True)
        return [base or media for media, base in pairs]

    def targets(self) -> NDArray[np.int64]:
        """Return class numbers of the rows of :attr:`ok_table`: the label, or the index of the class in the protocol.

        Raises:
            DataError: a row has a class that the protocol does not list.
        """
        if self.protocol.task == "binary":
            return np.asarray(self.ok_table["label"].to_numpy(), np.int64)
        number = {name: i for i, name in enumerate(self.protocol.classes)}
        names = self.ok_table["class"].to_pylist()
        strange = sorted({n for n in names if n not in number})
        if strange:
            raise DataError(
                f"the data have the class {strange[0]!r}, which protocol {self.protocol.name!r} does not list",
                f"it lists: {', '.join(self.protocol.classes)}",
            )
        return np.array([number[n] for n in names], np.int64)


def role_data(
    protocol: Protocol,
    manifests: Sequence[Manifest],
    role: str,
    condition: Condition = CLEAN_CONDITION,
    roots: Mapping[str, str | Path] | None = None,
    *,
    decoded: bool = False,
) -> RoleData:
    """Select the samples of a role; see :class:`RoleData`.

    Raises:
        DataError: a manifest does not fit the protocol, or the role has no rows.
    """
    used = [m for m in manifests if m.info.dataset in protocol.datasets(role)]
    parts = tuple((manifest, manifest.samples(protocol, role)) for manifest in used)
    if not sum(len(samples) for _, samples in parts):
        raise DataError(
            f"protocol {protocol.name!r} has no {role} samples in the given manifests", "see: dfbench inspect"
        )
    return RoleData(role, protocol, parts, condition, roots or {}, decoded)
