"""Copy the weights of a Keras HDF5 file into a NumPy archive, which `dfbench weights import` reads.

    python tools/hdf5_to_npz.py Meso4_DF.h5 Meso4_DF.npz

Needs h5py (`pip install h5py`), which dfbench itself does not. Layers are numbered from 1 within each kind in the order
of their creation, as in conv2d_1/kernel; values and layouts stay as they are.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_DATASET = re.compile(r"^(?:.*/)?(?P<kind>[a-z0-9_]+?)(?:_(?P<number>\d+))?/(?P<what>[a-z_]+)(?::0)?$")


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """HDF5 paths to names whose layers are numbered from 1 within each kind.

    >>> plain_names(["conv2d_6/conv2d_6/bias:0", "conv2d_5/conv2d_5/bias:0", "dense/dense/kernel:0"])
    {'conv2d_6/conv2d_6/bias:0': 'conv2d_2/bias', 'conv2d_5/conv2d_5/bias:0': 'conv2d_1/bias', 'dense/dense/kernel:0': 'dense_1/kernel'}
    """  # noqa: E501
    parsed = {}
    for name in names:
        match = _DATASET.match(name)
        if match is None:
            raise SystemExit(f"{name} is not named as Keras names weights")
        parsed[name] = (match["kind"], int(match["number"] or 0), match["what"])
    numbers = sorted({(kind, number) for kind, number, _ in parsed.values()})
    firsts = {kind: min(i for i, (k, _) in enumerate(numbers) if k == kind) for kind, _ in numbers}
    return {
        name: f"{kind}_{numbers.index((kind, number)) - firsts[kind] + 1}/{what}"
        for name, (kind, number, what) in parsed.items()
    }


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """Every array of an HDF5 file by its path; of a saved model those below ``model_weights`` alone."""
    import h5py

    arrays: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        top = file.get("model_weights", file)
        top.visititems(
            lambda name, item: arrays.update({name: np.asarray(item)}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def main() -> None:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="HDF5 file")
    parser.add_argument("target", type=Path, help="NumPy archive to write, *.npz")
    given = parser.parse_args()
    arrays = read_hdf5(given.source)
    names = plain_names(arrays)
    np.savez(given.target, **{names[name]: array for name, array in arrays.items()})
    print(f"{given.target}: {len(arrays)} arrays")


if __name__ == "__main__":
    main()
