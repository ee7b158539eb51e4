"""The converter of Keras files: names without h5py, a whole file where h5py is at hand."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from loading import load_file


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_file("tools/hdf5_to_npz.py", "hdf5_to_npz")


def test_layers_are_numbered_from_one_in_the_order_of_their_creation(tool: ModuleType) -> None:
    names = [f"conv2d_{n}/conv2d_{n}/kernel:0" for n in (10, 9, 11)]
    names += ["batch_normalization_5/batch_normalization_5/moving_variance:0", "dense/dense/bias:0"]
    found = tool.plain_names(names)
    assert [found[name] for name in names] == [
        "conv2d_2/kernel",
        "conv2d_1/kernel",
        "conv2d_3/kernel",
        "batch_normalization_1/moving_variance",
        "dense_1/bias",
    ]


def test_other_names_are_refused(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="Keras"):
        tool.plain_names(["Weights.0"])


def test_a_whole_file(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed; the converter alone needs it")
    kernel = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_group("max_pooling2d_3")
        file.create_dataset("conv2d_5/conv2d_5/kernel:0", data=kernel)
        file.create_dataset("conv2d_5/conv2d_5/bias:0", data=np.zeros(3, np.float32))
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "weights.h5"), str(tmp_path / "weights.npz")])
    tool.main()
    found = np.load(tmp_path / "weights.npz")
    assert sorted(found.files) == ["conv2d_1/bias", "conv2d_1/kernel"]
    assert np.array_equal(found["conv2d_1/kernel"], kernel)
