"""A run is replaced by another one at once: whatever stops the writing, one of the two is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import run_folders

from dfbench.errors import SetupError
from dfbench.evaluation import run_store
from dfbench.evaluation.run import Run, open_run

EARLIER, LATER = (run_folders.scores_table("m", run_id, frames=1) for run_id in ("a" * 16, "b" * 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written = run_store.write_run(
        tmp_path / "run", run_folders.result_of(EARLIER), EARLIER, EARLIER.slice(0, 2), {"protocol.toml": "x"}
    )
    assert open_run(tmp_path / "run").result == written
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_later(folder: Path) -> Run:
    run_store.write_run(folder, run_folders.result_of(LATER), LATER)
    return open_run(folder)


def test_files_of_the_earlier_run_are_replaced_or_removed(folder: Path) -> None:
    later = write_later(folder)
    assert later.result.run_id == "b" * 16
    assert later.scores_table.equals(LATER)
    assert sorted(contents(folder)) == ["result.json", "scores.parquet"]


@pytest.mark.parametrize("function", ["write_table", "write_text", "file_sha256"])
def test_a_failure_while_writing_leaves_the_earlier_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    before = contents(folder)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_store, function, full)
        with pytest.raises(SetupError, match="No space left"):
            write_later(folder)
    assert contents(folder) == before
    assert write_later(folder).result.run_id == "b" * 16


def test_the_result_comes_last_and_only_when_all_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, seen, replace = contents(folder), [], os.replace

    def watched(source: Path, target: Path) -> None:
        if target.parent == folder and not target.name.startswith(".tmp-"):
            found = contents(folder)
            assert found["result.json"] == earlier["result.json"], "the earlier result stays until it is replaced"
            seen.append(target.name)
            if len(seen) == 1:
                assert {name: found[name] for name in earlier} == earlier
                assert sum(name.startswith(".tmp-") for name in found) == 2, "both new files are written"
        replace(source, target)

    monkeypatch.setattr("dfbench.io.os.replace", watched)
    later = write_later(folder)
    assert seen == ["scores.parquet", "result.json"]
    assert later.result.run_id == "b" * 16
