"""Preparation from and to an object store: the shards have the bytes that they have on disk."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from s3_server import names, put_tree, read

from dfbench.cli.main import run_command
from dfbench.errors import DataError, UsageError
from dfbench.manifest import open_manifest
from dfbench.preparation.prepare import prepare
from dfbench.storage import as_path

pytestmark = pytest.mark.slow

OPTIONS = ["--frames", "6", "--size", "64", "--quiet"]


def prepared(root: Path | str, out: Path | str, **more: Any) -> Any:
    options: dict[str, Any] = {"frames": 6, "sizes": [64], "workers": 1, "quiet": True}
    return prepare("ff++", root, out, **options | more)


@pytest.fixture(scope="session")
def on_disk(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Name -> content of the shards of the tree, prepared from disk to disk."""
    out = tmp_path_factory.mktemp("reference") / "ffpp"
    prepared(tree, out)
    shards = {path.name: path.read_bytes() for path in sorted(out.glob("shard-*"))}
    assert len(shards) == 3
    return shards


def shards_of(url: str) -> dict[str, bytes]:
    return {name: read(f"{url}/{name}") for name in names(url) if name.startswith("shard-")}


def killed_after_one_shard(words: list[str], out: str) -> None:
    """Run a command and kill it, and its workers, when its first shard is in the store."""
    process = subprocess.Popen([sys.executable, "-m", "dfbench", *words], start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not any(name.startswith("shard-") for name in names(out)):
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process group")
def test_from_and_to_a_store_killed_and_resumed(tree: Path, on_disk: dict[str, bytes], bucket: str) -> None:
    put_tree(tree, f"{bucket}/data/FaceForensics")
    out = f"{bucket}/sets/ffpp"
    words = ["prepare", "ff++", "--root", f"{bucket}/data", "--out", out, *OPTIONS, "--workers", "1"]
    killed_after_one_shard(words, out)
    finished = shards_of(out)
    assert finished.items() < on_disk.items(), "it was not killed in between"
    with pytest.raises(DataError, match="is not finished"):
        open_manifest(out)
    assert run_command(words) == 0
    assert shards_of(out) == on_disk
    manifest = open_manifest(out)
    assert manifest.verify() == []
    log = [json.loads(line) for line in read(f"{out}/prepare-log.jsonl").decode().splitlines()]
    starts = [entry["finished_shards"] for entry in log if entry["event"] == "start"]
    assert starts == [0, len(finished)]
    assert log[-1]["event"] == "end"
    assert not [name for name in names(out) if name.startswith(".")]

    # Nothing is made again, and nothing of a staged file is left.
    before = as_path(out).stat(), len(names(out))
    assert run_command(words) == 0
    assert (as_path(out).stat(), len(names(out))) == before
    gc.collect()  # a listed tree is removed with its object
    assert not list((Path(os.environ["DFBENCH_STAGING"]) / "work").iterdir())


def test_a_changed_and_a_vanished_clip_in_a_store(tree: Path, bucket: str, tmp_path: Path) -> None:
    root = put_tree(tree, f"{bucket}/FaceForensics")
    out = tmp_path / "out"
    only: dict[str, Any] = {"splits": ("test",), "manipulations": ("FaceSwap",), "frames": 2}
    prepared(root, out, **only)
    clip = as_path(f"{root}/original_sequences/youtube/c23/videos/000.mp4")
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    damaged = prepared(root, out, **only)
    assert damaged.to_pandas().query("status != 'ok'")["media_id"].unique().tolist() == ["ff++/c23/real/000"]
    clip.unlink()
    with pytest.raises(DataError, match=r"1 media \(ff\+\+/c23/real/000\) of finished shards .* not in s3://"):
        prepared(root, out, **only)


def test_what_is_wrong_in_a_store_is_said_before_the_work(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="is not a folder: s3://"):
        prepared(f"{bucket}/nothing", tmp_path / "out")
    put_tree(Path(__file__).parent, f"{bucket}/code")
    with pytest.raises(DataError, match=f"no FaceForensics.* tree in {bucket}/code"):
        prepared(f"{bucket}/code", tmp_path / "out")
    with pytest.raises(UsageError, match="not generated in a store"):
        prepare("mini", f"{bucket}/mini", tmp_path / "mini")
    assert not list(tmp_path.iterdir())
