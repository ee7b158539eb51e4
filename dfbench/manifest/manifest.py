"""Open a manifest and view it: tables, the samples of a protocol, crops, a torch dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dfbench.errors import DataError
from dfbench.manifest.info import MANIFEST_FILE, check_inside, read_info
from dfbench.manifest.samples import Samples, select_samples
from dfbench.manifest.table import ManifestTable
from dfbench.storage import StoredPath, as_path

if TYPE_CHECKING:
    from dfbench.manifest.torch_dataset import CropDataset
    from dfbench.manifest.verify import Problem
    from dfbench.protocols.protocol import Protocol


@dataclass(frozen=True, repr=False)
class Manifest(ManifestTable):
    """A finished manifest, as :func:`open_manifest` returns it.

    Attributes:
        path: its folder.
        info: the content of ``manifest.json``.
    """

    @cached_property
    def media_count(self) -> int:
        """Number of clips and images; no medium is in two shards.

        Raises:
            DataError: a shard cannot be read.
        """
        return sum(
            pc.count_distinct(self.shard_table(number, ["media_id"])["media_id"]).as_py()
            for number in range(len(self.info.shards))
        )

    def __repr__(self) -> str:
        """Return one line: name, data set, rows, clips, crop sizes and profile."""
        return f"Manifest({', '.join(f'{name}={value}' for name, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        """Return the same facts as a table for notebooks."""
        rows = "".join(f"<tr><th>{n}</th><td>{escape(v)}</td></tr>" for n, v in self._facts().items())
        return f"<table><caption>dfbench manifest</caption>{rows}</table>"

    def _facts(self) -> dict[str, str]:
        facts = {"name": repr(self.name), "dataset": repr(self.info.dataset), "rows": str(len(self))}
        try:
            facts["media"] = str(self.media_count)
        except DataError:
            facts["complete"] = "False"
        return facts | {
            "sizes": f"({', '.join(map(str, self.info.sizes))})",
            "profile": repr(self.info.profile),
            **({"condition": repr(self.info.condition)} if self.info.condition != "clean" else {}),
        }

    def samples(self, protocol: Protocol | str | Path, split: str) -> Samples:
        """Return the rows that a protocol takes from this data set for one of its splits, whatever their status.

        Args:
            protocol: a protocol, its name, or its file.
            split: ``train``, ``val`` or ``test`` of the *protocol* (the key ``role`` of its data parts), which may
                draw on any split of the data set.

        Raises:
            UsageError: the split is none of these, or the protocol does not use this data set.
            DataError: the manifest was prepared with other frames, crops or media than the protocol needs.
        """
        from dfbench.protocols.files import load_protocol

        loaded = load_protocol(protocol) if isinstance(protocol, str | Path) else protocol
        return select_samples(self, loaded, split)

    def crops(self, which: Samples | Iterable[str], size: int) -> Iterator[npt.NDArray[np.uint8]]:
        """Iterate over decoded crops, each of which is read where it lies in its shard.

        Args:
            which: samples with status ok (see :meth:`Samples.ok`), or sample ids.
            size: crop size in pixels.

        Yields:
            uint8 (size, size, 3), RGB, in the requested order.

        Raises:
            UsageError: the manifest has no crops of that size.
            DataError: an id is unknown, or has no crop because its status is not ok.
        """
        from dfbench.manifest.crops import iterate_crops

        self.check_size(size)
        return iterate_crops(self, which, size)

    def torch_dataset(self, samples: Samples, size: int, *, decoded: bool = False) -> CropDataset:
        """Return a map-style dataset for ``torch.utils.data.DataLoader`` over the samples with status ok.

        Crops are read from the shards when they are wanted; nothing is held in memory or copied.

        Args:
            samples: from :meth:`samples`.
            size: crop size in pixels.
            decoded: read the crops from the store of decoded crops in the cache (3 * size * size bytes each), to which
                missing ones are added first; for many passes over the same crops.

        Returns:
            Items are (uint8 tensor (3, size, size), RGB; index of the row in ``samples.table``).

        Raises:
            UsageError: the manifest has no crops of that size.
            SetupError: the cache cannot be written, or its disk has too little space.
        """
        from dfbench.manifest.torch_dataset import make_dataset

        self.check_size(size)
        return make_dataset(self, samples, size, decoded)

    def verify(self) -> list[Problem]:
        """Check hashes, counts, identifiers and every crop; an empty list means that no problem was found."""
        from dfbench.manifest.verify import verify

        return verify(self.path)


def open_manifest(path: str | Path, allow_incomplete: bool = False) -> Manifest:
    """Open a finished manifest.

    Args:
        path: its folder, or the ``manifest.json`` in it; also as a URL (``s3://bucket/folder``).
        allow_incomplete: open an unfinished one too; its ``info.complete`` is False and it has no shards.

    Raises:
        DataError: not a manifest, another format version, not finished, or a shard file is missing or a link that
            leads out of the folder.
    """
    folder = as_path(path)
    if folder.name == MANIFEST_FILE:
        folder = folder.parent
    info = read_info(folder)
    if not info.complete and not allow_incomplete:
        raise DataError(
            f"the manifest {folder} is not finished",
            f"rerun the same command to resume: dfbench prepare {info.dataset} ... --out {folder}",
        )
    if isinstance(folder, StoredPath):  # one request, not one for every shard
        present = {file.name for file in folder.iterdir()}
    else:
        present = {s.file for s in info.shards if (folder / s.file).is_file()}
    missing = [s.file for s in info.shards if s.file not in present]
    if missing:
        raise DataError(
            f"the manifest {folder} lacks {len(missing)} of its {len(info.shards)} shard files: "
            f"{', '.join(missing[:3])}",
            "rerun the same dfbench prepare command: it makes the missing shards",
        )
    for shard in info.shards:
        check_inside(folder / shard.file)
    return Manifest(folder, info)
