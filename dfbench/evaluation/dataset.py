"""A protocol's samples of one role over all its manifests: rows, classes, and images in the order of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.config import find_manifest
from dfbench.degrade import Condition
from dfbench.errors import DataError
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

    from dfbench.evaluation.torch_datasets import Images

UNTOUCHED = Condition()
MOST_HELD = 2 << 30
"""Bytes of decoded crops that are held in memory."""


def as_protocol(protocol: Protocol | str | Path) -> Protocol:
    """A protocol from itself, its name or its file."""
    return protocol if isinstance(protocol, Protocol) else load_protocol(protocol)


def open_manifests(protocol: Protocol, given: Sequence[str | Path], roles: Sequence[str]) -> tuple[Manifest, ...]:
    """The manifests of the data sets that a protocol uses for some roles, in the protocol's order.

    Args:
        protocol: the protocol.
        given: manifest folders; for a data set without one, the folder of its name in the workspace is taken.
        roles: ``train``, ``val``, ``test``.

    Raises:
        DataError: a manifest is missing, or two of the same data set are given.
    """
    opened = [open_manifest(Path(path)) for path in given]
    by_name: dict[str, Manifest] = {}
    for manifest in opened:
        name = manifest.info.dataset
        if name in by_name:
            raise DataError(f"two manifests of {name!r}: {by_name[name].path} and {manifest.path}", "give one of them")
        by_name[name] = manifest
    wanted = [name for name in protocol.datasets() if any(name in protocol.datasets(role) for role in roles)]
    for name in wanted:
        if name not in by_name:
            place = find_manifest(name, protocol.name)
            if not (place / "manifest.json").is_file():
                raise DataError(
                    f"protocol {protocol.name!r} needs a manifest of {name!r}, and none was given nor is in {place}",
                    f"make it: dfbench prepare {name} --protocol {protocol.typed}",
                )
            by_name[name] = open_manifest(place)
    return tuple(by_name[name] for name in wanted)


def crop_profile(protocol: Protocol, manifests: Sequence[Manifest]) -> str:
    """The profile that the crops really have: the protocol's, or its approximate form (``~``).

    Raises:
        DataError: some manifests are exact and some approximate.
    """
    asked = protocol.crops.profile
    by_profile = {m.info.profile: m for m in manifests if serves(m.info.profile, asked)}
    if len(by_profile) > 1:
        each = ", ".join(f"{manifest.path} has {profile}" for profile, manifest in sorted(by_profile.items()))
        raise DataError(
            f"the manifests for protocol {protocol.name!r} were cropped in two ways: {each}",
            "prepare them alike: all with dlib, or all without",
        )
    return next(iter(by_profile), asked)


def manifest_ref(manifest: Manifest) -> ManifestRef:
    """What results and cards say about a manifest."""
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
    """All rows of one role, those without a crop among them.

    Attributes:
        role: train, val or test.
        protocol: whose samples these are.
        parts: manifest and rows of each data set.
        condition: what :attr:`images` are under.
        roots: data set -> root of its media, for conditions that act before cropping.
    """

    role: str
    protocol: Protocol
    parts: tuple[tuple[Manifest, Samples], ...]
    condition: Condition = UNTOUCHED
    roots: Mapping[str, str | Path] = field(default_factory=dict)

    @cached_property
    def table(self) -> pa.Table:
        """Every row, in the order of manifests and shards; without crops. Classes are merged as the protocol says."""
        wanted = [*FROM_MANIFEST, "base_media_id"]
        rows = pa.concat_tables([s.table.select(wanted) for _, s in self.parts]).combine_chunks()
        merge = self.protocol.merge
        if not merge:
            return rows
        classes = pa.array([merge.get(name, name) for name in rows["class"].to_pylist()], pa.string())
        return rows.set_column(rows.schema.get_field_index("class"), rows.schema.field("class"), classes)

    @cached_property
    def ok(self) -> NDArray[np.int64]:
        """Places of the rows that have a crop."""
        return np.flatnonzero(np.concatenate([s.has_crop for _, s in self.parts]))

    @cached_property
    def ok_table(self) -> pa.Table:
        """The rows that have a crop; item ``i`` of :attr:`images` is row ``i`` of it."""
        return self.table.take(self.ok)

    @cached_property
    def images(self) -> Dataset[tuple[Any, int]]:
        """A torch dataset of (uint8 3,S,S RGB, row of :attr:`ok_table`) at the protocol's crop size."""
        return self.images_under(self.condition)

    @cached_property
    def stored_images(self) -> Images:
        """:attr:`images` as the manifests hold them."""
        from dfbench.evaluation.torch_datasets import Images

        return Images([m.torch_dataset(s.ok(), self.protocol.crops.size) for m, s in self.parts])

    @cached_property
    def held_images(self) -> Dataset[tuple[Any, int]]:
        """:attr:`stored_images`, decoded once and held in memory where they are not too many."""
        from dfbench.evaluation.torch_datasets import Held

        size = self.protocol.crops.size
        fits = len(self.ok) * 3 * size * size <= MOST_HELD
        return Held(self.stored_images, size) if fits else self.stored_images

    def images_under(self, condition: Condition, *, hold: bool = False, quiet: bool = True) -> Dataset[tuple[Any, int]]:
        """:attr:`images` under another condition.

        Args:
            condition: where it acts before cropping, the crops are cut again from the media and kept in the cache.
            hold: decode the stored crops once and for all, since other conditions follow.
            quiet: no progress bar for crops that are cut again.

        Raises:
            DataError: the media are needed and not at hand, or a manifest is degraded already.
        """
        from dfbench.evaluation.torch_datasets import Degraded, Images

        if condition.is_clean or condition.where == "crop":
            self.degraders(condition)
            stored = self.held_images if hold else self.stored_images
            return stored if condition.is_clean else Degraded(stored, condition, self.sample_ids)
        size, total = self.protocol.crops.size, len(self.ok)
        with progress(f"cut again under {condition.name}", total, "img", quiet=quiet) as advance:
            parts = zip(self.parts, self.degraders(condition), strict=True)
            return Images([degraded_dataset(m, s.ok(), size, degrader, advance) for (m, s), degrader in parts])

    def degraders(self, condition: Condition) -> list[Degrader]:
        """What makes the crops of each manifest under a condition; none for ``clean``.

        Raises:
            DataError: the media are needed and not at hand, or a manifest is degraded already.
        """
        if condition.is_clean:
            return []
        sizes = (self.protocol.crops.size,)
        return [make_degrader(m, condition, sizes, self.roots.get(m.info.dataset)) for m, _ in self.parts]

    def conditions(self, condition: Condition) -> list[str]:
        """For every row of :attr:`table` the name of its condition: that of its manifest where nothing is added."""
        counts = [(m.info.condition if condition.is_clean else condition.name, len(s)) for m, s in self.parts]
        return [name for name, count in counts for _ in range(count)]

    @cached_property
    def sample_ids(self) -> list[str]:
        """Ids of the rows of :attr:`ok_table`."""
        ids: list[str] = self.ok_table["sample_id"].to_pylist()
        return ids

    def bases(self) -> list[str]:
        """Of every row of :attr:`ok_table`, the real clip that it is, or was made from (itself where unknown)."""
        rows = self.ok_table
        pairs = zip(rows["media_id"].to_pylist(), rows["base_media_id"].to_pylist(), strict=True)
        return [base or media for media, base in pairs]

    def targets(self) -> NDArray[np.int64]:
        """Class numbers of the rows of :attr:`ok_table`: the label, or the place of the class in the protocol.

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

    def real_classes(self) -> tuple[int, ...]:
        """Numbers of the classes that stand for real faces."""
        if self.protocol.task == "binary":
            return (0,)
        real = set(self.table.filter(pa.compute.equal(self.table["label"], 0))["class"].to_pylist())
        return tuple(i for i, name in enumerate(self.protocol.classes) if name in real)


def role_data(
    protocol: Protocol,
    manifests: Sequence[Manifest],
    role: str,
    condition: Condition = UNTOUCHED,
    roots: Mapping[str, str | Path] | None = None,
) -> RoleData:
    """The samples of a role; see :class:`RoleData`.

    Raises:
        DataError: a manifest can not serve the protocol, or the role has no rows.
    """
    used = [m for m in manifests if m.info.dataset in protocol.datasets(role)]
    parts = tuple((manifest, manifest.samples(protocol, role)) for manifest in used)
    if not sum(len(samples) for _, samples in parts):
        raise DataError(
            f"protocol {protocol.name!r} has no {role} samples in the given manifests", "see: dfbench inspect"
        )
    return RoleData(role, protocol, parts, condition, roots or {})
