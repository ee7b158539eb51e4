"""The rows of a manifest that a protocol takes for a role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.config import manifest_beside
from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.faces.profile_match import serves
from dfbench.manifest.drawn import drawn
from dfbench.manifest.protocol_rows import asked_for, unserved

if TYPE_CHECKING:
    import pandas as pd

    from dfbench.manifest.manifest import Manifest
    from dfbench.protocols.protocol import DataPart, Protocol

ROLES = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of one manifest, in the manifest's order, those without a crop among them.

    Attributes:
        dataset: command-line name of the data set.
        role: train, val or test.
        profile: crop profile of the manifest: the protocol's, or its approximate form, which ends in ``~``.
        size: crop size that the protocol takes.
        table: all columns but the crops.
        rows: int64 (n,), position of every row in the manifest, counted over all shards.
    """

    dataset: str
    role: str
    profile: str
    size: int
    table: pa.Table
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """int8 (n,): 0 real, 1 fake."""
        return np.asarray(self.table["label"].to_numpy(), np.int8)

    @property
    def has_crop(self) -> npt.NDArray[np.bool_]:
        """Bool (n,): whether the status is ok."""
        return np.asarray(pc.equal(self.table["status"], "ok").to_numpy(), np.bool_)

    def ok(self) -> Samples:
        """The samples that have a crop."""
        return self.take(np.flatnonzero(self.has_crop))

    def take(self, places: npt.NDArray[np.int64]) -> Samples:
        """Some of the samples, by their places in :attr:`table`."""
        places = np.asarray(places, np.int64)
        return Samples(self.dataset, self.role, self.profile, self.size, self.table.take(places), self.rows[places])

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


def select_samples(manifest: Manifest, protocol: Protocol, role: str) -> Samples:
    """See :meth:`dfbench.manifest.manifest.Manifest.samples`."""
    if role not in ROLES:
        raise unknown_name("role", role, ROLES)
    dataset = manifest.info.dataset
    parts = [p for p in protocol.data if p.dataset == dataset and p.role == role]
    if not parts:
        used = ", ".join(protocol.datasets(role)) or "nothing"
        raise UsageError(
            f"protocol {protocol.name!r} takes nothing from {dataset!r} for {role}: it takes {used}",
            "see: dfbench list protocols",
        )
    _check_serves(manifest, protocol, parts)
    keys = manifest.table(["split", "subset", "manipulation"])
    taken = np.zeros(len(keys), bool)
    for part in parts:
        of_part = _rows_of_part(keys, part, manifest, protocol)
        of_part &= asked_for(manifest, part, protocol.sampling_of(part))
        taken |= drawn(manifest, part, of_part)
    if not taken.any():
        raise DataError(f"the shares of protocol {protocol.name!r} leave no {role} rows of {manifest.path}")
    rows = np.flatnonzero(taken)
    crops = protocol.crops
    return Samples(dataset, role, manifest.info.profile, crops.size, _take_by_shard(manifest, rows), rows)


def _take_by_shard(manifest: Manifest, rows: npt.NDArray[np.int64]) -> pa.Table:
    # A large manifest's table is never held as a whole.
    pieces = []
    start = 0
    for number, shard in enumerate(manifest.info.shards):
        here = rows[(rows >= start) & (rows < start + shard.rows)] - start
        if len(here):
            pieces.append(manifest.shard_table(number).take(here))
        start += shard.rows
    return pa.concat_tables(pieces).combine_chunks()


def _check_serves(manifest: Manifest, protocol: Protocol, parts: Sequence[DataPart]) -> None:
    info = manifest.info
    problems = []
    for part in parts:
        problems += [p for p in unserved(manifest, part, protocol.sampling_of(part)) if p not in problems]
    if not serves(info.profile, protocol.crops.profile):
        problems.append(f"crop profile {info.profile}, the protocol needs {protocol.crops.profile}")
    if protocol.crops.size not in info.sizes:
        sizes = ", ".join(map(str, info.sizes)) or "none"
        problems.append(f"crop sizes {sizes}, the protocol needs {protocol.crops.size}")
    if problems:
        raise DataError(
            f"the manifest {manifest.path} can not serve protocol {protocol.name!r}: it has {'; '.join(problems)}",
            _command(manifest, protocol),
        )


def _rows_of_part(table: pa.Table, part: DataPart, manifest: Manifest, protocol: Protocol) -> npt.NDArray[np.bool_]:
    in_split = _equal(table, "split", part.split)
    for column, names in (("subset", part.subsets), ("manipulation", part.manipulations)):
        for name in names:
            if not (in_split & _equal(table, column, name)).any():
                raise DataError(
                    f"the manifest {manifest.path} has nothing of {column} {name!r} in split {part.split!r}, "
                    f"which protocol {protocol.name!r} takes for {part.role}",
                    _command(manifest, protocol),
                )
    if not in_split.any():
        raise DataError(
            f"the manifest {manifest.path} has nothing of split {part.split!r}, "
            f"which protocol {protocol.name!r} takes for {part.role}",
            _command(manifest, protocol),
        )
    taken = in_split
    if part.subsets:
        taken = taken & _among(table, "subset", part.subsets)
    if part.manipulations:
        taken = taken & _among(table, "manipulation", ("real", *part.manipulations))
    return taken


def _command(manifest: Manifest, protocol: Protocol) -> str:
    dataset = manifest.info.dataset
    out = manifest_beside(manifest.path, protocol.name)
    return f"make one that does: dfbench prepare {dataset} --protocol {protocol.typed} --out {out}"


def _equal(table: pa.Table, column: str, value: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(table[column], value).to_numpy(), np.bool_)


def _among(table: pa.Table, column: str, values: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(table[column], value_set=pa.array(values)).to_numpy(), np.bool_)
