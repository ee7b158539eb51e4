"""A map-style dataset over encoded crops, for ``torch.utils.data.DataLoader``. Torch is imported on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dfbench.config import cache_home
from dfbench.errors import SetupError
from dfbench.manifest.crops import iterate_encoded
from dfbench.manifest.samples import Samples
from dfbench.media.images import decode_image
from dfbench.schema.ids import seed_from

if TYPE_CHECKING:
    import torch

    from dfbench.manifest.manifest import Manifest


class EncodedImages:
    """Image files one behind the other in one buffer, in memory or mapped from a file.

    Args:
        offsets: int64 (n+1,), where each begins and the last ends.
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

    def __getitem__(self, place: int) -> bytes:
        assert self._data is not None
        return self._data[self._offsets[place] : self._offsets[place + 1]].tobytes()

    def __getstate__(self) -> dict[str, Any]:
        # A mapped buffer is opened again in the other process instead of being copied there.
        return {"offsets": self._offsets, "data": self._data if self._file is None else None, "file": self._file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


class CropDataset:
    """Crops of samples whose status is ok.

    Attributes:
        samples: the samples, all with status ok; items follow their order.
        places: int64 (n,), the row of each item in the table of the samples it was made from.
        size: crop size in pixels.
    """

    def __init__(self, samples: Samples, places: npt.NDArray[np.int64], size: int, images: EncodedImages) -> None:
        self.samples = samples
        self.places = places
        self.size = size
        self._images = images

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        """uint8 tensor (3, size, size), RGB, and the row in the table of the samples given."""
        import torch

        if not -len(self) <= place < len(self):
            raise IndexError(place)
        index = place % len(self)
        image = decode_image(self._images[index])
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), int(self.places[index])


def make_dataset(manifest: Manifest, samples: Samples, size: int, memory_limit: int) -> CropDataset:
    """See :meth:`dfbench.manifest.manifest.Manifest.torch_dataset`."""
    places = np.flatnonzero(samples.has_crop).astype(np.int64)
    chosen = samples.take(places)
    return CropDataset(chosen, places, size, _gather(manifest, chosen.rows, size, memory_limit))


def _gather(manifest: Manifest, rows: npt.NDArray[np.int64], size: int, memory_limit: int) -> EncodedImages:
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
    manifest: Manifest, rows: npt.NDArray[np.int64], what: str, make: Callable[[], Iterable[bytes]]
) -> EncodedImages:
    """Image files of some rows, mapped from a file in the user's cache folder, which is made where it is not there.

    Args:
        manifest: the manifest; another content, another file.
        rows: int64 (n,), positions in it.
        what: what the images are: with manifest and rows it names the file.
        make: gives the n image files, in the order of the rows.

    Raises:
        SetupError: the file can not be written.
    """
    key = f"{seed_from(manifest.info.hash + rows.tobytes().hex(), what):016x}"
    folder = cache_home() / "crops"
    file, index = folder / f"{key}.bin", folder / f"{key}.npy"
    if not (file.is_file() and index.is_file()):
        _write(make, file, index)
    return EncodedImages(np.load(index), file=file)


def _write(make: Callable[[], Iterable[bytes]], file: Path, index: Path) -> None:
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    lengths = [0]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            for data in make():
                stream.write(data)
                lengths.append(len(data))
        temporary.replace(file)
        with temporary.open("wb") as stream:
            np.save(stream, np.cumsum(lengths, dtype=np.int64))
        temporary.replace(index)
    except OSError as error:
        raise SetupError(
            f"crops could not be cached in {file.parent}: {error.strerror or error}",
            "free some space, or allow more memory",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
