"""The wheel holds what a user needs: protocols, facts, the face model, templates; and nothing that does not belong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def build(source: Path, out: Path) -> zipfile.ZipFile:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*.whl")
    assert file.name.startswith("deepfake_dfbench-")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build(TOP, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_ships_protocols_facts_and_the_face_model(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    protocols = {p.relative_to(TOP).as_posix() for p in (TOP / "protocols").rglob("*") if p.is_file()}
    assert {"protocols/mini.toml", "protocols/earlier.csv"} <= protocols
    assert {f"dfbench/_data/{p}" for p in protocols} <= names
    assert {"dfbench/_data/manifests/ffpp_pairs.csv", "dfbench/_data/manifests/published_results.csv"} <= names
    assert "dfbench/mini/nobody_faces.npz" in names
    assert "dfbench/py.typed" in names
    sources = {
        p.relative_to(TOP).as_posix()
        for package in ("dfbench", "reference_models")
        for p in (TOP / package).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert sources <= names


def test_the_wheel_holds_no_images_clips_or_weights(wheel: zipfile.ZipFile) -> None:
    bad = re.compile(r"\.(mp4|mpg|mkv|avi|jpg|jpeg|png|webp|pth|pt|safetensors|onnx|ckpt|parquet)$", re.I)
    assert [n for n in wheel.namelist() if bad.search(n)] == []


def test_installed_files_find_their_resources(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked elsewhere, as pip would, the package finds protocols and facts inside itself."""
    wheel.extractall(tmp_path)
    code = (
        "import dfbench.resources as r; from dfbench.protocols.files import shipped_protocols;"
        "print(r.protocols_folder()); print('mini' in shipped_protocols()); print(r.facts_folder())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, found, facts = done.stdout.split("\n")[:3]
    assert Path(folder) == tmp_path / "dfbench" / "_data" / "protocols"
    assert found == "True"
    assert Path(facts) == tmp_path / "dfbench" / "_data" / "manifests"


def test_the_files_sent_to_a_container_build_make_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    patterns = (TOP / ".containerignore").read_text("utf-8").splitlines()
    context = tmp_path / "context"
    for pattern in (line.removeprefix("!") for line in patterns if line.startswith("!")):
        sources = list(TOP.glob(pattern))
        assert sources, pattern
        for source in sources:
            target = context / source.relative_to(TOP)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    assert sorted(build(context, tmp_path / "dist").namelist()) == sorted(wheel.namelist())
