"""A map-style dataset over encoded crops, for ``torch.utils.data.DataLoader``. Torch is imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dfbench.config import cache_home
from dfbench.io import atomic_path
from dfbench.manifest.crops import iterate_encoded
from dfbench.manifest.samples import Samples
from dfbench.manifest.table import ManifestTable
from dfbench.media.images import decode_image
from dfbench.schema.ids import seed_from

if TYPE_CHECKING:
    import torch


class EncodedImages:
    """Concatenated image files in one buffer, in memory or mapped from a file.

    Args:
        offsets: int64 (n+1,), the start of each image file and the end of the last one.
        data: uint8 buffer; None to map ``file``.
        file: file that holds the buffer.
    """

    def __init__(
        self, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8] | None = None, file: Path | None = None
    ) -> None:
        self._offsets = offsets
        self._file = file
        self._data = data if file is None else np.memmap(file, np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        assert self._data is not None
        return self._data[self._offsets[index] : self._offsets[index + 1]].tobytes()

    def __getstate__(self) -> dict[str, Any]:
        # A mapped buffer is opened again in the other process instead of being copied to it.
        return {"offsets": self._offsets, "data": self._data if self._file is None else None, "file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class CropDataset:
    """Crops of samples whose status is ok.

    Attributes:
        samples: the samples, all with status ok; items follow their order.
        indices: int64 (n,), the row of each item in the table of the samples it was made from.
        size: crop size in pixels.
    """

    def __init__(self, samples: Samples, indices: npt.NDArray[np.int64], size: int, images: EncodedImages) -> None:
        self.samples = samples
        self.indices = indices
        self.size = size
        self._images = images

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        """Return a crop, uint8 tensor (3, size, size) in RGB, and its row in the table of the samples given."""
        import torch

        if not -len(self) <= item < len(self):
            raise IndexError(item)
        number = item % len(self)
        image = decode_image(self._images[number])
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), int(self.indices[number])


def make_dataset(manifest: ManifestTable, samples: Samples, size: int, memory_limit: int) -> CropDataset:
    """See :meth:`dfbench.manifest.manifest.Manifest.torch_dataset`."""
    indices = np.flatnonzero(samples.has_crop).astype(np.int64)
    chosen = samples.take(indices)
    return CropDataset(chosen, indices, size, _gather(manifest, chosen.rows, size, memory_limit))


def _gather(manifest: ManifestTable, rows: npt.NDArray[np.int64], size: int, memory_limit: int) -> EncodedImages:
    pieces: list[bytes] = []
    held = 0
    for data in iterate_encoded(manifest, rows, size):
        held += len(data)
        if held > memory_limit:
            return cached(manifest, rows, f"crops {size}", lambda: iterate_encoded(manifest, rows, size))
        pieces.append(data)
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return EncodedImages(offsets, np.frombuffer(b"".join(pieces), np.uint8))


def cached(
    manifest: ManifestTable, rows: npt.NDArray[np.int64], what: str, make: Callable[[], Iterable[bytes]]
) -> EncodedImages:
    """Return image files of some rows, mapped from a file in the user's cache folder; it is created if necessary.

    Args:
        manifest: the manifest; its content hash is a part of the file's name.
        rows: int64 (n,), indices of rows in it.
        what: what the images are; identifies the file together with manifest and rows.
        make: yields the n image files in the order of the rows.

    Raises:
        SetupError: the file cannot be written.
    """
    key = f"{seed_from(manifest.info.hash + rows.tobytes().hex(), what):016x}"
    folder = cache_home() / "crops"
    file, index = folder / f"{key}.bin", folder / f"{key}.npy"
    if not (file.is_file() and index.is_file()):
        _write(make, file, index)
    return EncodedImages(np.load(index), file=file)


def _write(make: Callable[[], Iterable[bytes]], file: Path, index: Path) -> None:
    lengths = [0]
    with atomic_path(file, sync=False) as temporary, temporary.open("wb") as stream:
        for data in make():
            stream.write(data)
            lengths.append(len(data))
    with atomic_path(index, sync=False) as temporary, temporary.open("wb") as stream:
        np.save(stream, np.cumsum(lengths, dtype=np.int64))
