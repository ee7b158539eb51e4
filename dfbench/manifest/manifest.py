"""Open a manifest and look into it without holding its crops in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.manifest.info import read_info
from dfbench.manifest.samples import Samples, select_samples
from dfbench.manifest.shards import open_shard, read_shard
from dfbench.schema.manifest import ManifestInfo

if TYPE_CHECKING:
    import pandas as pd

    from dfbench.manifest.torch_dataset import CropDataset
    from dfbench.manifest.verify import Problem
    from dfbench.protocols.protocol import Protocol


@dataclass(frozen=True)
class Manifest:
    """A finished manifest.

    Attributes:
        path: its folder.
        info: the content of ``manifest.json``.
    """

    path: Path
    info: ManifestInfo

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns, those of the crops too."""
        return tuple(open_shard(self.path / self.info.shards[0].file).schema_arrow.names) if self.info.shards else ()

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows as an Arrow table, in the order of the shards.

        Args:
            columns: which ones; default: all but the crops.

        Raises:
            UsageError: there is no such column.
            DataError: a shard can not be read.
        """
        parts = [self.shard_table(number, columns) for number in range(len(self.info.shards))]
        if not parts:
            raise DataError(f"the manifest {self.path} has no shards", "it is not finished; run dfbench prepare again")
        return pa.concat_tables(parts)

    def shard_table(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one shard; see :meth:`table`."""
        pictures = ("crop_", "mask_", "patch")
        plain = [c for c in self.columns if not c.startswith(pictures) or c == "patch_box"]
        wanted = plain if columns is None else list(columns)
        for name in wanted:
            if name not in self.columns:
                raise unknown_name("column", name, self.columns)
        return read_shard(self.path / self.info.shards[number].file, wanted)

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows as a data frame; all columns but the crops by default. See :meth:`table`."""
        frame: pd.DataFrame = self.table(columns).to_pandas()
        return frame

    def samples(self, protocol: Protocol | str | Path, role: str) -> Samples:
        """The rows that a protocol's data parts of this data set take for a role, whatever their status.

        Args:
            protocol: a protocol, its name, or its file.
            role: ``train``, ``val`` or ``test``.

        Raises:
            UsageError: the role is none of these, or the protocol does not use this data set.
            DataError: the manifest was prepared with other frames, crops or media than the protocol needs.
        """
        from dfbench.protocols.files import load_protocol

        loaded = load_protocol(protocol) if isinstance(protocol, str | Path) else protocol
        return select_samples(self, loaded, role)

    def crops(self, which: Samples | Iterable[str], size: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Decoded crops, one at a time, holding the files of one row group.

        Args:
            which: samples (those with status ok; see :meth:`Samples.ok`), or sample ids. In the manifest's order
                every row group is read once; in another order it may be read again.
            size: crop size in pixels.

        Yields:
            uint8 (size, size, 3), RGB, in the order asked for.

        Raises:
            UsageError: the manifest has no crops of that size.
            DataError: an id is unknown, or has no crop because its status is not ok.
        """
        from dfbench.manifest.crops import iterate_crops

        self.check_size(size)
        return iterate_crops(self, which, size)

    def torch_dataset(self, samples: Samples, size: int, memory_limit: int = 2 << 30) -> CropDataset:
        """A map-style dataset for ``torch.utils.data.DataLoader`` over the samples with status ok.

        Args:
            samples: from :meth:`samples`.
            size: crop size in pixels.
            memory_limit: bytes of encoded crops to hold in memory; beyond, they are memory-mapped from the cache.

        Returns:
            Items are (uint8 tensor 3, size, size in RGB; row in ``samples.table``).
        """
        from dfbench.manifest.torch_dataset import make_dataset

        self.check_size(size)
        return make_dataset(self, samples, size, memory_limit)

    def verify(self) -> list[Problem]:
        """Check hashes, counts, identifiers and every crop; an empty list says all is well."""
        from dfbench.manifest.verify import verify

        return verify(self.path)

    def check_size(self, size: int) -> None:
        """Raise :class:`UsageError` unless the manifest has crops of this size."""
        if size not in self.info.sizes:
            have = ", ".join(map(str, self.info.sizes)) or "none"
            raise UsageError(
                f"the manifest {self.path} has no crops of size {size}; it has {have}",
                f"prepare again with --size {size} and another --out",
            )


def open_manifest(path: str | Path, allow_incomplete: bool = False) -> Manifest:
    """Open a finished manifest.

    Args:
        path: its folder, or the ``manifest.json`` in it.
        allow_incomplete: open an unfinished one too; its ``info.complete`` is False and it has no shards.

    Raises:
        DataError: not a manifest, another format version, not finished, or a shard file is gone.
    """
    folder = Path(path).expanduser()
    if folder.name == "manifest.json":
        folder = folder.parent
    info = read_info(folder)
    if not info.complete and not allow_incomplete:
        raise DataError(
            f"the manifest {folder} is not finished",
            f"run the same dfbench prepare {info.dataset} ... --out {folder} again; it goes on from there",
        )
    gone = [s.file for s in info.shards if not (folder / s.file).is_file()]
    if gone:
        raise DataError(
            f"the manifest {folder} lacks {len(gone)} of its {len(info.shards)} shard files: {', '.join(gone[:3])}",
            "run the same dfbench prepare command again: it makes what is missing",
        )
    return Manifest(folder, info)
