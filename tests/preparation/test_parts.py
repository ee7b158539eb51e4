"""Array jobs: parts made anywhere and in any order join into the manifest that one run would have made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dfbench.cli.main import run_command
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.manifest.manifest import open_manifest
from dfbench.preparation.derived.merge import merge
from dfbench.preparation.execution.output_folder import locked
from dfbench.preparation.planning.job_array import ArrayPart, parse_array_part
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

OPTIONS = {"frames": 4, "sizes": [64], "quiet": True, "workers": 1}


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


def part(tree: Path, out: Path, shards: str, **options):
    return prepare("ff++", tree, out, array=shards, **(OPTIONS | options))


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """The undisturbed run."""
    return prepare("ff++", tree, tmp_path_factory.mktemp("whole") / "m", **OPTIONS)


@pytest.fixture(scope="module")
def halves(tree, tmp_path_factory):
    """Two parts in two folders."""
    folder = tmp_path_factory.mktemp("halves")
    for n in (1, 2):
        part(tree, folder / f"p{n}", f"{n}/2")
    return folder


@pytest.fixture
def copies(halves, tmp_path):
    """The two parts, for a test to damage."""
    return [Path(shutil.copytree(halves / name, tmp_path / name)) for name in ("p1", "p2")]


def test_parts_in_two_folders(whole, halves, tmp_path):
    first, second = shard_bytes(halves / "p1"), shard_bytes(halves / "p2")
    assert first
    assert second
    assert not set(first) & set(second)
    merged = merge([halves / "p2", halves / "p1"], tmp_path / "m", quiet=True)
    assert shard_bytes(merged.path) == shard_bytes(whole.path)
    assert merged.info.model_copy(update={"name": "m"}) == whole.info.model_copy(update={"name": "m"})
    assert merged.verify() == []
    assert shard_bytes(halves / "p1") == first
    again = merge([halves / "p1", halves / "p2"], tmp_path / "m", quiet=True)
    assert again.info == merged.info


def test_parts_in_one_folder_at_the_same_time(tree, whole, tmp_path):
    out = tmp_path / "m"
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            part(tree, out, f"{number}/3")
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with pytest.raises(DataError, match="part-1-of-3") as error:
        open_manifest(out)
    assert f"dfbench merge {out}" in error.value.hint
    merged = merge([out], quiet=True)
    assert shard_bytes(out) == shard_bytes(whole.path)
    assert merged.info.hash == whole.info.hash
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith("shard-")) == [
        "manifest.json", "media-state.parquet",
        "prepare-log-1-of-3.jsonl", "prepare-log-2-of-3.jsonl", "prepare-log-3-of-3.jsonl",
    ]  # fmt: skip


def test_a_whole_run_over_a_folder_of_parts_finishes_it(tree, whole, copies):
    made = prepare("ff++", tree, copies[0], **OPTIONS)
    assert shard_bytes(made.path) == shard_bytes(whole.path)
    assert not list(made.path.glob("part-*"))


def test_more_parts_than_shards(tree, whole, tmp_path):
    count = len(whole.info.shards) + 1
    for n in range(1, count + 1):
        made = part(tree, tmp_path / "m", f"{n}/{count}")
        assert len(made.info.shards) == int(n <= len(whole.info.shards))
    assert merge([tmp_path / "m"], quiet=True).info.hash == whole.info.hash


def test_a_part_goes_on_where_it_stopped(tree, halves, copies):
    wanted = shard_bytes(halves / "p1")
    lost, *kept = sorted(wanted)
    (copies[0] / lost).unlink()
    (copies[0] / ".tmp-shard-00000-1").write_bytes(b"half")
    stamps = {name: (copies[0] / name).stat().st_mtime_ns for name in kept}
    part(tree, copies[0], "1/2")
    assert shard_bytes(copies[0]) == wanted
    assert {name: (copies[0] / name).stat().st_mtime_ns for name in kept} == stamps
    before = {p: p.stat().st_mtime_ns for p in copies[0].iterdir()}
    part(tree, copies[0], "1/2")  # nothing is left to do
    assert {p: p.stat().st_mtime_ns for p in copies[0].iterdir()} == before


def test_a_part_that_is_missing_or_given_twice(copies, tmp_path):
    with pytest.raises(DataError, match="1 of 2 parts are missing: 2") as error:
        merge([copies[0]], tmp_path / "m", quiet=True)
    assert "dfbench prepare ff++ ... --array 2/2" in error.value.hint
    twin = shutil.copytree(copies[0], tmp_path / "twin")
    with pytest.raises(DataError, match=r"part 1 of 2 is given twice: .*p1 and .*twin"):
        merge([*copies, twin], tmp_path / "m", quiet=True)
    assert not (tmp_path / "m").exists()


def change(folder: Path, **values: object) -> None:
    """Change entries of a part's description."""
    (file,) = folder.glob("part-*.json")
    raw = json.loads(file.read_text())
    for name, value in values.items():
        place = raw if name in raw else raw["manifest"]
        place[name] = value
    file.write_text(json.dumps(raw))


def test_an_unfinished_part(copies, tmp_path):
    change(copies[1], complete=False)
    with pytest.raises(DataError, match=r"part 2 of 2 in .*p2 is not finished") as error:
        merge(copies, tmp_path / "m", quiet=True)
    assert f"dfbench prepare ff++ ... --array 2/2 --out {copies[1]}" in error.value.hint


def test_a_part_that_lost_a_shard_file(copies, tmp_path):
    (lost,) = list(copies[1].glob("shard-*.parquet"))[:1]
    lost.unlink()
    with pytest.raises(DataError, match=rf"part 2 of 2 in .*p2 lacks 1 of its shard files: {lost.name}"):
        merge(copies, tmp_path / "m", quiet=True)


def test_a_damaged_shard(copies, tmp_path):
    shard = sorted(copies[0].glob("shard-*.parquet"))[0]
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataError, match=rf"{shard.name} of part 1 of 2 in .*p1 is damaged"):
        merge(copies, tmp_path / "m", quiet=True)
    assert not (tmp_path / "m" / "manifest.json").exists()


def test_parts_of_another_recipe_plan_or_division(tree, copies, tmp_path):
    part(tree, tmp_path / "other", "2/2", frames=3)
    with pytest.raises(UsageError, match=r"another recipe .*sampling\.frames: 4 -> 3"):
        merge([copies[0], tmp_path / "other"], tmp_path / "m", quiet=True)
    with pytest.raises(DataError, match="same number of parts"):
        merge([copies[0], part(tree, tmp_path / "third", "2/3").path], tmp_path / "m", quiet=True)
    change(copies[1], plan="0" * 64)
    with pytest.raises(DataError, match="another plan") as error:
        merge(copies, tmp_path / "m", quiet=True)
    assert "--array 1/2" in error.value.hint


def test_folders_that_are_refused(tree, whole, copies, tmp_path):
    with pytest.raises(DataError, match="holds no part"):
        merge([whole.path], tmp_path / "m", quiet=True)
    with pytest.raises(DataError, match="is not a folder"):
        merge([tmp_path / "nosuch"], tmp_path / "m", quiet=True)
    with pytest.raises(UsageError, match="need an output folder"):
        merge(copies, quiet=True)
    with pytest.raises(UsageError, match="whole manifest"):
        part(tree, whole.path, "1/2")
    with pytest.raises(UsageError, match="another division"):
        part(tree, copies[0], "1/3")
    with pytest.raises(UsageError, match=r"another recipe \(old -> new: sampling\.frames: 4 -> 3\)"):
        part(tree, copies[0], "1/2", frames=3)
    (copies[0] / "part-1-of-2.json").write_text("{")
    with pytest.raises(DataError, match=r"part-1-of-2\.json is not the description"):
        merge(copies, tmp_path / "m", quiet=True)


def test_locks_of_parts_and_of_the_whole(tree, tmp_path):
    out = tmp_path / "m"
    with locked(out, ArrayPart(1, 2)):
        with locked(out, ArrayPart(2, 2)):
            pass
        with pytest.raises(SetupError, match="another prepare"), locked(out, ArrayPart(1, 2)):
            pass
        with pytest.raises(SetupError, match="another prepare"), locked(out):
            pass
    assert list(out.iterdir()) == []
    with locked(out), pytest.raises(SetupError, match="another prepare"), locked(out, ArrayPart(1, 2)):
        pass
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "-1/2", "1/0", "a/b", "1/2/3", "1.5/2"])
def test_parts_that_do_not_exist(text):
    with pytest.raises(UsageError, match="--array"):
        parse_array_part(text)


def test_the_commands(tree, whole, tmp_path, capsys):
    common = ["ff++", "--root", str(tree), "--frames", "4", "--size", "64", "--workers", "1", "-q"]
    for n in (1, 2):
        words = ["prepare", *common, "--out", str(tmp_path / "m"), "--array", f"{n}/2"]
        assert run_command(words) == 0
    assert run_command(["merge", str(tmp_path / "m")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(tmp_path / "m")
    assert any(line.split() == ["test", "real", "8", "0", "0", "0"] for line in lines)
    assert shard_bytes(tmp_path / "m") == shard_bytes(whole.path)
    assert run_command(["prepare", *common, "--array", "3/2", "--dry-run"]) == 2
    assert "--array 3/16" in capsys.readouterr().err


def test_a_killed_part_leaves_the_other_parts_alone(tree, whole, tmp_path):
    out = tmp_path / "m"
    command = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "4", "--size", "64", "-q"]
    first = subprocess.Popen([sys.executable, "-m", "dfbench", *command, "--workers", "1", "--array", "1/2"])
    part(tree, out, "2/2")
    first.kill()
    first.wait()
    part(tree, out, "1/2")
    assert merge([out], quiet=True).info.hash == whole.info.hash
