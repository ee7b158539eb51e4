"""DiFF: labels from the words of the folders, methods per condition."""

from __future__ import annotations

import pytest

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError


def test_polarity_splits_and_methods(tmp_path, touch, cells):
    touch(tmp_path / "DiFF", [f"DiFF_real/{split}/{n}.png" for split in ("train", "val", "test") for n in range(2)])
    touch(tmp_path / "DiFF", ["val/FE/CycleDiff/0.png", "test/FE/CycleDiff/0.png", "test/T2I/SDXL/deep/1.jpg"])
    touch(tmp_path / "DiFF", ["test/fs/a.png", "test/other/a.png", "stray.png", "test/FE/CycleDiff/x.txt"])
    found = get_adapter("diff").scan(tmp_path)
    assert cells(found) == {
        **{(split, 0, "real"): 2 for split in ("train", "val", "test")},
        ("val", 1, "FE-CycleDiff"): 1,
        ("test", 1, "FE-CycleDiff"): 1,
        ("test", 1, "T2I-SDXL"): 1,
        ("test", 1, "FS"): 1,
    }
    assert {m.label for m in found.media if "DiFF_real" in m.path} == {0}
    assert {m.kind for m in found.media} == {"image"}
    assert len({m.scene_group for m in found.media}) == len(found.media)
    assert found.excluded == {
        "neither in a split of DiFF_real nor in a condition of a split": ("stray.png", "test/other/a.png"),
        "not the name of an image": ("test/FE/CycleDiff/x.txt",),
    }
    assert found.warnings == ()


def test_a_split_of_one_class_is_told(tmp_path, touch):
    touch(tmp_path, ["test/I2I/LoRA/0.png"])
    assert get_adapter("diff").scan(tmp_path).warnings == ("split test contains only fakes",)
    with pytest.raises(DataError, match="no DiFF tree"):
        get_adapter("diff").scan(touch(tmp_path / "other", ["real/a.png", "fake/b.png"]))
