"""The rows of a manifest that a protocol takes for its training, validation or test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.config import manifest_beside
from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.faces.profile_match import serves
from dfbench.manifest.protocol_rows import missing_sampling, sampled_rows, subset_rows
from dfbench.manifest.table import ManifestTable

if TYPE_CHECKING:
    import pandas as pd

    from dfbench.protocols.protocol import DataPart, Protocol

ROLES = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of one manifest in the manifest's order, including those without a crop.

    Attributes:
        dataset: command-line name of the data set.
        role: the protocol's split: train, val or test.
        profile: crop profile of the manifest: the protocol's, or its approximate form, which ends in ``~``.
        size: crop size of the protocol in pixels.
        manifest: the manifest.
        rows: int64 (n,), index of every row in the manifest, counted over all shards.
    """

    dataset: str
    role: str
    profile: str
    size: int
    manifest: ManifestTable
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of samples, whatever their status."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return one line: data set, split, number of samples and of those with a crop."""
        return f"Samples(dataset={self.dataset!r}, split={self.role!r}, rows={len(self)}, ok={self.has_crop.sum()})"

    @cached_property
    def table(self) -> pa.Table:
        """All columns except crops, masks and patches, read when they are first used (about 1 kB a row)."""
        return self._read(None)

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of :attr:`table` without reading the others."""
        return self.table.select(list(columns)) if "table" in self.__dict__ else self._read(columns)

    def _read(self, columns: Sequence[str] | None) -> pa.Table:
        rows, places = np.unique(self.rows, return_inverse=True)
        read = self.manifest.take(rows, columns)
        return read if np.array_equal(rows, self.rows) else read.take(places.reshape(-1))

    @cached_property
    def _status(self) -> pa.Table:
        return self.select(["label", "status"])

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """int8 (n,): 0 real, 1 fake."""
        return np.asarray(self._status["label"].to_numpy(), np.int8)

    @property
    def has_crop(self) -> npt.NDArray[np.bool_]:
        """Bool (n,): whether the status is ok."""
        return np.asarray(pc.equal(self._status["status"], "ok").to_numpy(), np.bool_)

    def ok(self) -> Samples:
        """Return the samples that have a crop."""
        return self.take(np.flatnonzero(self.has_crop))

    def take(self, indices: npt.NDArray[np.int64]) -> Samples:
        """Return some of the samples, by their indices in :attr:`table`."""
        indices = np.asarray(indices, np.int64)
        rows = self.rows[indices]
        chosen = Samples(self.dataset, self.role, self.profile, self.size, self.manifest, rows)
        for name in {"table", "_status"} & self.__dict__.keys():  # what has been read is not read again
            chosen.__dict__[name] = self.__dict__[name].take(indices)
        return chosen

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a data frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


def select_samples(manifest: ManifestTable, protocol: Protocol, role: str) -> Samples:
    """See :meth:`dfbench.manifest.manifest.Manifest.samples`."""
    if role not in ROLES:
        raise unknown_name("split of a protocol", role, ROLES)
    dataset = manifest.info.dataset
    parts = [p for p in protocol.data if p.dataset == dataset and p.role == role]
    if not parts:
        used = ", ".join(protocol.datasets(role)) or "no data set"
        raise UsageError(
            f"protocol {protocol.name!r} does not use {dataset!r} for {role}; it uses {used}",
            "see: dfbench list protocols",
        )
    _check_serves(manifest, protocol, parts)
    keys = manifest.table(["split", "subset", "manipulation"])
    selected = np.zeros(len(keys), bool)
    for part in parts:
        of_part = _rows_of_part(keys, part, manifest, protocol)
        of_part &= sampled_rows(manifest, part, protocol.sampling_of(part))
        selected |= subset_rows(manifest, part, of_part)
    if not selected.any():
        raise DataError(
            f"the fractional splits of protocol {protocol.name!r} leave no {role} rows of {manifest.path}",
            "change start, stop or seed of share in the protocol, or prepare more media",
        )
    rows = np.flatnonzero(selected)
    return Samples(dataset, role, manifest.info.profile, protocol.crops.size, manifest, rows)


def _check_serves(manifest: ManifestTable, protocol: Protocol, parts: Sequence[DataPart]) -> None:
    info = manifest.info
    problems = []
    for part in parts:
        problems += [p for p in missing_sampling(manifest, part, protocol.sampling_of(part)) if p not in problems]
    if not serves(info.profile, protocol.crops.profile):
        problems.append(f"crop profile {info.profile}, the protocol needs {protocol.crops.profile}")
    if protocol.crops.size not in info.sizes:
        sizes = ", ".join(map(str, info.sizes)) or "none"
        problems.append(f"crop sizes {sizes}, the protocol needs {protocol.crops.size}")
    if problems:
        raise DataError(
            f"the manifest {manifest.path} cannot serve protocol {protocol.name!r}: it has {'; '.join(problems)}",
            _command(manifest, protocol),
        )


def _rows_of_part(
    table: pa.Table, part: DataPart, manifest: ManifestTable, protocol: Protocol
) -> npt.NDArray[np.bool_]:
    in_split = _equal(table, "split", part.split)
    for column, names in (("subset", part.subsets), ("manipulation", part.manipulations)):
        for name in names:
            if not (in_split & _equal(table, column, name)).any():
                raise DataError(
                    f"the manifest {manifest.path} has no rows of {column} {name!r} in split {part.split!r}, "
                    f"which protocol {protocol.name!r} needs for {part.role}",
                    _command(manifest, protocol),
                )
    if not in_split.any():
        raise DataError(
            f"the manifest {manifest.path} has no rows of split {part.split!r}, "
            f"which protocol {protocol.name!r} needs for {part.role}",
            _command(manifest, protocol),
        )
    selected = in_split
    if part.subsets:
        selected = selected & _among(table, "subset", part.subsets)
    if part.manipulations:
        selected = selected & _among(table, "manipulation", ("real", *part.manipulations))
    return selected


def _command(manifest: ManifestTable, protocol: Protocol) -> str:
    dataset = manifest.info.dataset
    out = manifest_beside(manifest.path, protocol.name)
    return f"prepare one that can: dfbench prepare {dataset} --protocol {protocol.typed} --out {out}"


def _equal(table: pa.Table, column: str, value: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(table[column], value).to_numpy(), np.bool_)


def _among(table: pa.Table, column: str, values: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(table[column], value_set=pa.array(values)).to_numpy(), np.bool_)
