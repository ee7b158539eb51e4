"""The scripts of examples/cluster run here as a scheduler would run them: the manifest is that of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from loading import load_file
from s3_server import names, put_tree, read

from dfbench.manifest import open_manifest
from dfbench.preparation.prepare import prepare

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")]

SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "cluster"
OPTIONS = ["--frames", "6", "--size", "64", "--quiet"]

tree = load_file("tests/preparation/conftest.py", "ffpp_trees").tree


@pytest.fixture(scope="module")
def alone(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Name -> content of the shards that one process makes."""
    out = tmp_path_factory.mktemp("alone") / "m"
    prepare("ff++", tree, out, frames=6, sizes=[64], workers=1, quiet=True)
    return {path.name: path.read_bytes() for path in out.glob("shard-*")}


def run(script: str, *words: str, **variables: str) -> None:
    """Run a script without the variables of a scheduler, but for those that are given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    python = {"PYTHON": sys.executable, "DFBENCH": f"{sys.executable} -m dfbench"}
    done = subprocess.run(
        ["bash", str(SCRIPTS / script), *words],
        env=inherited | python | variables,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr


def test_a_job_array_in_a_store(tree: Path, alone: dict[str, bytes], bucket: str) -> None:
    root, out = put_tree(tree, f"{bucket}/FaceForensics"), f"{bucket}/manifests/ffpp"
    for number in ("2", "1", "2"):  # a task that is requeued resumes
        slurm = {"SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_MAX": "2", "SLURM_CPUS_PER_TASK": "1"}
        run("prepare_array.sh", "ff++", *OPTIONS, ROOT=root, OUT=out, **slurm)
    run("merge.sh", OUT=out)
    assert {name: read(f"{out}/{name}") for name in names(out) if name.startswith("shard-")} == alone
    assert open_manifest(out).verify() == []


@pytest.mark.skipif(find_spec("distributed") is None, reason="dask and distributed are not installed")
def test_dask_workers_on_this_machine(tree: Path, alone: dict[str, bytes], bucket: str) -> None:
    root, out = put_tree(tree, f"{bucket}/FaceForensics"), f"{bucket}/manifests/ffpp"
    run("prepare_dask.sh", "ff++", *OPTIONS, ROOT=root, OUT=out)
    assert {name: read(f"{out}/{name}") for name in names(out) if name.startswith("shard-")} == alone
