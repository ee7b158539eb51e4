"""What one file does to its worker process, and what is done to the process from outside."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfbench.degrade import parse
from dfbench.errors import SetupError
from dfbench.faces.base import DetectorChoice
from dfbench.media.limits import beat
from dfbench.preparation.execution.decoder_messages import naming_messages
from dfbench.preparation.execution.subprocess_worker import WorkerDied
from dfbench.schema.sampling import FrameSampling
from dfbench.scoring import clip_workers, face_crops
from dfbench.scoring.clip_workers import UNFINISHED, extract_all
from dfbench.scoring.face_crops import CropSettings
from dfbench.scoring.labels import UNCALIBRATED
from dfbench.scoring.outputs import OutputFiles, ScoringError, write_outputs
from dfbench.scoring.results import AggregationRules, ScoringResult, file_score

SETTINGS = CropSettings(FrameSampling(2), "all", "native", 64, DetectorChoice(), "pyav", parse("clean"))
OK = [{"status": "ok", "reason": ""}]


class ScriptedProcess:
    """A worker that does to each file what is written for it, try after try."""

    name, closed = "worker", False

    def __init__(self, outcomes: dict[str, list[object]]) -> None:
        self.outcomes = outcomes
        self.order: list[str] = []

    def run(self, function: object, work: object, path: Path, *rest: object) -> object:
        self.order.append(path.name)
        outcome = self.outcomes[path.name].pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, list[object]]], ScriptedProcess]:
    def make(outcomes: dict[str, list[object]]) -> ScriptedProcess:
        process = ScriptedProcess(outcomes)

        @contextmanager
        def pool(count: int) -> Iterator[Any]:
            @contextmanager
            def borrow() -> Iterator[Any]:
                yield process

            yield borrow

        monkeypatch.setattr(clip_workers, "process_pool", pool)
        return process

    return make


def died(number: int) -> WorkerDied:
    return WorkerDied(-number)


@pytest.mark.parametrize(
    ("outcomes", "status", "reason"),
    [
        ([died(signal.SIGSEGV), OK], "ok", ""),
        ([died(signal.SIGSEGV), died(signal.SIGABRT)], "decode_error", "crashes the decoder"),
        ([died(signal.SIGKILL), OK], "ok", ""),
        ([died(signal.SIGKILL), died(signal.SIGTERM)], UNFINISHED, "killed"),
        ([MemoryError(), OK], "ok", ""),
        ([MemoryError(), RuntimeError("std::bad_alloc")], UNFINISHED, "out of memory"),
        ([died(signal.SIGSEGV), died(signal.SIGKILL), OK], "ok", ""),
        ([WorkerDied(1), WorkerDied(1)], UNFINISHED, "killed"),
    ],
)
def test_a_crash_is_the_fault_of_the_file_and_a_kill_of_the_machine(
    scripted: Callable[..., ScriptedProcess], outcomes: list[object], status: str, reason: str
) -> None:
    """What was postponed is tried when all others are finished."""
    process = scripted({"a.mp4": list(outcomes), "b.mp4": [OK]})
    found = dict(extract_all([Path("a.mp4"), Path("b.mp4")], SETTINGS, 1))
    assert found[1] == OK
    assert found[0][0]["status"] == status
    assert reason in found[0][0]["reason"]
    if process.order.count("a.mp4") > 1 and not isinstance(outcomes[0], type(died(1))):
        assert process.order[-1] == "a.mp4"
        assert process.order.index("b.mp4") < len(process.order) - 1


def test_errors_of_the_machine_that_is_not_set_up_end_the_command(scripted: Callable[..., ScriptedProcess]) -> None:
    scripted({"a.mp4": [SetupError("a library is missing", "install it")]})
    with pytest.raises(SetupError, match="a library is missing"):
        list(extract_all([Path("a.mp4")], SETTINGS, 1))


def test_unfinished_files_are_reported_with_the_scores_of_the_others(tmp_path: Path) -> None:
    rows = clip_workers._without_rows(Path("b.mp4"), SETTINGS, "killed")
    nothing = file_score("b.mp4", rows, np.zeros(0), np.zeros((0, 2), np.float32), AggregationRules())
    assert (nothing.status, nothing.reason, nothing.requested) == (UNFINISHED, "killed", 2)
    settings = {"model": "m", "condition": "clean", "aggregation": "mean", "temperature": 1.0}
    result = ScoringResult(settings, False, "", (nothing,), threshold=UNCALIBRATED)
    with pytest.raises(ScoringError, match=r"1 of 1 files have no score .* b\.mp4 \(killed\)") as caught:
        write_outputs(result, [Path("b.mp4")], OutputFiles(csv=tmp_path / "s.csv"), quiet=True)
    assert caught.value.exit_code == SetupError.exit_code
    assert caught.value.result.written == (tmp_path / "s.csv",)
    assert ",unfinished," in (tmp_path / "s.csv").read_text("utf-8")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")
def test_a_file_without_progress_is_interrupted_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with progress is not, however long it takes."""
    (tmp_path / "a.mp4").write_bytes(b"x")
    list(extract_all([tmp_path / "a.mp4"], SETTINGS, None, 60.0))  # imports what is needed

    def reading(path: Path, *rest: object) -> object:
        for _ in range(13):
            time.sleep(0.1)
            beat()
        time.sleep(60)

    monkeypatch.setattr("dfbench.preparation.extraction.scene_reader.read", reading)
    start = time.monotonic()
    ((_, rows),) = extract_all([tmp_path / "a.mp4"], SETTINGS, None, 1.0)
    assert 1.3 + 1.0 <= time.monotonic() - start < 50
    assert [(row["status"], row["reason"]) for row in rows] == [("decode_error", "time limit")] * 2


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")
def test_an_interruption_outside_of_the_clip_costs_no_other_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path, settings: CropSettings) -> object:
        time.sleep(60 if path.name == "a.mp4" else 0)
        return OK

    monkeypatch.setattr(face_crops, "extract_rows", slow)
    before = signal.getsignal(signal.SIGALRM)
    found = dict(extract_all([Path("a.mp4"), Path("b.mp4")], SETTINGS, None, 0.4))
    assert (found[0][0]["status"], found[0][0]["reason"]) == ("decode_error", "time limit")
    assert found[1] == OK
    assert signal.getsignal(signal.SIGALRM) is before


def test_messages_are_named_in_this_process_too(capfd: pytest.CaptureFixture[str]) -> None:
    with naming_messages("a.png"):
        os.write(2, b"libpng error: IDAT\nlibpng error: IDAT\n")
        sys.stderr.write("of Python\n")  # one write, as of a terminal's line buffer; print makes two here
    os.write(2, b"after\n")
    lines = capfd.readouterr().err.splitlines()
    assert "a.png: libpng error: IDAT" in lines
    assert lines.count("a.png: libpng error: IDAT") == 1
    assert lines[-1] == "after"


def test_threads_that_name_messages_leave_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = naming_messages("a.png"), naming_messages("b.png")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_no_temporary_folder_is_an_error_of_the_machine(
    scripted: Callable[..., ScriptedProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(prefix: str) -> object:
        raise OSError(28, "No space left on device")

    scripted({"a.mp4": [OK]})
    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with pytest.raises(SetupError, match="no temporary folder can be made: No space left") as caught:
        list(extract_all([Path("a.mp4")], SETTINGS, 1))
    assert "TMPDIR" in caught.value.hint
