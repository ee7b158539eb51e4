"""How long decoding a crop takes, by decoder and by how its PNG file was written, as ratios to OpenCV.

Usage: python benchmarks/png_decoders.py MANIFEST [--size 128] [--page docs/results/png-decoders.md]

The crops are those of a manifest, whose files ``prepare`` wrote: Huffman codes alone, filter AVG. Every decoder gives
the same pixels, which is checked. One process and one thread; arms take turns, and the medians of their CPU times are
compared. Decoders that are not installed are left out.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MOST = 200  # crops
TURNS = 5
Image = np.ndarray
Arms = dict[str, Callable[[bytes], Any]]
OPENCV = "OpenCV"
PAGE = """# Decoding PNG crops

Written by `benchmarks/png_decoders.py` on crops of mini at 128 pixels; ratios of CPU time, on a busy machine. All
decoders give the same pixels.

{decoders}

dfbench decodes crops with kornia-rs where it is installed (the extra `models` installs it), else with OpenCV. Inflating
the compressed data takes {share:.0f} % of OpenCV's time with the zlib of Python; the rest undoes the filter, checks
sums and copies.

How the file was written, decoded by OpenCV and compared with the files of `prepare` (AVG, huffman_only). No filter and
strategy makes decoding twice as fast; files without compression decode {raw:.1f} times as fast at {size:.1f} times the
size, and the store of decoded crops (`train --decoded`) needs no decoding:

{encodings}
"""


def stored_files(manifest: Path, size: int) -> list[bytes]:
    """The PNG files of the first crops of a manifest."""
    import pyarrow.parquet as pq

    files: list[bytes] = []
    for shard in sorted(manifest.glob("shard-*.parquet")):
        column = pq.read_table(shard, columns=[f"crop_{size}"]).column(0).combine_chunks().field("bytes")
        files += [value.as_py() for value in column if value.is_valid]
        if len(files) >= MOST:
            break
    return files[:MOST]


def pixel_data(file: bytes) -> bytes:
    """The compressed data of a PNG file: the content of its IDAT chunks."""
    place, parts = 8, []
    while place < len(file):
        length = int.from_bytes(file[place : place + 4], "big")
        if file[place + 4 : place + 8] == b"IDAT":
            parts.append(file[place + 8 : place + 8 + length])
        place += 12 + length
    return b"".join(parts)


def by_opencv(file: bytes) -> Image:
    from dfbench.media.images import decode_image

    return decode_image(file)


def decoders(size: int) -> Arms:
    """Name -> decoder, for those that are installed."""
    import PIL.Image
    import torch
    from torchvision.io import decode_png

    from dfbench.media import images

    found: Arms = {
        OPENCV: by_opencv,
        "Pillow": lambda file: np.array(PIL.Image.open(io.BytesIO(file))),
        "torchvision": lambda file: decode_png(torch.frombuffer(bytearray(file), dtype=torch.uint8)).permute(1, 2, 0),
    }
    if images.fast_png_decoder() is not None:
        found["kornia-rs"] = lambda file: images.decode_crop(file, size)
    return found


def encodings(image: Image) -> dict[str, bytes]:
    """Name -> PNG file of an image, written in another way."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ways = {
        f"{name}, {strategy.lower()}": (1, getattr(cv2, f"IMWRITE_PNG_FILTER_{name}"), strategy)
        for name in ("SUB", "UP", "AVG", "PAETH")
        for strategy in ("DEFAULT", "RLE", "HUFFMAN_ONLY")
    }
    ways["UP, not compressed"] = (0, cv2.IMWRITE_PNG_FILTER_UP, "DEFAULT")
    found = {}
    for name, (level, chosen, strategy) in ways.items():
        settings = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_FILTER, chosen]
        settings += [cv2.IMWRITE_PNG_STRATEGY, getattr(cv2, f"IMWRITE_PNG_STRATEGY_{strategy}")]
        found[name] = bytes(cv2.imencode(".png", bgr, settings)[1])
    return found


def times(arms: dict[str, tuple[Callable[[Any], Any], Sequence[Any]]], turns: int) -> dict[str, float]:
    """Median CPU seconds of each arm over all its inputs."""
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(turns):
        for name, (run, inputs) in arms.items():
            begin = time.process_time()
            for one in inputs:
                run(one)
            found[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(files: Sequence[bytes], turns: int) -> dict[str, Any]:
    """All figures: seconds by decoder and by encoding, and sizes."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images = [by_opencv(file) for file in files]
    arms = decoders(len(images[0]))
    for name, decode in arms.items():
        for file, image in zip(files, images, strict=True):
            assert np.array_equal(np.asarray(decode(file)), image), name
    timed: dict[str, tuple[Callable[[Any], Any], Sequence[Any]]] = {name: (arm, files) for name, arm in arms.items()}
    timed["inflating alone, zlib of Python"] = (zlib.decompress, [pixel_data(file) for file in files])
    written = [encodings(image) for image in images]
    other = {name: [one[name] for one in written] for name in written[0]}
    timed |= {name: (by_opencv, inputs) for name, inputs in other.items()}
    sizes = {name: sum(map(len, inputs)) / sum(map(len, files)) for name, inputs in other.items()}
    return {"seconds": times(timed, turns), "sizes": sizes}


def page(figures: dict[str, Any]) -> str:
    seconds, sizes = figures["seconds"], figures["sizes"]
    ratio = {name: seconds[OPENCV] / value for name, value in seconds.items()}
    first = ["| decoder | rate, OpenCV = 1 |", "|---|---|"]
    first += [f"| {name} | {ratio[name]:.2f} |" for name in seconds if name not in sizes]
    second = ["| filter, strategy | rate | size |", "|---|---|---|"]
    second += [f"| {name} | {ratio[name]:.2f} | {sizes[name]:.2f} |" for name in sizes]
    share = next(100 / value for name, value in ratio.items() if name.startswith("inflating"))
    plain = next(name for name in sizes if "not compressed" in name)
    return PAGE.format(
        decoders="\n".join(first), encodings="\n".join(second), share=share, raw=ratio[plain], size=sizes[plain]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--page", type=Path, help="write the page")
    given = parser.parse_args()
    text = page(measure(stored_files(given.manifest, given.size), given.turns))
    print(text)
    if given.page:
        given.page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
