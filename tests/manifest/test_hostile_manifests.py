"""Every command that takes a manifest, on manifests of strangers: nothing outside the given folders is read or written.

The commands are found in the command line itself: one that takes a manifest and is not in :data:`CALLS` fails a test.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench.cli.main import cli, run_command
from dfbench.io import file_sha256
from dfbench.manifest.manifest import Manifest
from dfbench.media.images import encode_png

SHARD = "shard-00000.parquet"
IMAGE = np.zeros((16, 16, 3), np.uint8)
Description = dict[str, Any]
T = TypeVar("T")

CALLS: dict[str, Callable[[Path, Path], list[str]]] = {
    "inspect": lambda m, out: [str(m), "--faces", str(out / "faces.png")],
    "verify": lambda m, out: [str(m)],
    "merge": lambda m, out: [str(m), "--out", str(out / "merged"), "-q"],
    "recrop": lambda m, out: [str(m), "--out", str(out / "recropped"), "--workers", "1", "-q"],
    "degrade": lambda m, out: [
        *(str(m), "--condition", "jpeg:q=60@source", "--root", str(m.parent / "tree")),
        *("--out", str(out / "degraded"), "--workers", "1", "-q"),
    ],
    "upgrade": lambda m, out: [str(m), "--out", str(out / "upgraded"), "--workers", "1", "-q"],
    "prepare": lambda m, out: [
        "folder",
        "--size",
        "16",
        "--root",
        str(m.parent / "tree"),
        "--out",
        str(m),
        "--workers",
        "1",
        "-q",
    ],
    "train": lambda m, out: [
        *("--model", "meso4", "--protocol", "mini", "--manifest", str(m), "--out", str(out / "w.safetensors"), "-q")
    ],
    "evaluate": lambda m, out: [
        *("--model", "meso4", "--protocol", "mini", "--manifest", str(m), "--out", str(out / "run"), "-q")
    ],
    "explain": lambda m, out: [
        *("--model", "meso4", "--protocol", "mini", "--manifest", str(m), "--out", str(out / "maps"), "-q")
    ],
    "import scores": lambda m, out: [
        *(str(m.parent / "scores.csv"), "--manifest", str(m), "--out", str(out / "imported"), "--resamples", "0")
    ],
}
CODES = (2, 3, 5)
"""Exit codes of an error that dfbench reports; 1 is a traceback."""


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif found is not None:
            yield " ".join((*path, name)), found


def takes_a_manifest(command: click.Command) -> bool:
    texts = (f"{p.name} {p.metavar} {getattr(p, 'help', '')}" for p in command.params)
    return any("manifest" in text.lower() or "frozen" in text.lower() for text in texts)


def test_every_command_that_takes_a_manifest_is_tested() -> None:
    assert {name for name, command in commands() if takes_a_manifest(command)} == set(CALLS)


class Watch:
    """Reports which files of a folder are opened, by any library: inotify, where there is one."""

    OPEN = 0x20

    def __init__(self, folder: Path) -> None:
        self.descriptor = -1
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self.descriptor = libc.inotify_init1(os.O_NONBLOCK)
            for path in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
                assert libc.inotify_add_watch(self.descriptor, os.fsencode(path), self.OPEN) >= 0

    def opened(self) -> list[str]:
        """The files opened since the last call, without the folders that were listed."""
        found, place = [], 0
        try:
            data = os.read(self.descriptor, 1 << 16) if self.descriptor >= 0 else b""
        except BlockingIOError:
            data = b""
        while place < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, place)
            if not mask & 0x40000000:  # a folder
                found.append(data[place + 16 : place + 16 + length].rstrip(b"\0").decode())
            place += 16 + length
        return found


def snapshot(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): file_sha256(p) if p.is_file() else "folder" for p in sorted(folder.rglob("*"))
    }


class Site:
    """``given``: what a command may read and write; ``outside``: files of the user that a manifest may point to."""

    def __init__(self, base: Path, good: Path) -> None:
        self.given, self.outside = base / "given", base / "outside"
        self.manifest, self.out = self.given / "m", self.given / "out"
        self.good = good
        for label in ("real", "fake"):
            (self.given / "tree" / label).mkdir(parents=True)
            (self.given / "tree" / label / "0.png").write_bytes(encode_png(IMAGE))
        self.outside.mkdir()
        for file in good.iterdir():
            shutil.copyfile(file, self.outside / file.name)
        shutil.copyfile(good / SHARD, self.outside / "x.parquet")
        (self.outside / "clip.mp4").write_bytes(b"secret")
        ids = pq.read_table(good / SHARD, columns=["sample_id"])["sample_id"].to_pylist()
        (self.given / "scores.csv").write_text("sample_id,score\n" + "".join(f"{i},0.5\n" for i in ids), "utf-8")
        self.before = snapshot(self.outside)
        self.watch = Watch(self.outside)

    def reset(self) -> Description:
        """A good manifest again, and an empty output folder; returns its description."""
        for folder in (self.manifest, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.good, self.manifest)
        self.out.mkdir()
        self.watch.opened()
        found: Description = json.loads((self.manifest / "manifest.json").read_text("utf-8"))
        return found

    def describe(self, command: str, content: object, text: str | None = None) -> Path:
        """Write the description where the command reads it: ``merge`` reads that of an array-job part."""
        file = self.manifest / "manifest.json"
        if command == "merge":
            file.unlink(missing_ok=True)
            file = self.manifest / "part-1-of-1.json"
            content = {"number": 1, "of": 1, "plan": "p", "plan_shards": 1, "manifest": content}
        if command == "upgrade" and isinstance(content, dict) and content.get("format_version") == 3:
            content = content | {"format_version": 2}  # so that there is something to convert
        file.unlink(missing_ok=True)
        file.write_text(json.dumps(content) if text is None else text, "utf-8")
        return file

    def run(self, command: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """Run the command; returns its exit code and what it printed."""
        code = run_command([*command.split(), *CALLS[command](self.manifest, self.out)])
        printed = capfd.readouterr()
        text = printed.out + printed.err
        assert "Traceback" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert self.watch.opened() == [], (command, text)
        assert snapshot(self.outside) == self.before, command
        return code, text


@pytest.fixture(scope="module")
def good(build: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of one shard."""
    base = tmp_path_factory.mktemp("hostile")
    return build(base / "m", sizes=(16,), subsets=("c23",), splits=("test",), frames=1).path


@pytest.fixture(scope="module")
def site(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"), good)


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a command writes by default is below the test's own folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "DFBENCH_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("DFBENCH_ROOTS", raising=False)


def shard(description: Description, **changes: Any) -> Description:
    return description | {"shards": [description["shards"][0] | changes]}


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


DESCRIPTIONS: dict[str, Callable[[Description, Site], object]] = {
    "a shard in another folder": lambda d, s: shard(d, file="../../outside/x.parquet"),
    "a shard by its absolute path": lambda d, s: shard(d, file=str(s.outside / "x.parquet")),
    "a shard with a drive": lambda d, s: shard(d, file="C:\\x.parquet"),
    "a shard with another name": lambda d, s: shard(d, file="x.parquet"),
    "a shard name with a newline": lambda d, s: shard(d, file=f"{SHARD}\n"),
    "a shard name with escapes": lambda d, s: shard(d, file="\x1b[2J.parquet"),
    "a shard twice": lambda d, s: d | {"shards": d["shards"] * 2},
    "more rows than any shard": lambda d, s: shard(d, rows=2**62),
    "fewer rows than none": lambda d, s: shard(d, rows=-1),
    "a hash that is none": lambda d, s: shard(d, sha256="../x"),
    "a data set that is a path": lambda d, s: d | {"dataset": "../../outside"},
    "a profile with escapes": lambda d, s: d | {"profile": "\x1b[31mnative"},
    "a huge crop": lambda d, s: d | {"sizes": [2**30]},
    "a crop size twice": lambda d, s: d | {"sizes": [16, 16]},
    "unknown columns": lambda d, s: d | {"extras": ["../../outside"]},
    "an unknown field": lambda d, s: d | {"\x1b[31m": 1},
    "a rule of the wrong type": lambda d, s: d | {"recipe": {"sampling": {"frames": "8"}}},
    "a rule that is a list": lambda d, s: d | {"recipe": {"sampling": [1]}},
    "parts of the wrong type": lambda d, s: d | {"recipe": {"sampling": {"frames": 8}, "parts": [{"splits": 5}]}},
    "a deep recipe": lambda d, s: d | {"recipe": {"sampling": {"frames": 8}, "x": nested(100)}},
    "a list": lambda d, s: [d],
    "null": lambda d, s: None,
}
TEXTS: dict[str, str] = {
    "deeply nested": "[" * 100_000,
    "deeply nested objects": '{"a":' * 100_000,
    "a number without end": '{"format_version": ' + "9" * 10_000 + "}",
    "a number that is none": '{"format_version": NaN}',
    "an infinite number": '{"format_version": 1e999}',
    "a key twice": '{"format_version": 2, "format_version": 2}',
    "half a surrogate pair": '{"format_version": "\\ud800"}',
    "no JSON": "\x1b[31m",
    "empty": "",
}


def some(command: str, cases: Iterable[T], every: int = 6) -> list[T]:
    """The cases for a command: a sample for prepare, which takes long, and for the others all."""
    return list(cases)[:: every if command == "prepare" else 1]


@pytest.mark.parametrize("command", CALLS)
def test_descriptions_that_are_refused(command: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    for name, change in some(command, DESCRIPTIONS.items()):
        file = site.describe(command, change(site.reset(), site))
        code, text = site.run(command, capfd)
        assert code in CODES, (name, text)
        assert file.name in text, (name, text)
        assert list(site.out.iterdir()) == [], name
    for name, content in some(command, TEXTS.items()):
        site.reset()
        file = site.describe(command, None, content)
        code, text = site.run(command, capfd)
        assert code in CODES, (name, text)
        assert file.name in text, (name, text)


@pytest.mark.parametrize("command", CALLS)
def test_every_field_with_values_of_other_types(command: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    few = command not in ("merge", "degrade")  # the others read the description as these do
    for field in some(command, site.reset(), 9):
        for value in (7, {"../x": {"a": [None]}}) if few else (None, 7, "\x1b[31m", ["../x"], {"../x": {"a": [None]}}):
            site.describe(command, site.reset() | {field: value})
            code, text = site.run(command, capfd)
            assert code in (0, *CODES), (field, value, text)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("command", CALLS)
def test_links_pipes_and_devices(command: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    described = site.describe(command, site.reset()).name
    for name in (SHARD, described):
        for kind in some(command, ("link", "absolute link", "loop", "pipe", "device"), 3):
            site.describe(command, site.reset())
            path = site.manifest / name
            path.unlink()
            target = {"link": f"../../outside/{SHARD if name == SHARD else 'manifest.json'}", "loop": name}
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "device":
                path.symlink_to("/dev/zero")
            else:
                path.symlink_to(target.get(kind, str(site.outside / "x.parquet")))
            code, text = site.run(command, capfd)
            # prepare replaces what is not a manifest by one of its own.
            assert code in CODES or command == "prepare", (name, kind, text)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("command", ["prepare", "degrade", "merge", "upgrade"])
def test_nothing_is_written_through_links_in_the_output_folder(
    command: str, site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    out = {"prepare": site.manifest, "degrade": site.out / "degraded", "merge": site.out / "merged"}.get(
        command, site.out / "upgraded"
    )
    names = (
        ".lock",
        "media-state.parquet",
        "prepare-log.jsonl",
        ".tmp-shard-00000",
        SHARD,
        "manifest.json",
        "part-1-of-1.json",
    )
    for name in names[:3] if command == "prepare" else names:
        site.reset()
        if command == "prepare":
            shutil.rmtree(site.manifest)
        else:
            site.describe(command, site.reset())
        out.mkdir(exist_ok=True)
        (out / name).symlink_to(site.outside / "clip.mp4")
        site.run(command, capfd)


def rows_with(media_path: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("media_path")
        return table.set_column(place, table.schema.field(place), pa.array([media_path] * len(table)))

    return change


@pytest.mark.parametrize("command", ["degrade", "verify", "evaluate"])
@pytest.mark.parametrize("path", ["../../outside/clip.mp4", "{outside}/clip.mp4", "a.tar!/../../outside/clip.mp4"])
def test_media_paths_stay_below_the_root(
    command: str, path: str, site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    description = site.reset()
    table = pq.read_table(site.manifest / SHARD)
    pq.write_table(rows_with(path.format(outside=site.outside))(table), site.manifest / SHARD)
    site.describe(command, shard(description, sha256=file_sha256(site.manifest / SHARD)))
    code, text = site.run(command, capfd)
    assert code in CODES, text


def test_names_are_printed_without_control_characters(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    texts = {"name": "\x1b]0;title\x07", "licence": "\x1b[31mred\r\n\u202ereversed", "warnings": ["\x9b31m"]}
    for command in ("inspect", "verify", "degrade"):
        site.describe(command, site.reset() | texts)
        code, text = site.run(command, capfd)
        assert code in (0, 3), text
        assert command != "inspect" or "\\x1b]0;title\\x07" in text


@pytest.mark.parametrize("command", ["inspect", "verify", "import scores"])
def test_a_good_manifest_is_accepted(command: str, site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.reset()
    code, text = site.run(command, capfd)
    assert code == 0, text
