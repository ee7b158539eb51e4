"""inspect, verify and the contact sheet hold one shard at a time, however many a manifest has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfbench.manifest.info import content_hash, read_info, write_info
from dfbench.manifest.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]

# Arrow's tables hold the rows that are read.
PROGRAM = """
import sys
from pathlib import Path
import pyarrow as pa
from dfbench.manifest.contact_sheet import choose
from dfbench.manifest.manifest import open_manifest
from dfbench.manifest.summary import breakdown
from dfbench.manifest.verify import find_problems

for folder in map(Path, sys.argv[1:]):
    manifest = open_manifest(folder)
    breakdown(manifest)
    choose(manifest, 4)
    manifest.media_count
    list(find_problems(folder))
    print(pa.default_memory_pool().max_memory())
"""


@pytest.fixture(scope="module")
def sizes(build: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two manifests, of 2 and of 10 equal shards of 600 rows; no crops."""
    base = tmp_path_factory.mktemp("memory")
    one = build(base / "1", sizes=(), subsets=("c23",), splits=("test",), frames=100).path
    found = {}
    for count in (2, 10):
        folder = base / str(count)
        folder.mkdir()
        info = read_info(one)
        shards = tuple(info.shards[0].model_copy(update={"file": f"shard-{n:05d}.parquet"}) for n in range(count))
        for shard in shards:
            shutil.copyfile(one / "shard-00000.parquet", folder / shard.file)
        write_info(folder, info.model_copy(update={"shards": shards, "hash": content_hash(shards)}))
        found[count] = folder
    return found


def test_memory_does_not_grow_with_the_number_of_shards(sizes: dict[int, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, sizes.values())],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    few, many = map(int, done.stdout.split())
    assert few > 100_000
    assert many < 1.5 * few
