"""A map-style dataset over crops, for ``torch.utils.data.DataLoader``. Torch is imported on first use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from dfbench.manifest.crop_cache import EntryInfo, cached
from dfbench.manifest.crops import stored_crops
from dfbench.manifest.samples import Samples
from dfbench.manifest.table import ManifestTable
from dfbench.media.images import decode_crop

if TYPE_CHECKING:
    import torch


class ImageFiles(Protocol):
    """Crops as they are stored, by number: image files, or RGB bytes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> bytes: ...


class CropDataset:
    """Crops of samples whose status is ok.

    Attributes:
        samples: the samples, all with status ok; items follow their order.
        indices: int64 (n,), the row of each item in the table of the samples it was made from.
        size: crop size in pixels.
        decoded: the crops are stored as RGB bytes.
    """

    def __init__(
        self,
        samples: Samples,
        indices: npt.NDArray[np.int64],
        size: int,
        images: ImageFiles,
        decoded: bool = False,
    ) -> None:
        self.samples = samples
        self.indices = indices
        self.size = size
        self.decoded = decoded
        self._images = images

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        """Return a crop, uint8 tensor (3, size, size) in RGB, and its row in the table of the samples given.

        The tensor is a view of an image (size, size, 3), as it was decoded; ``.contiguous()`` reorders its memory.
        """
        import torch

        if not -len(self) <= item < len(self):
            raise IndexError(item)
        number = item % len(self)
        image = self._image(number)
        writeable = image if image.flags.writeable else image.copy()
        return torch.from_numpy(writeable).permute(2, 0, 1), int(self.indices[number])

    def read_into(self, out: npt.NDArray[np.uint8], item: int) -> None:
        """Read a crop into memory that exists already.

        Args:
            out: uint8 (size, size, 3), RGB, which is overwritten.
            item: number of the crop.

        Raises:
            DataError: the crop is damaged, or of another size.
        """
        out[...] = self._image(item)

    def _image(self, number: int) -> npt.NDArray[np.uint8]:
        data = self._images[number]
        if self.decoded:
            return np.frombuffer(data, np.uint8).reshape(self.size, self.size, 3)
        return decode_crop(data, self.size)


def make_dataset(manifest: ManifestTable, samples: Samples, size: int, decoded: bool = False) -> CropDataset:
    """See :meth:`dfbench.manifest.manifest.Manifest.torch_dataset`."""
    indices = np.flatnonzero(samples.has_crop).astype(np.int64)
    chosen = samples.take(indices)
    stored = stored_crops(manifest, chosen.rows, size)
    if not decoded:
        return CropDataset(chosen, indices, size, stored)

    def make(missing: npt.NDArray[np.int64]) -> Iterator[bytes]:
        return (decode_crop(stored[index], size).tobytes() for index in missing.tolist())

    # Decoding is lossless: the pixels are those of the manifest, whatever the version of the decoder.
    info = EntryInfo(str(manifest.path.absolute()), manifest.info.hash, "clean", size, "raw", "")
    return CropDataset(chosen, indices, size, cached(info, chosen.rows, make), decoded=True)
